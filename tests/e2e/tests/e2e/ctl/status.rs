//! `status` of a healthy lab: everybody is there, and the picture on a terminal ends when it is asked to.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use e2e::{Ctl, World, until};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn names(instances: &Value) -> Vec<&str> {
    let instances = instances.as_array().into_iter().flatten();
    instances.filter_map(|one| one["name"].as_str()).collect()
}

#[tokio::test]
async fn a_healthy_lab_is_healthy_and_everybody_is_named() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let ctl = Ctl::of_the_lab()?;
    // what has just been started is heard within seconds
    let said = until("healthy", PATIENCE, || async {
        let (code, said) = ctl.json(&["status"]).await?;
        let forests = said["forests"].as_array().into_iter().flatten();
        // two writers and two resolvers
        let all = { forests }.all(|forest| forest["domains"][0]["controllers"][0]["bound"] == 4);
        Ok((code == 0 && all).then_some(said))
    })
    .await?;
    ensure!(said["level"] == "healthy", "{said:#}");
    for service in said["services"].as_array().context("no services")? {
        let kind = service["kind"].as_str().context("no kind")?;
        let expected = [format!("{kind}-1"), format!("{kind}-2")];
        ensure!(names(&service["instances"]) == expected, "{service:#}");
        for instance in service["instances"].as_array().into_iter().flatten() {
            ensure!(
                instance["version"] == env!("CARGO_PKG_VERSION"),
                "{instance:#}"
            );
            ensure!(
                instance["alive"] == true && instance["startedAt"].is_string(),
                "{instance:#}"
            );
        }
    }
    for forest in &world.forests {
        let told = said["forests"].as_array().into_iter().flatten();
        let told = { told }
            .find(|told| told["id"] == forest.id())
            .with_context(|| format!("nothing of {}: {said:#}", forest.id()))?;
        let expected = [1, 2].map(|number| format!("writer-{}-{number}", forest.id()));
        ensure!(names(&told["writers"]["instances"]) == expected, "{told:#}");
        ensure!(told["queue"]["waiting"].is_number(), "{told:#}");
        ensure!(
            told["keys"].as_array().is_some_and(|keys| !keys.is_empty()),
            "{told:#}"
        );
        let domain = &told["domains"][0];
        ensure!(domain["name"] == forest.domain(), "{domain:#}");
        ensure!(domain["anchorsReadSecondsAgo"].is_number(), "{domain:#}");
        let controller = &domain["controllers"][0];
        ensure!(controller["contact"] == "bound", "{controller:#}");
        ensure!(
            controller["bound"] == 4,
            "two writers, two resolvers: {controller:#}"
        );
        ensure!(
            controller["clockSkewMilliseconds"].is_number(),
            "{controller:#}"
        );
        ensure!(
            controller["policyHints"] == false,
            "Samba 4.17 has none: {controller:#}"
        );
    }
    let run = ctl.run(&["status", "--forest", "nowhere"]).await?;
    run.expect_complaint(&["nobody serves a forest nowhere"])?;
    Ok(())
}

/// `status` on a terminal of its own, as script(1) makes one.
struct Live {
    child: Child,
    keyboard: ChildStdin,
    terminal: ChildStdout,
    seen: String,
}

impl Live {
    fn begin(environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let words = Ctl::of_the_lab()?.words(&["status", "--every", "1"]);
        let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let mut child = Command::new("script")
            .args([
                "--quiet",
                "--return",
                "--command",
                &words.join(" "),
                "/dev/null",
            ])
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self {
            keyboard: child.stdin.take().context("no keyboard")?,
            terminal: child.stdout.take().context("no terminal")?,
            child,
            seen: String::new(),
        })
    }

    /// Reads until this was shown so often.
    async fn shows(&mut self, text: &str, times: usize) -> anyhow::Result<()> {
        let reading = async {
            let mut piece = [0_u8; 4096];
            while self.seen.matches(text).count() < times {
                let length = self.terminal.read(&mut piece).await?;
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
            .with_context(|| format!("no {text:?} in {:?}", self.seen))
    }

    async fn press(&mut self, key: &[u8]) -> anyhow::Result<()> {
        self.keyboard.write_all(key).await?;
        Ok(self.keyboard.flush().await?)
    }

    /// Its exit code, and all that was shown.
    async fn end(mut self) -> anyhow::Result<(Option<i32>, String)> {
        let mut rest = Vec::new();
        let ending = async {
            self.terminal.read_to_end(&mut rest).await?;
            self.child.wait().await
        };
        let status = timeout(PATIENCE, ending)
            .await
            .context("it does not end")??;
        Ok((status.code(), self.seen + &String::from_utf8_lossy(&rest)))
    }
}

const OTHER_SCREEN: &str = "\u{1b}[?1049h";
const FIRST_SCREEN: &str = "\u{1b}[?1049l";

#[tokio::test]
async fn the_live_view_is_drawn_again_until_a_key_ends_it() -> anyhow::Result<()> {
    let _world = World::enter().await?;
    for key in [b"q", b"\x03"] {
        let mut live = Live::begin(&[])?;
        live.shows("q or Ctrl-C ends", 2).await?;
        live.press(key).await?;
        let (code, seen) = live.end().await?;
        ensure!(code.is_some_and(|code| code <= 1), "{code:?}: {seen:?}");
        ensure!(
            seen.contains(OTHER_SCREEN) && seen.contains("FOREST"),
            "{seen:?}"
        );
        let (_, after) = seen
            .rsplit_once(FIRST_SCREEN)
            .context("it stays on the other screen")?;
        ensure!(
            !after.contains("FOREST"),
            "drawn over what was there: {after:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn who_wants_no_colour_gets_none() -> anyhow::Result<()> {
    let _world = World::enter().await?;
    let mut plain = Live::begin(&[("NO_COLOR", "1")])?;
    plain.shows("q or Ctrl-C ends", 1).await?;
    plain.press(b"q").await?;
    let (_, seen) = plain.end().await?;
    ensure!(
        !seen.contains("\u{1b}[32m") && !seen.contains("\u{1b}[1m"),
        "{seen:?}"
    );
    let mut coloured = Live::begin(&[])?;
    coloured.shows("q or Ctrl-C ends", 1).await?;
    coloured.press(b"q").await?;
    let (_, seen) = coloured.end().await?;
    ensure!(seen.contains("\u{1b}[1mFOREST"), "{seen:?}");
    Ok(())
}
