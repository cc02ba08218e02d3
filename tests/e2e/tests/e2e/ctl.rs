//! The operator's command line, as a process: what it does is true, and what it says and how it ends can be relied on.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that JSON lacks reads as null, and a test may panic"
)]

mod people;
mod prompt;
mod proving;
mod reading;
mod sending;
mod setup;
mod status;
mod tailing;
mod wrong_use;

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use e2e::Ctl;
use serde_json::Value;

/// A folder of its own, removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("writeback-e2e-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The lab's ctl and intake, and a file with the caller's token.
struct Desk {
    ctl: Ctl,
    intake: String,
    folder: Folder,
}

impl Desk {
    fn open() -> anyhow::Result<Self> {
        let folder = Folder::new()?;
        let intake = lab::Lab::load()?.intake;
        let token = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.path("token"))?;
        std::io::Write::write_all(&mut { token }, intake.token.as_bytes())?;
        Ok(Self {
            ctl: Ctl::of_the_lab()?,
            intake: intake.url,
            folder,
        })
    }

    fn token_file(&self) -> anyhow::Result<String> {
        text(&self.folder.path("token"))
    }

    /// Seals a reset to the keys the intake publishes, with the password from standard input.
    async fn seal(&self, person: &str, password: &str) -> anyhow::Result<String> {
        let arguments = ["seal", "--kind", "reset", "--user-principal-name", person];
        let keys = ["--keys", &self.intake, "--password-stdin"];
        let run = self
            .ctl
            .run_with_input(
                &[&arguments[..], &keys[..]].concat(),
                &format!("{password}\n"),
            )
            .await?
            .expect(0)?;
        Ok(run.out)
    }

    /// Sends an event from standard input; the exit code and what was printed as JSON.
    async fn send(&self, event: &str, more: &[&str]) -> anyhow::Result<(i32, Value)> {
        let token_file = self.token_file()?;
        let to = [
            "--json",
            "send",
            "--intake",
            &self.intake,
            "--token-file",
            &token_file,
        ];
        let run = self
            .ctl
            .run_with_input(&[&to[..], more].concat(), event)
            .await?;
        Ok((run.code, run.json()?))
    }
}

pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().context("a path that is no text")?;
    Ok(text.to_owned())
}

fn id_of(answer: &Value) -> anyhow::Result<String> {
    let id = answer.get("id").or_else(|| answer.get("operationId"));
    let id = id
        .and_then(Value::as_str)
        .with_context(|| format!("no id: {answer}"))?;
    Ok(id.to_owned())
}
