//! `status` of a healthy lab: everybody is there, and the picture on a terminal ends when it is asked to.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Ctl, Terminal, World, until};
use serde_json::Value;

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

/// `status` on a terminal of its own.
fn live(environment: &[(&str, &str)]) -> anyhow::Result<Terminal> {
    let words = Ctl::of_the_lab()?.words(&["status", "--every", "1"]);
    Terminal::begin(&words, environment)
}

const OTHER_SCREEN: &str = "\u{1b}[?1049h";
const FIRST_SCREEN: &str = "\u{1b}[?1049l";

#[tokio::test]
async fn the_live_view_is_drawn_again_until_a_key_ends_it() -> anyhow::Result<()> {
    let _world = World::enter().await?;
    for key in [b"q", b"\x03"] {
        let mut live = live(&[])?;
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
    let mut plain = live(&[("NO_COLOR", "1")])?;
    plain.shows("q or Ctrl-C ends", 1).await?;
    plain.press(b"q").await?;
    let (_, seen) = plain.end().await?;
    ensure!(
        !seen.contains("\u{1b}[32m") && !seen.contains("\u{1b}[1m"),
        "{seen:?}"
    );
    let mut coloured = live(&[])?;
    coloured.shows("q or Ctrl-C ends", 1).await?;
    coloured.press(b"q").await?;
    let (_, seen) = coloured.end().await?;
    ensure!(seen.contains("\u{1b}[1mFOREST"), "{seen:?}");
    Ok(())
}
