//! A forest with two domain controllers: when the first dies or freezes, operations go to the second in time, and back to
//! the first when it answers again.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use e2e::{Answer, DomainController, Event, Measures, World, fresh_password, until};
use lab::Place;
use tokio::time::interval;

use crate::{ALONE, forests::lab, parts, people};

const SECOND: &str = "ldaps://127.0.0.21:636";
/// No operation may take longer while another domain controller is there.
const BOUND: Duration = Duration::from_secs(5);
/// The first one after a freeze: the resolver and the writer each wait for an answer once.
const BOUND_AT_FREEZE: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_mins(1);
/// What the two writers of a forest have in hand (`writer.concurrency`).
const IN_HAND: f64 = 16.0;
const IN_DOUBT_AT_MOST: Duration = Duration::from_mins(3);

/// The second domain controller; taken out again also by a test that fails.
struct Added;

impl Added {
    async fn add() -> anyhow::Result<Self> {
        let added = Self;
        lab("add-controller").await?;
        Ok(added)
    }
}

impl Drop for Added {
    fn drop(&mut self) {
        if let Ok(place) = Place::of_this_repository() {
            let removed = Command::new(place.binary("writeback-lab"))
                .arg("remove-controller")
                .status();
            eprintln!("the second domain controller is taken out: {removed:?}");
        }
    }
}

/// Writers read their forest's section when they start.
async fn restart_writers(forest: &DomainController) -> anyhow::Result<()> {
    let writers = parts::services(&format!("writer-{}", forest.id()))?;
    parts::signal("-TERM", &writers)?;
    parts::gone(&writers).await?;
    parts::all_ready().await
}

/// Where an operation was written.
fn written_at(operation: &Answer) -> Option<String> {
    let steps = operation.body["steps"].as_array()?;
    let written = steps.iter().find(|step| step["step"] == "written")?;
    let (_, place) = written["detail"].as_str()?.split_once("at ")?;
    Some(place.split(',').next()?.to_owned())
}

/// A reset, and where it was written; None if that was in doubt when it was answered.
async fn reset(
    world: &World,
    person: &str,
    password: &str,
) -> anyhow::Result<(Duration, Option<String>)> {
    let answer = world.door.send(&Event::reset(person, password)).await?;
    if answer.status == 202 {
        return Ok((answer.took, None));
    }
    answer.expect_applied()?;
    let operation = world.door.operation(answer.operation_id()?).await?;
    Ok((answer.took, written_at(&operation)))
}

/// How many writers of the forest have an open breaker for this controller.
async fn open_breakers(forest: &DomainController, controller: &str) -> anyhow::Result<f64> {
    let host = controller.trim_start_matches("ldaps://");
    let host = host.split(':').next().unwrap_or_default();
    let writers = format!("writer-{}-", forest.id());
    let mut open = 0.0;
    for state in ["open", "half-open"] {
        let labels = [("server_address", host), ("state", state)];
        open += Measures::sum_of_all(&writers, "writeback_directory_controllers", &labels).await?;
    }
    Ok(open)
}

/// Until operations are written at the first controller again.
async fn back_at_the_first(
    world: &World,
    first: &DomainController,
    person: &str,
) -> anyhow::Result<()> {
    until(
        "the first domain controller is written to again",
        PATIENCE,
        || async {
            let (_, at) = reset(world, person, &fresh_password()).await?;
            Ok((at.as_deref() == Some(first.ldaps())).then_some(()))
        },
    )
    .await?;
    until("no breaker is open", PATIENCE, || async {
        Ok((open_breakers(first, first.ldaps()).await? == 0.0).then_some(()))
    })
    .await
}

/// The first dies in the midst of operations.
async fn dies(world: &World, first: &DomainController) -> anyhow::Result<()> {
    let second = first.at(SECOND);
    let nobody_restarts = parts::Stopped::stop(vec![parts::supervisor()?])?;
    let controller = parts::infrastructure(&format!("samba-{}", first.id()))?;
    let mut in_doubt = 0;
    let mut longest = Duration::ZERO;
    let mut places = Vec::new();
    let mut turns = interval(Duration::from_millis(50));
    for (count, number) in people::UNDER_WAY.cycle().take(60).enumerate() {
        turns.tick().await;
        if count == 20 {
            parts::signal("-KILL", &controller)?;
        }
        let new = fresh_password();
        let person = first.person(number)?;
        let (took, at) = reset(world, person, &new).await?;
        if at.is_none() {
            in_doubt += 1;
            continue;
        }
        longest = longest.max(took);
        if count == 59 {
            second.prove(person, &fresh_password(), &new).await?;
        }
        places.extend(at);
    }
    ensure!(
        in_doubt <= 1,
        "{in_doubt} were in doubt, and one at most was under way"
    );
    ensure!(longest < BOUND, "one took {longest:?}");
    ensure!(
        places.first().map(String::as_str) == Some(first.ldaps()),
        "{places:?}"
    );
    ensure!(places[25..].iter().all(|at| at == SECOND), "{places:?}");
    ensure!(
        open_breakers(first, first.ldaps()).await? > 0.0,
        "no breaker is open"
    );
    println!("the first domain controller died: the longest of 60 operations took {longest:?}");
    drop(nobody_restarts);
    back_at_the_first(world, first, first.person(people::UNDER_WAY.start)?).await
}

