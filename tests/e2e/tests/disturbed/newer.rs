//! Newer wins, also where the ledger hears late of what an older operation wrote.

use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use e2e::{DomainController, Event, Measures, World, fresh_password, parts, until};
use lab::Lab;
use operation::Reason;
use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;

use crate::{ALONE, people};

const SOON: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_mins(1);
/// Enough to be written at all.
const SHORT: Duration = Duration::from_millis(6_500);
/// More than the stated skew allowance and the second that a controller's clock is read to.
const CERTAINLY_LATER: Duration = Duration::from_secs(2);

/// How often the ledger has been asked this.
async fn asked(question: &str) -> anyhow::Result<f64> {
    let calls = "rpc_server_call_duration_seconds_count";
    Measures::sum_of_all("audit-", calls, &[("rpc_method", question)]).await
}

async fn certainly_later_than(moment: OffsetDateTime) -> anyhow::Result<()> {
    until("a while later", SOON, || async {
        Ok((OffsetDateTime::now_utc() > moment + CERTAINLY_LATER).then_some(()))
    })
    .await
}

#[tokio::test]
async fn an_older_operation_whose_end_is_not_recorded_yet_supersedes_no_newer_one()
-> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forests.last().context("no forest")?;
    let person = forest.person(people::AFTERWARDS.start)?;
    let anchor = forest.identifiers(person).await?.source_anchor;
    forest.start_with_fresh_password(person).await?;
    let (older, newer) = (fresh_password(), fresh_password());
    let reset_to_older = Event::reset(person, &older);
    // named otherwise: before it is resolved nothing tells that it is about the same person
    let reset_to_newer = Event::reset(person, &newer).by_source_anchor(&anchor);

    let writers = parts::Stopped::stop(parts::services(&format!("writer-{}", forest.id()))?)?;
    let sent = world.door.send_without_waiting(&reset_to_older).await?;
    let first = sent.operation_id()?;
    world.door.handed_to(forest.id(), first, SOON).await?;
    let resolvers = parts::Stopped::stop(parts::services("resolver")?)?;
    let sent = world.door.send_without_waiting(&reset_to_newer).await?;
    let second = sent.operation_id()?;
    let admitted = OffsetDateTime::now_utc();
    certainly_later_than(admitted).await?;

    // as another replica does that is slow to append
    let mut database = PgConnection::connect(&Lab::load()?.postgres).await?;
    let mut appending = database.begin().await?;
    sqlx::query("SELECT FROM head FOR UPDATE")
        .execute(&mut *appending)
        .await?;
    drop(writers);
    until("the older password is set", SOON, || async {
        Ok(forest.opens(person, &older).await?.then_some(()))
    })
    .await?;
    let asked_before = asked("Claim").await?;
    drop(resolvers);
    until(
        "the newer one's writer asks for the account",
        SOON,
        || async { Ok((asked("Claim").await? > asked_before).then_some(())) },
    )
    .await?;
    appending.rollback().await?;

    for id in [first, second] {
        world.door.ended_operation(id).await?.expect_applied()?;
    }
    ensure!(
        forest.opens(person, &newer).await?,
        "the newer password is not the one that holds"
    );
    Ok(())
}

/// As after an outage of the forest, when both wait for a writer.
#[tokio::test]
async fn of_two_that_have_waited_the_newer_one_holds() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forests.first().context("no forest")?;
    let writers = parts::Stopped::stop(parts::services(&format!("writer-{}", forest.id()))?)?;
    let mut waiting = Vec::new();
    for person in people::UNDER_WAY {
        let person = forest.person(person)?;
        let anchor = forest.identifiers(person).await?.source_anchor;
        let mut resets = Vec::new();
        for by_name in [true, false] {
            let password = fresh_password();
            let reset = Event::reset(person, &password).within(DEADLINE);
            let reset = if by_name {
                reset
            } else {
                reset.by_source_anchor(&anchor)
            };
            let sent = world.door.send_without_waiting(&reset).await?;
            resets.push((sent.operation_id()?.to_owned(), password));
        }
        waiting.push((person, resets));
    }
    drop(writers);
    for (person, resets) in waiting {
        world.newest_holds(forest, person, &resets).await?;
    }
    Ok(())
}

