//! `operations tail`: entries as they are written.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Ctl, Event, World, fresh_password};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use super::people;

const PATIENCE: Duration = Duration::from_secs(20);

/// A tail that is known to watch.
struct Tail {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Tail {
    async fn begin(ctl: &Ctl, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = ctl
            .command(arguments)?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        watches(&mut child).await?;
        let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        Ok(Self { child, lines })
    }

    /// Reads on until a line says this.
    async fn until(&mut self, told: impl Fn(&str) -> bool) -> anyhow::Result<String> {
        let reading = async {
            while let Some(line) = self.lines.next_line().await? {
                if told(&line) {
                    return Ok(line);
                }
            }
            anyhow::bail!("the tail ended")
        };
        timeout(PATIENCE, reading)
            .await
            .context("not told in time")?
    }

    /// Ctrl-C.
    async fn interrupt(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("it has ended")?.to_string();
        let sent = tokio::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .await?;
        ensure!(sent.success());
        let status = timeout(PATIENCE, self.child.wait()).await??;
        ensure!(status.success(), "{status}");
        Ok(())
    }
}

/// Returns when it does.
async fn watches(tail: &mut Child) -> anyhow::Result<()> {
    let errors = tail.stderr.take().context("no standard error")?;
    let mut errors = BufReader::new(errors).lines();
    let first = timeout(PATIENCE, errors.next_line()).await??;
    ensure!(
        first
            .as_deref()
            .is_some_and(|line| line.starts_with("watching")),
        "{first:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_tail_that_nobody_reads_ends_with_exit_code_0() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let mut tail = { Ctl::of_the_lab()?.command(&["operations", "tail"])? }
        .stdin(Stdio::null())
        .stdout(e2e::unread()?)
        .stderr(Stdio::piped())
        .spawn()?;
    watches(&mut tail).await?;
    let person = world.forest()?.named("nobody.tailed");
    world.door.send(&Event::unlock(&person)).await?;
    let status = timeout(PATIENCE, tail.wait()).await??;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[tokio::test]
async fn what_happens_is_told_as_it_happens() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let ctl = Ctl::of_the_lab()?;
    let forest = world.forest()?;
    let person = forest.person(people::TAILED)?;
    forest.start_with_fresh_password(person).await?;
    let mut for_machines = Tail::begin(&ctl, &["--json", "operations", "tail"]).await?;
    let mut for_people =
        Tail::begin(&ctl, &["operations", "tail", "--forest", forest.id()]).await?;

    let answer = world
        .door
        .send(&Event::reset(person, &fresh_password()))
        .await?;
    answer.expect_applied()?;
    let id = answer.operation_id()?;
    let applied = |line: &str| {
        serde_json::from_str::<Value>(line).is_ok_and(|event| {
            event["operation"]["id"] == id && event["operation"]["status"] == "applied"
        })
    };
    let line = for_machines.until(applied).await?;
    let event: Value = serde_json::from_str(&line)?;
    ensure!(
        event["sequence"]
            .as_i64()
            .is_some_and(|sequence| sequence > 0),
        "{event}"
    );
    ensure!(event["at"].is_string(), "{event}");
    let line = for_people
        .until(|line| line.contains(id) && line.contains("applied"))
        .await?;
    ensure!(
        line.contains(person) && line.contains(forest.id()),
        "{line}"
    );
    for_machines.interrupt().await?;
    for_people.interrupt().await
}
