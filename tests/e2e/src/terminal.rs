//! A program on a terminal of its own, with somebody who reads and types.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_mins(1);

/// A terminal, as script(1) makes one.
pub struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    seen: String,
    /// What was read and answered already.
    read_to: usize,
}

impl Terminal {
    pub fn begin(words: &[String], environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        // a shell in between would have a key's signal for itself, and end with 130 whatever the program does
        let command = format!("exec {}", words.join(" "));
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start script")?;
        Ok(Self {
            keyboard: child.stdin.take().context("no keyboard")?,
            screen: child.stdout.take().context("no screen")?,
            child,
            seen: String::new(),
            read_to: 0,
        })
    }

    /// Reads until this was shown so often since the beginning.
    pub async fn shows(&mut self, text: &str, times: usize) -> anyhow::Result<()> {
        self.read_until(text, |seen| seen.matches(text).count() >= times)
            .await
    }

    /// Reads until this is shown after all that was read before.
    pub async fn reads(&mut self, text: &str) -> anyhow::Result<()> {
        let from = self.read_to;
        let after = |seen: &str| seen.get(from..).and_then(|new| new.find(text));
        self.read_until(text, |seen| after(seen).is_some()).await?;
        self.read_to = after(&self.seen).map_or(from, |at| from + at + text.len());
        Ok(())
    }

    /// Waits for a question and types the answer.
    pub async fn answers(&mut self, question: &str, answer: &str) -> anyhow::Result<()> {
        self.reads(question).await?;
        // the end of the prompt: what is typed before it may be read as the answer to another
        self.reads(": ").await?;
        self.press(format!("{answer}\n").as_bytes()).await
    }

    pub async fn press(&mut self, keys: &[u8]) -> anyhow::Result<()> {
        self.keyboard.write_all(keys).await?;
        Ok(self.keyboard.flush().await?)
    }

    /// Its exit code, and all that was shown.
    pub async fn end(mut self) -> anyhow::Result<(Option<i32>, String)> {
        let mut rest = Vec::new();
        let ending = async {
            self.screen.read_to_end(&mut rest).await?;
            self.child.wait().await
        };
        let status = timeout(PATIENCE, ending)
            .await
            .context("it does not end")??;
        Ok((status.code(), self.seen + &String::from_utf8_lossy(&rest)))
    }

    async fn read_until(
        &mut self,
        text: &str,
        is_enough: impl Fn(&str) -> bool,
    ) -> anyhow::Result<()> {
        let reading = async {
            let mut piece = [0_u8; 4096];
            while !is_enough(&self.seen) {
                let length = self.screen.read(&mut piece).await?;
                ensure!(length > 0, "the terminal is closed");
                let piece = piece.get(..length).unwrap_or(&[]);
                self.seen.push_str(&String::from_utf8_lossy(piece));
            }
            Ok(())
        };
        let shown = timeout(PATIENCE, reading)
            .await
            .map_err(anyhow::Error::from);
        shown
            .flatten()
            .with_context(|| format!("no {text:?} in {}", self.seen))
    }
}
