//! The README's example of a sender in another language, word by word.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use e2e::{World, fresh_password};

use crate::people;

/// The first fenced block of this language.
fn example<'a>(readme: &'a str, language: &str) -> anyhow::Result<&'a str> {
    let (_, after) = readme
        .split_once(&format!("```{language}\n"))
        .with_context(|| format!("the README has no {language}"))?;
    let (code, _) = after.split_once("```").context("a block without an end")?;
    Ok(code)
}

#[tokio::test]
async fn the_readmes_python_carries_a_reset_home() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let person = forest.person(people::FOREIGN)?;
    let (old, new) = (
        forest.start_with_fresh_password(person).await?,
        fresh_password(),
    );

    let readme = lab::Place::of_this_repository()?
        .repository()
        .join("README.md");
    let readme = std::fs::read_to_string(readme)?;
    let intake = world.door.urls().first().context("no intake")?;
    // Debian's own Python, for that is where its packages are found
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", example(&readme, "python")?, intake, person])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = python.stdin.take().context("no standard input")?;
    writeln!(input, "{new}")?;
    drop(input);
    let output = python.wait_with_output()?;
    ensure!(output.status.success(), "is python3-jwcrypto installed?");

    world.door.send_raw(output.stdout).await?.expect_applied()?;
    forest.prove(person, &old, &new).await
}
