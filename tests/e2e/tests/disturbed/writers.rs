//! A forest without writers: what none of them had is expired in time; what one of them had is looked into first.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Answer, DomainController, Event, World, fresh_password, until};
use futures_util::future::try_join_all;
use operation::Reason;
use serde_json::Value;
use time::OffsetDateTime;

use crate::{
    ALONE,
    errand::{End, prepare, settle},
    parts, people,
    told::Logs,
};

/// A writer must have time to take it and none to write it.
const DEADLINE: Duration = Duration::from_secs(8);
/// From the deadline to the answer: dead letter, ledger, reply.
const TRAVELS: Duration = Duration::from_secs(3);
const LONG_ENOUGH: Duration = Duration::from_mins(1);
/// One more wrong password locks an account out in the lab's forests.
const ALL_BUT_ONE: usize = 4;

fn forest(world: &World) -> anyhow::Result<&DomainController> {
    world.forests.last().context("the lab has no forest")
}

fn writers(forest: &DomainController) -> anyhow::Result<Vec<u32>> {
    parts::services(&format!("writer-{}", forest.id()))
}

/// Who did what.
fn steps(answer: &Answer) -> impl Iterator<Item = (&str, &str)> {
    answer
        .body
        .get("steps")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|step| Some((step.get("service")?.as_str()?, step.get("step")?.as_str()?)))
}

#[tokio::test]
async fn what_no_writer_had_is_expired_in_time() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = forest(&world)?;
    let writers = writers(forest)?;
    // nobody restarts them
    let supervisor = parts::Stopped::stop(vec![parts::supervisor()?])?;
    parts::signal("-KILL", &writers)?;
    parts::dead(&writers).await?;
    let errands = prepare(&world, forest, people::AFTERWARDS, DEADLINE).await?;
    let told = try_join_all(errands.iter().map(|errand| errand.send(&world))).await?;
    drop(supervisor);
    for told in &told {
        let expired = End::Not(Reason::DeadlineExceeded.code().to_owned());
        ensure!(told.end == Some(expired), "told {:?}", told.end);
        ensure!(told.took < DEADLINE + TRAVELS, "told after {:?}", told.took);
    }
    parts::gone(&writers).await?;
    settle(&world, &errands, &told).await?;
    Ok(())
}

#[tokio::test]
async fn what_a_writer_had_is_not_called_expired_before_another_has_looked() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = forest(&world)?;
    let writers = writers(forest)?;
    let errands = prepare(&world, forest, people::AFTERWARDS, DEADLINE).await?;
    let deadline = OffsetDateTime::now_utc() + DEADLINE;
    // they take what comes and do nothing with it
    let stopped = parts::Stopped::stop(writers.clone())?;
    let sending = try_join_all(errands.iter().map(|errand| errand.send(&world)));
    let killing = async {
        until("the deadline passes", DEADLINE * 2, || async {
            Ok((OffsetDateTime::now_utc() > deadline).then_some(()))
        })
        .await?;
        parts::signal("-KILL", &writers)
    };
    let (told, killed) = tokio::join!(sending, killing);
    killed?;
    drop(stopped);
    let told = told?;
    parts::gone(&writers).await?;
    for end in settle(&world, &errands, &told).await? {
        ensure!(
            end == End::Not(Reason::DeadlineExceeded.code().to_owned()),
            "{end:?}"
        );
    }
    for told in &told {
        let answer = world.door.operation(&told.id).await?;
        ensure!(
            steps(&answer).any(|(service, step)| service.starts_with("writer-") && step == "ended"),
            "no writer has looked: {}",
            answer.body
        );
        ensure!(
            steps(&answer).all(|(_, step)| step != "expired"),
            "called undelivered: {}",
            answer.body
        );
    }
    Ok(())
}

/// Where the time of the password tells nothing, whether it was set is found out by trying it, which is a wrong password if
/// it was not.
#[tokio::test]
async fn nobody_is_locked_out_by_finding_out_whether_a_password_was_set() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = forest(&world)?;
    let person = forest.person(people::UNDER_WAY.start)?;
    let (given, chosen) = (fresh_password(), fresh_password());
    let to_be_changed = Event::reset(person, &given)
        .by_administrator()
        .must_change_at_next_sign_in();
    world.door.send(&to_be_changed).await?.expect_applied()?;
    for _ in 0..ALL_BUT_ONE {
        ensure!(!forest.opens(person, "not the password").await?);
    }
    let change = Event::change(person, &given, &chosen).within(LONG_ENOUGH);
    let [id] = die_with(&world, forest, [&change], async || Ok(())).await?;
    world.door.ended_operation(&id).await?.expect_applied()?;
    forest.prove(person, &given, &chosen).await
}

/// A writer writes the password of this reset and dies before it can say so, and the person is locked out.
async fn write_lock_and_die(
    world: &World,
    forest: &DomainController,
    person: &str,
    new: &str,
    reset: &Event,
) -> anyhow::Result<String> {
    let set_and_lock = async || {
        forest.set_password(person, new).await?;
        forest.lock(person, new).await
    };
    let [id] = die_with(world, forest, [reset], set_and_lock).await?;
    Ok(id)
}

