//! A password typed at the prompt: asked for on the terminal, shown nowhere, and never an argument.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{World, fresh_password};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdout, Command};

use super::{Desk, people, text};

const PATIENCE: Duration = Duration::from_secs(20);

fn quoted(words: &[String]) -> String {
    let words = words.iter().map(|word| format!("'{word}'"));
    words.collect::<Vec<_>>().join(" ")
}

/// Reads the terminal until it shows this.
async fn shows(terminal: &mut ChildStdout, seen: &mut String, prompt: &str) -> anyhow::Result<()> {
    let reading = async {
        let mut piece = [0_u8; 1024];
        while !seen.ends_with(prompt) {
            let length = terminal.read(&mut piece).await?;
            ensure!(length > 0, "the terminal is closed");
            seen.push_str(&String::from_utf8_lossy(piece.get(..length).unwrap_or(&[])));
        }
        Ok(())
    };
    let outcome = tokio::time::timeout(PATIENCE, reading).await;
    outcome
        .map_err(anyhow::Error::from)
        .flatten()
        .with_context(|| format!("no {prompt:?} in {seen:?}"))
}

/// The process that asks, among the children of the terminal's.
fn asking() -> anyhow::Result<u32> {
    let found = std::fs::read_dir("/proc")?.filter_map(|entry| {
        let entry = entry.ok()?;
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let is_ctl = words.first()?.ends_with(b"writebackctl");
        (is_ctl && words.contains(&b"urn:test:prompt".as_slice())).then_some(pid)
    });
    { found }.next().context("no writebackctl that asks")
}

#[tokio::test]
async fn a_password_is_asked_for_twice_and_shown_nowhere() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let desk = Desk::open()?;
    let forest = world.forest()?;
    let person = forest.person(people::PROMPTED)?;
    let old = forest.start_with_fresh_password(person).await?;
    let new = fresh_password();
    let event = text(&desk.folder.path("event.json"))?;
    let arguments = [
        "seal",
        "--kind",
        "reset",
        "--user-principal-name",
        person,
        "--keys",
        &desk.intake,
        "--source",
        "urn:test:prompt",
    ];
    // script(1) gives it a terminal of its own
    let line = format!("{} > '{event}'", quoted(&desk.ctl.words(&arguments)));
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start script")?;
    let mut terminal = child.stdout.take().context("no output")?;
    let mut keyboard = child.stdin.take().context("no input")?;
    let mut seen = String::new();
    shows(&mut terminal, &mut seen, "New password: ").await?;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", asking()?))?;
    let limit = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let limit: Vec<_> = limit
        .context("no limit on core files")?
        .split_whitespace()
        .collect();
    assert_eq!(
        limit.get(4..6),
        Some(&["0", "0"][..]),
        "core files: {limit:?}"
    );
    keyboard.write_all(format!("{new}\n").as_bytes()).await?;
    shows(&mut terminal, &mut seen, "New password again: ").await?;
    keyboard.write_all(format!("{new}\n").as_bytes()).await?;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await??;
    terminal.read_to_string(&mut seen).await?;
    ensure!(status.success(), "{status}: {seen}");
    ensure!(!seen.contains(&new), "the terminal shows the password");

    let event = std::fs::read_to_string(event)?;
    ensure!(
        !event.contains(&new),
        "the event holds the password in the clear"
    );
    let (code, answer) = desk.send(&event, &[]).await?;
    ensure!(code == 0, "{code} {answer}");
    forest.prove(person, &old, &new).await
}

#[tokio::test]
async fn a_password_as_an_argument_is_refused_and_not_repeated() -> anyhow::Result<()> {
    let desk = Desk::open()?;
    let secret = fresh_password();
    let common = [
        "seal",
        "--kind",
        "reset",
        "--user-principal-name",
        "a@corp.example.com",
        "--keys",
        "x",
    ];
    for attempt in [
        vec!["--password".to_owned(), secret.clone()],
        vec![format!("--password={secret}")],
        vec![format!("--password-stdin={secret}")],
    ] {
        let attempt: Vec<&str> = attempt.iter().map(String::as_str).collect();
        let run = desk.ctl.run(&[&common[..], &attempt].concat()).await?;
        run.expect_complaint(&["--password-stdin"])?;
        ensure!(!run.err.contains(&secret), "repeated: {}", run.err);
    }
    Ok(())
}
