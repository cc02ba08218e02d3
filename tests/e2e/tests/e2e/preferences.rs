//! How long the caller wants to wait (RFC 7240).

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::{Answer, Event, World, fresh_password};
use reqwest::RequestBuilder;

use crate::people;
use crate::stalled::{WRITERS, signal_writers};

fn preferring(world: &World, event: &serde_json::Value, preferences: &[&str]) -> RequestBuilder {
    let request = world
        .door
        .post()
        .header("content-type", "application/cloudevents+json")
        .body(event.to_string());
    preferences
        .iter()
        .fold(request, |request, value| request.header("prefer", *value))
}

fn expect_pending(answer: &Answer) -> anyhow::Result<()> {
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.text("status"), "pending");
    assert_eq!(
        answer.body.get("completedAt"),
        Some(&serde_json::Value::Null)
    );
    let location = format!("/v1/operations/{}", answer.operation_id()?);
    assert_eq!(answer.location(), Some(location.as_str()));
    Ok(())
}

#[tokio::test]
async fn a_caller_waits_as_long_as_it_prefers() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::PREFERRING)?;
        let mut old = forest.start_with_fresh_password(person).await?;
        for (preferences, applied) in [
            (&["respond-async"][..], Some("respond-async")),
            (&["wait=0"], Some("wait=0")),
            (&["return=minimal", "respond-async"], Some("respond-async")),
            (
                &["handling=lenient, respond-async; x=y"],
                Some("respond-async"),
            ),
            (&["respond-async, wait=0"], Some("respond-async, wait=0")),
        ] {
            let new = fresh_password();
            let event = world.door.prepare(&Event::reset(person, &new))?;
            let answer = world
                .door
                .answer(preferring(&world, &event, preferences))
                .await?;
            expect_pending(&answer)?;
            assert_eq!(answer.header("preference-applied"), applied);
            // whoever asks again without waiting is told what is known by then
            let ended = world.door.ended_operation(answer.operation_id()?).await?;
            ended.expect_applied()?;
            let again = world
                .door
                .answer(preferring(&world, &event, preferences))
                .await?;
            again.expect_applied()?;
            assert_eq!(again.operation_id()?, answer.operation_id()?);
            forest.prove(person, &old, &new).await?;
            old = new;
        }
        for preferences in [
            &["wait=25"][..],
            &["respond-async, wait=25"],
            &["WAIT=\"25\""],
            &["wait=soon"],
            &["wait=-1"],
            &["something-else"],
            &["respond-async=false"],
            &[""],
        ] {
            let new = fresh_password();
            let event = world.door.prepare(&Event::reset(person, &new))?;
            let answer = world
                .door
                .answer(preferring(&world, &event, preferences))
                .await?;
            answer.expect_applied()?;
            assert!(answer.took < Duration::from_secs(25), "{:?}", answer.took);
            let applied = preferences
                .iter()
                .any(|value| value.contains("25"))
                .then_some("wait=25");
            assert_eq!(
                answer.header("preference-applied"),
                applied,
                "{preferences:?}"
            );
            forest.prove(person, &old, &new).await?;
            old = new;
        }
    }
    Ok(())
}

#[tokio::test]
async fn nobody_is_kept_longer_than_they_prefer() -> anyhow::Result<()> {
    let _alone = WRITERS.lock().await;
    let world = World::enter().await?;
    let forest = world.forests.last().context("the lab has no forest")?;
    let event = world
        .door
        .prepare(&Event::unlock(forest.person(people::UNTOUCHED)?))?;
    let began = Instant::now();
    let waiting = |seconds: u32| {
        let preference = format!("wait={seconds}");
        let request = preferring(&world, &event, &[&preference]);
        world.door.answer(request)
    };
    signal_writers(forest.id(), "-STOP")?;
    let stalled = async {
        let first = waiting(1).await?;
        expect_pending(&first)?;
        ensure!(
            first.took >= Duration::from_secs(1),
            "after {:?}",
            first.took
        );
        ensure!(
            first.took < Duration::from_secs(4),
            "after {:?}",
            first.took
        );
        // the same event while the first is under way, at the other replica too
        for replica in world.door.urls() {
            let again = world
                .door
                .send_with_preference(replica, &event, "respond-async")
                .await?;
            expect_pending(&again)?;
            ensure!(
                again.operation_id()? == first.operation_id()?,
                "another operation"
            );
        }
        Ok::<_, anyhow::Error>(first)
    }
    .await;
    signal_writers(forest.id(), "-CONT")?;
    let first = stalled?;
    // whoever comes back waits for the end of the first
    let last = waiting(25).await?;
    last.expect_applied()?;
    assert_eq!(last.operation_id()?, first.operation_id()?);
    assert!(began.elapsed() < Duration::from_secs(25));
    Ok(())
}