/// A reset that has been written by a writer that died before it could say so, when the person is locked out: the domain
/// controller looks at no password of theirs, so it cannot tell.
async fn hide_by_lockout(
    world: &World,
    forest: &DomainController,
    person: &str,
    new: &str,
) -> anyhow::Result<String> {
    let logs = Logs::from_now_on()?;
    let reset = Event::reset(person, new)
        .keeping_a_lockout()
        .within(DEADLINE);
    let id = write_lock_and_die(world, forest, person, new, &reset).await?;
    until("a writer meets the lockout", LONG_ENOUGH, || async {
        let met = logs.with_message(
            "in doubt, and the account is locked: the password can be tried once it is unlocked",
        )?;
        Ok((!met.is_empty()).then_some(()))
    })
    .await?;
    let operation = world.door.operation(&id).await?;
    ensure!(operation.text("status") == "pending", "{}", operation.body);
    Ok(id)
}

#[tokio::test]
async fn what_a_lockout_hides_is_pending_until_it_is_lifted() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = forest(&world)?;
    let person = forest.person(people::UNDER_WAY.start)?;
    let old = forest.start_with_fresh_password(person).await?;
    let new = fresh_password();
    let id = hide_by_lockout(&world, forest, person, &new).await?;
    let unlocked = world.door.send(&Event::unlock(person)).await?;
    unlocked.expect_applied()?;
    let ended = world.door.ended_operation(&id).await?;
    ended.expect_applied()?;
    let found = steps(&ended).any(|(_, step)| step == "reconciled");
    ensure!(found, "{}", ended.body);
    forest.prove(person, &old, &new).await
}

#[tokio::test]
async fn who_is_locked_out_waits_for_nothing_that_the_lockout_hides() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = forest(&world)?;
    let person = forest.person(people::UNDER_WAY.start)?;
    let hidden = fresh_password();
    let id = hide_by_lockout(&world, forest, person, &hidden).await?;
    let new = fresh_password();
    let reset = Event::reset(person, &new).within(LONG_ENOUGH);
    world.door.send(&reset).await?.expect_applied()?;
    let ended = world.door.ended_operation(&id).await?;
    let superseded = Reason::Superseded.code();
    ensure!(ended.text("reason") == superseded, "{}", ended.body);
    forest.prove(person, &hidden, &new).await
}

/// A lockout that the operation is to undo anyway hides nothing.
#[tokio::test]
async fn a_reset_that_unlocks_does_so_to_find_out_whether_it_was_written() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = forest(&world)?;
    let person = forest.person(people::UNDER_WAY.start)?;
    let old = forest.start_with_fresh_password(person).await?;
    let new = fresh_password();
    let reset = Event::reset(person, &new).within(LONG_ENOUGH);
    let id = write_lock_and_die(&world, forest, person, &new, &reset).await?;
    let ended = world.door.ended_operation(&id).await?;
    ended.expect_applied()?;
    let found = steps(&ended).any(|(_, step)| step == "reconciled");
    ensure!(found, "{}", ended.body);
    forest.prove(person, &old, &new).await
}

/// Of each it is asked whether its password was set, where one before it has just set another.
#[tokio::test]
async fn finding_out_about_many_tries_no_password_that_another_has_replaced() -> anyhow::Result<()>
{
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = forest(&world)?;
    let person = forest.person(people::UNDER_WAY.start)?;
    let before = Event::reset(person, &fresh_password());
    world.door.send(&before).await?.expect_applied()?;
    for _ in 0..ALL_BUT_ONE {
        ensure!(!forest.opens(person, "not the password").await?);
    }
    let logs = Logs::from_now_on()?;
    let passwords = [fresh_password(), fresh_password(), fresh_password()];
    let resets = passwords.each_ref().map(|password| {
        let reset = Event::reset(person, password).within(LONG_ENOUGH);
        reset.keeping_a_lockout()
    });
    let ids = die_with(&world, forest, resets.each_ref(), async || Ok(())).await?;
    for id in ids {
        world.door.ended_operation(&id).await?.expect_applied()?;
    }
    let locked = logs.with_message("trying the password had locked the account: unlocked again")?;
    ensure!(locked.is_empty(), "{locked:?}");
    let [.., last] = &passwords;
    ensure!(
        forest.opens(person, last).await?,
        "the last one does not hold"
    );
    Ok(())
}

/// Hands operations to writers that do nothing with them, and kills them.
async fn die_with<const N: usize>(
    world: &World,
    forest: &DomainController,
    events: [&Event; N],
    meanwhile: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<[String; N]> {
    let writers = writers(forest)?;
    let stopped = parts::Stopped::stop(writers.clone())?;
    let mut ids = [const { String::new() }; N];
    for (event, id) in events.into_iter().zip(&mut ids) {
        let sent = world.door.send_without_waiting(event).await?;
        sent.operation_id()?.clone_into(id);
        world.door.handed_to(forest.id(), id, DEADLINE).await?;
    }
    meanwhile().await?;
    parts::signal("-KILL", &writers)?;
    drop(stopped);
    parts::gone(&writers).await?;
    Ok(ids)
}
