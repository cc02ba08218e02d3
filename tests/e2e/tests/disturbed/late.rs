//! A domain controller keeps a write waiting on one connection, and answers on others.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{DomainController, Event, Measures, World, fresh_password, parts, until};
use futures_util::future::try_join_all;
use operation::Reason;
use time::OffsetDateTime;

use crate::{ALONE, people};

const SOON: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_mins(1);
/// Longer than two looks at the account, a write's time-out apart.
const WELL_LOOKED_AT: Duration = Duration::from_secs(8);

/// How often writers have not known whether a write happened.
async fn in_doubt() -> anyhow::Result<f64> {
    Measures::sum_of_all("writer-", "writeback_writer_in_doubt_total", &[]).await
}

/// Each writer has its connection before, for signing in is a write, too.
async fn warm(world: &World, forest: &DomainController) -> anyhow::Result<()> {
    let resets = people::UNDER_WAY.map(|number| async move {
        let event = Event::reset(forest.person(number)?, &fresh_password());
        world.door.send(&event).await?.expect_applied()
    });
    try_join_all(resets).await?;
    Ok(())
}

/// The domain controller's process that the first of these resets' writes comes to stands still; what is returned lets it
/// go on. By then its answer has been given up, and the account has been looked at for long.
async fn keep_waiting(
    world: &World,
    forest: &DomainController,
    resets: &[Event],
) -> anyhow::Result<(Vec<String>, parts::Stopped)> {
    warm(world, forest).await?;
    let doubts = in_doubt().await?;
    // whoever shares a process of the domain controller with a write that stands still is not answered either: all are
    // resolved before
    let writers = parts::Stopped::stop(parts::services(&format!("writer-{}", forest.id()))?)?;
    let mut ids = Vec::new();
    for reset in resets {
        let sent = world.door.send_without_waiting(reset).await?;
        let id = sent.operation_id()?.to_owned();
        world.door.handed_to(forest.id(), &id, SOON).await?;
        ids.push(id);
    }
    let lock = forest.hold_writes().await?;
    drop(writers);
    until("the answer is given up", DEADLINE, || async {
        Ok((in_doubt().await? > doubts).then_some(()))
    })
    .await?;
    let standing_still = parts::Stopped::stop(lock.waited_for_by()?)?;
    drop(lock);
    let given_up = OffsetDateTime::now_utc();
    until("the account is looked at", 2 * WELL_LOOKED_AT, || async {
        Ok((OffsetDateTime::now_utc() > given_up + WELL_LOOKED_AT).then_some(()))
    })
    .await?;
    Ok((ids, standing_still))
}

#[tokio::test]
async fn what_is_carried_out_late_is_not_told_as_not_carried_out_nor_is_it_overtaken()
-> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forests.first().context("no forest")?;
    let person = forest.person(people::AFTERWARDS.start)?;
    let old = forest.start_with_fresh_password(person).await?;
    let (older, newer) = (fresh_password(), fresh_password());
    let resets = [&older, &newer].map(|new| Event::reset(person, new).within(DEADLINE));
    let (ids, standing_still) = keep_waiting(&world, forest, &resets).await?;
    for id in &ids {
        let operation = world.door.operation(id).await?;
        ensure!(operation.text("status") == "pending", "{}", operation.body);
    }
    ensure!(forest.opens(person, &old).await?, "somebody has written it");
    drop(standing_still);
    for id in &ids {
        world.door.ended_operation(id).await?.expect_applied()?;
    }
    forest.prove(person, &old, &newer).await
}

#[tokio::test]
async fn what_a_controller_did_not_live_to_carry_out_is_told_as_that() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forests.first().context("no forest")?;
    let person = forest.person(people::AFTERWARDS.start)?;
    let old = forest.start_with_fresh_password(person).await?;
    let new = fresh_password();
    let reset = Event::reset(person, &new).within(DEADLINE);
    let (ids, standing_still) = keep_waiting(&world, forest, &[reset]).await?;
    let id = ids.first().context("no operation")?;
    let operation = world.door.operation(id).await?;
    ensure!(operation.text("status") == "pending", "{}", operation.body);
    standing_still.kill()?;
    let ended = world.door.ended_operation(id).await?;
    let unavailable = Reason::ForestUnavailable.code();
    ensure!(ended.text("reason") == unavailable, "{}", ended.body);
    forest.prove(person, &new, &old).await
}
