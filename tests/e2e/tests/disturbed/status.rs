//! `writebackctl status` while parts of the product are away: it says which, what to do, and by its exit code how bad it is.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Ctl, Event, World, until};
use serde_json::Value;

use crate::{ALONE, parts, people};

/// An alert of the same fault is to come within a minute.
const SAID_WITHIN: Duration = Duration::from_secs(45);

/// Everything a healthy lab needs to be heard of again.
const WELL_WITHIN: Duration = Duration::from_mins(2);

/// Until it ends with this code and says what is wanted.
pub(crate) async fn until_status(
    what: &str,
    within: Duration,
    arguments: &[&str],
    code: i32,
    wanted: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let ctl = Ctl::of_the_lab()?;
    let last = std::sync::Mutex::new(String::new());
    let found = until(what, within, || async {
        let (ended, said) = ctl.json(&[&["status"], arguments].concat()).await?;
        let text = format!("{ended}: {said:#}");
        *last.lock().map_err(|_| anyhow::anyhow!("poisoned"))? = text;
        Ok((ended == code && wanted(&said)).then_some(said))
    })
    .await;
    found.with_context(|| last.lock().map(|text| text.clone()).unwrap_or_default())
}

pub(crate) async fn until_well() -> anyhow::Result<Value> {
    parts::all_ready().await?;
    until_status("healthy", WELL_WITHIN, &[], 0, |said| {
        said["level"] == "healthy"
    })
    .await
}

fn forest<'a>(said: &'a Value, id: &str) -> &'a Value {
    let forests = said["forests"].as_array().into_iter().flatten();
    forests
        .into_iter()
        .find(|forest| forest["id"] == id)
        .unwrap_or(&Value::Null)
}

fn service<'a>(said: &'a Value, kind: &str) -> &'a Value {
    let services = said["services"].as_array().into_iter().flatten();
    services
        .into_iter()
        .find(|service| service["kind"] == kind)
        .unwrap_or(&Value::Null)
}

/// Whether something is found there of this level that says this, with what to do.
fn finds(place: &Value, level: &str, says: &str) -> bool {
    let findings = place["findings"].as_array().into_iter().flatten();
    findings.into_iter().any(|finding| {
        finding["level"] == level
            && finding["what"]
                .as_str()
                .is_some_and(|what| what.contains(says))
            && finding["act"].as_str().is_some_and(|act| !act.is_empty())
    })
}

#[tokio::test]
async fn a_writer_that_hangs_is_missed_and_one_that_is_killed_comes_back() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    until_well().await?;
    let id = world.forests.last().context("no forest")?.id().to_owned();
    let name = format!("writer-{id}-1");
    let one = parts::services(&format!("writer-{id}"))?
        .into_iter()
        .next()
        .context("no writer")?;
    let stopped = parts::Stopped::stop(vec![one])?;
    let said = until_status("a writer is missed", SAID_WITHIN, &[], 1, |said| {
        finds(forest(said, &id), "degraded", &format!("{name} (silent"))
    })
    .await?;
    let writers = &forest(&said, &id)["writers"]["instances"];
    let alive: Vec<&Value> = writers
        .as_array()
        .into_iter()
        .flatten()
        .filter(|writer| writer["alive"] == true)
        .collect();
    ensure!(
        alive.len() == 1 && alive[0]["version"] == env!("CARGO_PKG_VERSION"),
        "{writers:#}"
    );
    drop(stopped);
    until_well().await?;

    // none is left, and nobody restarts them
    let supervisor = parts::Stopped::stop(vec![parts::supervisor()?])?;
    let writers = parts::services(&format!("writer-{id}"))?;
    parts::signal("-KILL", &writers)?;
    parts::dead(&writers).await?;
    let said = until_status("no writer is left", SAID_WITHIN, &[], 1, |said| {
        finds(
            forest(said, &id),
            "down",
            &format!("no writer of {id} lives"),
        )
    })
    .await?;
    drop(supervisor);
    ensure!(service(&said, "resolver")["level"] == "healthy", "{said:#}");
    parts::gone(&writers).await?;
    until_well().await?;
    Ok(())
}

#[tokio::test]
async fn one_that_ends_in_order_is_not_missed() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let _world = World::enter().await?;
    until_well().await?;
    let supervisor = parts::Stopped::stop(vec![parts::supervisor()?])?;
    let one = parts::services("resolver")?
        .into_iter()
        .take(1)
        .collect::<Vec<_>>();
    parts::signal("-TERM", &one)?;
    parts::dead(&one).await?;
    until_status("one resolver is left", SAID_WITHIN, &[], 0, |said| {
        let instances = service(said, "resolver")["instances"].as_array();
        instances.is_some_and(|instances| instances.len() == 1)
    })
    .await?;
    drop(supervisor);
    parts::gone(&one).await?;
    until_well().await?;
    Ok(())
}