/// The first stands still, until what is returned is dropped: who asks it first waits for it, nobody after that.
async fn freezes(world: &World, first: &DomainController) -> anyhow::Result<parts::Stopped> {
    let frozen = parts::Stopped::stop(parts::infrastructure(&format!("samba-{}", first.id()))?)?;
    let person = first.person(people::AFTERWARDS.start)?;
    let mut took = Vec::new();
    for _ in 0..12 {
        let (this, at) = reset(world, person, &fresh_password()).await?;
        ensure!(at.as_deref() == Some(SECOND), "{at:?} after {took:?}");
        took.push(this);
    }
    println!("the first domain controller froze: operations took {took:?}");
    ensure!(took.iter().all(|took| *took < BOUND_AT_FREEZE), "{took:?}");
    // two writers and two resolvers may each wait once
    let waited = took
        .iter()
        .filter(|took| **took > Duration::from_secs(2))
        .count();
    ensure!(
        waited <= 4 && took[8..].iter().all(|took| *took < Duration::from_secs(2)),
        "{took:?}"
    );
    Ok(frozen)
}

/// How many writes have come in doubt since the forest's writers were started.
async fn in_doubt(forest: &DomainController) -> anyhow::Result<f64> {
    let writers = format!("writer-{}-", forest.id());
    Measures::sum_of_all(&writers, "writeback_writer_in_doubt_total", &[]).await
}

/// While the first stands still, writers die with as many operations as they have in hand. Those are in doubt for as long,
/// since it may have been sent a write of any; nobody else waits for them.
async fn writers_die(
    world: &World,
    first: &DomainController,
    frozen: parts::Stopped,
) -> anyhow::Result<()> {
    let second = first.at(SECOND);
    let writers = parts::services(&format!("writer-{}", first.id()))?;
    let stopped = parts::Stopped::stop(writers.clone())?;
    let mut begun = Vec::new();
    for number in people::MANY {
        let person = first.person(number)?;
        let password = fresh_password();
        let event = Event::reset(person, &password).within(IN_DOUBT_AT_MOST);
        let sent = world.door.send_without_waiting(&event).await?;
        begun.push((person, password, sent.operation_id()?.to_owned()));
    }
    for (_, _, id) in &begun {
        world.door.handed_to(first.id(), id, PATIENCE).await?;
    }
    parts::signal("-KILL", &writers)?;
    drop(stopped);
    parts::gone(&writers).await?;
    parts::all_ready().await?;
    until("all that they had is in doubt", PATIENCE, || async {
        Ok((in_doubt(first).await? >= IN_HAND).then_some(()))
    })
    .await?;
    for number in people::UNDER_WAY {
        let (took, at) = reset(world, first.person(number)?, &fresh_password()).await?;
        ensure!(
            at.as_deref() == Some(SECOND) && took < BOUND_AT_FREEZE,
            "{at:?} after {took:?}"
        );
    }
    let mut still = 0;
    for (_, _, id) in &begun {
        still += u32::from(world.door.operation(id).await?.text("status") == "pending");
    }
    ensure!(
        f64::from(still) >= IN_HAND,
        "{still} are pending, and what was in doubt cannot have ended"
    );
    drop(frozen);
    for (person, password, id) in begun {
        let applied = world.door.ended_operation(&id).await?.text("status") == "applied";
        // they tell each other later
        let opens =
            first.opens(person, &password).await? || second.opens(person, &password).await?;
        ensure!(
            opens == applied,
            "{person} was told {applied}, and the password opens: {opens}"
        );
    }
    back_at_the_first(world, first, first.person(people::UNDER_WAY.start)?).await
}

#[tokio::test]
async fn operations_go_to_the_second_controller_while_the_first_is_away() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let first = world.forests.first().context("no forest")?;
    let added = Added::add().await?;
    restart_writers(first).await?;
    let person = first.person(people::UNDER_WAY.start)?;
    let (_, at) = reset(&world, person, &fresh_password()).await?;
    ensure!(
        at.as_deref() == Some(first.ldaps()),
        "the PDC emulator is not asked first: {at:?}"
    );

    dies(&world, first).await?;
    let frozen = freezes(&world, first).await?;
    writers_die(&world, first, frozen).await?;
    drop(added);
    restart_writers(first).await
}
