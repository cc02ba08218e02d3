//! A forest whose writers stand still or die while they hold an operation: what is promised holds.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use e2e::{DomainController, Event, World, fresh_password, until};
use lab::Lab;
use operation::Reason;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::people;

/// One stall at a time: every test here stops the same writers.
pub(crate) static WRITERS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub(crate) fn signal_writers(forest: &str, signal: &str) -> anyhow::Result<()> {
    let prefix = format!("writer-{forest}-");
    for service in Lab::load()?.services {
        if service.name.starts_with(&prefix) {
            let status = Command::new("kill")
                .args([signal, &service.pid.to_string()])
                .status()?;
            ensure!(status.success(), "kill {signal} {}", service.name);
        }
    }
    Ok(())
}

fn forest(world: &World) -> anyhow::Result<&DomainController> {
    world.forests.last().context("the lab has no forest")
}

/// Until this operation has been handed to its forest.
async fn routed(world: &World, id: &str) -> anyhow::Result<()> {
    until(
        "the operation is routed",
        Duration::from_secs(10),
        || async {
            let operation = world.door.operation(id).await?;
            let routed = operation
                .body
                .get("steps")
                .and_then(serde_json::Value::as_array)
                .is_some_and(|steps| {
                    steps
                        .iter()
                        .any(|step| step.get("step").is_some_and(|name| name == "routed"))
                });
            Ok(routed.then_some(()))
        },
    )
    .await
}

#[tokio::test]
async fn nothing_is_written_after_the_deadline() -> anyhow::Result<()> {
    let _alone = WRITERS.lock().await;
    let world = World::enter().await?;
    let forest = forest(&world)?;
    let person = forest.person(people::TOO_LATE)?;
    let old = forest.start_with_fresh_password(person).await?;
    let new = fresh_password();
    let mut event = world.door.prepare(&Event::reset(person, &new))?;
    let deadline = OffsetDateTime::now_utc() + Duration::from_secs(7);
    event["expirytime"] = deadline.format(&Rfc3339)?.into();

    signal_writers(forest.id(), "-STOP")?;
    let continued = async {
        let passed = until("the deadline passes", Duration::from_secs(15), || async {
            Ok((OffsetDateTime::now_utc() > deadline).then_some(()))
        })
        .await;
        signal_writers(forest.id(), "-CONT")?;
        passed
    };
    let (answer, continued) = tokio::join!(world.door.send_json(&event), continued);
    continued?;
    let answer = answer?;
    let ended = world.door.ended_operation(answer.operation_id()?).await?;
    assert_eq!(ended.text("status"), "expired", "{}", ended.body);
    assert_eq!(ended.text("reason"), Reason::DeadlineExceeded.code());
    ensure!(
        forest.opens(person, &old).await?,
        "the old password was replaced"
    );
    ensure!(
        !forest.opens(person, &new).await?,
        "the new password was set"
    );
    Ok(())
}

#[tokio::test]
async fn a_dead_writers_operation_is_carried_out_by_another() -> anyhow::Result<()> {
    let _alone = WRITERS.lock().await;
    let world = World::enter().await?;
    let forest = forest(&world)?;
    let person = forest.person(people::DEAD_WRITER)?;
    let old = forest.start_with_fresh_password(person).await?;
    let new = fresh_password();

    signal_writers(forest.id(), "-STOP")?;
    let sent = world
        .door
        .send_without_waiting(&Event::reset(person, &new))
        .await;
    let id = match &sent {
        Ok(answer) => answer.operation_id()?.to_owned(),
        Err(_) => String::new(),
    };
    let routed = routed(&world, &id).await;
    signal_writers(forest.id(), "-KILL")?;
    routed?;
    world.door.ended_operation(&id).await?.expect_applied()?;
    forest.prove(person, &old, &new).await
}

#[tokio::test]
async fn a_password_set_meanwhile_is_not_overwritten() -> anyhow::Result<()> {
    let _alone = WRITERS.lock().await;
    let world = World::enter().await?;
    let forest = forest(&world)?;
    let person = forest.person(people::SUPERSEDED)?;
    forest.start_with_fresh_password(person).await?;
    let late = fresh_password();

    signal_writers(forest.id(), "-STOP")?;
    let sent = world
        .door
        .send_without_waiting(&Event::reset(person, &late))
        .await;
    let admitted = OffsetDateTime::now_utc();
    let newer = async {
        // by more than the stated skew allowance and the second that a controller's clock is read to
        until(
            "two seconds after admission",
            Duration::from_secs(5),
            || async {
                Ok((OffsetDateTime::now_utc() > admitted + Duration::from_secs(2)).then_some(()))
            },
        )
        .await?;
        forest.start_with_fresh_password(person).await
    }
    .await;
    signal_writers(forest.id(), "-CONT")?;
    let (answer, newer) = (sent?, newer?);
    let ended = world.door.ended_operation(answer.operation_id()?).await?;
    assert_eq!(
        ended.text("reason"),
        Reason::Superseded.code(),
        "{}",
        ended.body
    );
    ensure!(
        forest.opens(person, &newer).await?,
        "the newer password was overwritten"
    );
    Ok(())
}
