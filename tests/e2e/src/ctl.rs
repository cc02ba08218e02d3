//! The operator's command line, run as a process like an operator runs it.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

/// `writebackctl`, as `lab.json` says it is called.
pub struct Ctl(Vec<String>);

/// How one call ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ctl {
    pub fn of_the_lab() -> anyhow::Result<Self> {
        Ok(Self(lab::Lab::load()?.ctl.command))
    }

    /// The same program, told nothing about where the lab is.
    pub fn bare() -> anyhow::Result<Self> {
        let program = lab::Lab::load()?.ctl.command.into_iter().take(1);
        Ok(Self(program.collect()))
    }

    /// For those who talk with it while it runs. It ends with whoever holds it.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let (program, first) = self.0.split_first().context("the lab names no ctl")?;
        let mut command = Command::new(program);
        command.args(first).args(arguments).kill_on_drop(true);
        Ok(command)
    }

    /// The words of a command line, for a shell.
    pub fn words(&self, arguments: &[&str]) -> Vec<String> {
        let given = arguments.iter().map(|word| (*word).to_owned());
        self.0.iter().cloned().chain(given).collect()
    }

    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Run> {
        self.run_with_input(arguments, "").await
    }

    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> anyhow::Result<Run> {
        let mut command = self.command(arguments)?;
        // no terminal, and no user's name: as in a job or a container
        command.env_remove("USER").env_remove("SUDO_USER");
        finish(command, input).await
    }

    /// The exit code where the reader of what it prints has left before it begins.
    pub async fn run_unread(&self, arguments: &[&str]) -> anyhow::Result<i32> {
        let mut command = self.command(arguments)?;
        let status = command.stdin(Stdio::null()).stdout(unread()?).status();
        let status = timeout(PATIENCE, status)
            .await
            .context("it does not end")??;
        status.code().context("ended by a signal")
    }

    /// Runs it with `--json` and reads what it prints.
    pub async fn json(&self, arguments: &[&str]) -> anyhow::Result<(i32, Value)> {
        let run = self.run(&[&["--json"], arguments].concat()).await?;
        Ok((run.code, run.json()?))
    }
}

impl Run {
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("no JSON: {self:?}"))
    }

    pub fn expect(self, code: i32) -> anyhow::Result<Self> {
        ensure!(self.code == code, "not exit code {code}: {self:?}");
        Ok(self)
    }

    /// Wrong use: exit code 3, nothing printed but an explanation that says all of this.
    pub fn expect_complaint(&self, parts: &[&str]) -> anyhow::Result<()> {
        ensure!(self.code == 3, "not exit code 3: {self:?}");
        ensure!(
            self.out.is_empty(),
            "a complaint on standard output: {self:?}"
        );
        for part in parts {
            ensure!(self.err.contains(part), "nothing of {part:?}: {self:?}");
        }
        Ok(())
    }
}

/// A pipe whose reader has left.
pub fn unread() -> anyhow::Result<Stdio> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    Ok(writer.into())
}

/// Runs a command to its end, with this input.
pub async fn finish(mut command: Command, input: &str) -> anyhow::Result<Run> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start it")?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    // who complains does not read on, and that is no fault
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let Output {
        status,
        stdout,
        stderr,
    } = timeout(PATIENCE, child.wait_with_output())
        .await
        .context("it does not end")??;
    Ok(Run {
        code: status.code().context("ended by a signal")?,
        out: String::from_utf8(stdout)?,
        err: String::from_utf8(stderr)?,
    })
}