/// The clocks cannot tell then whether it was set since the admission, but the answer to the claim can.
#[tokio::test]
async fn a_password_set_a_moment_ago_is_no_reason_to_ask_who_set_it() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forests.first().context("no forest")?;
    let person = forest.person(people::AFTERWARDS.start)?;
    let old = forest.start_with_fresh_password(person).await?;
    let (claims, questions) = (asked("Claim").await?, asked("Precedents").await?);
    let (first, second) = (fresh_password(), fresh_password());
    for password in [&first, &second] {
        let sent = world.door.send(&Event::reset(person, password)).await?;
        // in the ledger, too: the second one would wait for the first, and ask
        let ended = world.door.ended_operation(sent.operation_id()?).await?;
        ended.expect_applied()?;
    }
    ensure!(
        asked("Claim").await? >= claims + 2.0,
        "no account was claimed"
    );
    ensure!(
        asked("Precedents").await? < questions + 1.0,
        "the ledger was asked what it had told already"
    );
    forest.prove(person, &old, &second).await
}

/// The newer one is written at once and the ledger hears of it late, long after its deadline; meanwhile the older one has
/// been left behind on its way.
#[tokio::test]
async fn an_older_operation_overwrites_no_newer_one_whose_end_is_not_recorded_yet()
-> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forests.first().context("no forest")?;
    let [one, other] = parts::services("resolver")?
        .try_into()
        .map_err(|all| anyhow!("not two resolvers: {all:?}"))?;
    // the broker gives messages to them in turn
    let turns = [(one, other), (other, one)].into_iter().cycle();
    for (number, (answers, stands_still)) in people::UNDER_WAY.zip(turns) {
        let person = forest.person(number)?;
        if left_behind(&world, forest, person, answers, stands_still).await? {
            return Ok(());
        }
    }
    anyhow::bail!("the broker never gave the older one to the resolver that stood still")
}

/// False where the newer one was left behind.
async fn left_behind(
    world: &World,
    forest: &DomainController,
    person: &str,
    answers: u32,
    stands_still: u32,
) -> anyhow::Result<bool> {
    let anchor = forest.identifiers(person).await?.source_anchor;
    let old = forest.start_with_fresh_password(person).await?;
    let (older, newer) = (fresh_password(), fresh_password());
    let answers = parts::Stopped::stop(vec![answers])?;
    let stands_still = parts::Stopped::stop(vec![stands_still])?;
    let reset_to_older = Event::reset(person, &older).within(DEADLINE);
    let sent = world.door.send_without_waiting(&reset_to_older).await?;
    let first = sent.operation_id()?;
    let reset_to_newer = Event::reset(person, &newer).by_source_anchor(&anchor);
    let sent = world
        .door
        .send_without_waiting(&reset_to_newer.within(SHORT))
        .await?;
    let second = sent.operation_id()?;
    let deadline = OffsetDateTime::now_utc() + SHORT;
    let mut database = PgConnection::connect(&Lab::load()?.postgres).await?;
    let mut appending = database.begin().await?;
    // of the newer one nothing can be recorded
    sqlx::query("SELECT FROM operations WHERE id = $1::uuid FOR UPDATE")
        .bind(second)
        .execute(&mut *appending)
        .await?;
    drop(answers);
    let newer_is_set = until("one of them is written", SOON, || async {
        if forest.opens(person, &newer).await? {
            return Ok(Some(true));
        }
        Ok(forest.opens(person, &older).await?.then_some(false))
    })
    .await?;
    let asked_before = asked("Claim").await?;
    if newer_is_set {
        certainly_later_than(deadline).await?;
        drop(stands_still);
        until(
            "the older one's writer asks for the account",
            DEADLINE,
            || async { Ok((asked("Claim").await? > asked_before).then_some(())) },
        )
        .await?;
    } else {
        drop(stands_still);
    }
    appending.rollback().await?;
    let ended = world.door.ended_operation(first).await?;
    world.door.ended_operation(second).await?;
    if newer_is_set {
        let superseded = Reason::Superseded.code();
        ensure!(ended.text("reason") == superseded, "{}", ended.body);
        forest.prove(person, &old, &newer).await?;
    }
    Ok(newer_is_set)
}