#[tokio::test]
async fn without_the_broker_it_says_so() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let _world = World::enter().await?;
    until_well().await?;
    let stopped = parts::Stopped::stop(parts::infrastructure("rabbitmq")?)?;
    until_status("the broker is down", SAID_WITHIN, &[], 2, |said| {
        finds(
            &said["broker"],
            "down",
            "no connection to the message broker",
        )
    })
    .await?;
    drop(stopped);
    until_well().await?;
    Ok(())
}

#[tokio::test]
async fn without_audit_it_says_so() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let _world = World::enter().await?;
    until_well().await?;
    let stopped = parts::Stopped::stop(parts::services("audit")?)?;
    let ctl = Ctl::of_the_lab()?;
    let run = ctl.run(&["status", "--once"]).await?.expect(2)?;
    ensure!(run.out.contains("audit cannot be asked"), "{run:?}");
    let (code, said) = ctl.json(&["status"]).await?;
    ensure!(code == 2 && said["level"] == "down", "{code}: {said:#}");
    drop(stopped);
    until_well().await?;
    Ok(())
}

#[tokio::test]
async fn without_the_only_domain_controller_its_forest_is_down_and_the_other_is_healthy()
-> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    until_well().await?;
    let well = world.forests.first().context("no forest")?.id().to_owned();
    let ill = world.forests.last().context("no forest")?.id().to_owned();
    let stopped = parts::Stopped::stop(parts::infrastructure(&format!("samba-{ill}"))?)?;
    let said = until_status("the forest is down", SAID_WITHIN, &[], 1, |said| {
        let controller = &forest(said, &ill)["domains"][0]["controllers"][0];
        forest(said, &ill)["level"] == "down" && finds(controller, "down", "it answers nobody")
    })
    .await?;
    let (ill_one, well_one) = (forest(&said, &ill), forest(&said, &well));
    let domain = &ill_one["domains"][0];
    ensure!(
        finds(ill_one, "down", "cannot be worked with"),
        "{ill_one:#}"
    );
    ensure!(
        finds(domain, "down", "none of its domain controllers"),
        "{domain:#}"
    );
    ensure!(
        ill_one["writers"]["level"] == "healthy",
        "its writers live: {ill_one:#}"
    );
    ensure!(well_one["level"] == "healthy", "{well_one:#}");
    let ctl = Ctl::of_the_lab()?;
    ctl.run(&["status", "--once", "--forest", &well])
        .await?
        .expect(0)?;
    let run = ctl
        .run(&["status", "--once", "--forest", &ill])
        .await?
        .expect(2)?;
    let headline = format!("Forest {ill} is down");
    ensure!(
        run.out.starts_with(&headline) && !run.out.contains('\u{1b}'),
        "{run:?}"
    );
    ensure!(
        finds(ill_one, "degraded", "people of other forests"),
        "{ill_one:#}"
    );

    // nobody knows whether these are in the one that is silent: everybody is failed, and the whole is down
    let person = world.forest()?.named("nobody.in.silence");
    let asked = (0..6).map(|_| async { world.door.send(&Event::unlock(&person)).await });
    for answer in futures_util::future::join_all(asked).await {
        answer?.expect_refused(503, operation::Reason::ForestUnavailable)?;
    }
    until_status("everybody is failed", SAID_WITHIN, &[], 2, |said| {
        let outcomes = &said["outcomes"];
        let ended = outcomes["withoutForest"].as_array().into_iter().flatten();
        let failed = { ended }.any(|ended| {
            ended["reason"] == "forest-unavailable" && ended["count"].as_u64() >= Some(6)
        });
        failed
            && finds(outcomes, "down", "nobody is helped")
            && finds(outcomes, "degraded", "before their forest was known")
            && forest(said, &well)["level"] == "healthy"
    })
    .await?;
    drop(stopped);
    let person = world.forest()?.person(people::AFTERWARDS.start)?;
    until("somebody is helped", WELL_WITHIN, || async {
        let answer = world.door.send(&Event::unlock(person)).await?;
        Ok((answer.status == 200).then_some(()))
    })
    .await?;
    // those who could not be helped are told of for a minute more, and nobody waits for that here
    until("the forest is well", WELL_WITHIN, || async {
        let (_, said) = ctl.json(&["status"]).await?;
        let helps = !finds(&said["outcomes"], "down", "nobody is helped");
        Ok((helps && forest(&said, &ill)["level"] == "healthy").then_some(()))
    })
    .await?;
    Ok(())
}
