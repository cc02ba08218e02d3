//! One replica of the ledger's service stands still: the other does its work.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::ensure;
use e2e::World;
use futures_util::future::try_join_all;

use crate::{
    ALONE,
    errand::{End, Errand, Told, prepare_everywhere, settle},
    parts, people,
    told::Logs,
};

/// As long as an intake waits for the first replica that it asks, and what an operation takes otherwise.
const ANSWERED_WITHIN: Duration = Duration::from_secs(6);

/// Once: nobody has to send it again.
async fn send(world: &World, errand: &Errand<'_>) -> anyhow::Result<Told> {
    let answer = errand.send_once(world).await?;
    ensure!(
        answer.status == 200 && answer.took < ANSWERED_WITHIN,
        "{} after {:?}: {}",
        answer.status,
        answer.took,
        answer.body
    );
    Ok(Told {
        id: answer.operation_id()?.to_owned(),
        end: Some(End::Applied),
        took: answer.took,
    })
}

/// Whose operation has ended and is with the one that hangs is not kept from the next.
async fn again(world: &World, people: Range<usize>) -> anyhow::Result<()> {
    for _ in 0..2 {
        let errands = prepare_everywhere(world, people.clone()).await?;
        let answers = errands.iter().map(|errand| errand.send_once(world));
        for (errand, answer) in errands.iter().zip(try_join_all(answers).await?) {
            ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
            errand.prove(&End::Applied).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn nobody_is_refused_because_one_replica_of_the_ledger_hangs() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let replicas = parts::services("audit")?;
    for hung in &replicas {
        let logs = Logs::from_now_on()?;
        let errands = prepare_everywhere(&world, people::UNDER_WAY).await?;
        ensure!(errands.len() >= 20, "{} operations", errands.len());
        let stopped = parts::Stopped::stop(vec![*hung])?;
        let began = Instant::now();
        // all at once, so that many are with the one that hangs; then one after the other
        let (at_once, in_turn) = errands.split_at(errands.len() / 2);
        let mut told = try_join_all(at_once.iter().map(|errand| send(&world, errand))).await?;
        for errand in in_turn {
            told.push(send(&world, errand).await?);
        }
        again(&world, people::AFTERWARDS).await?;
        println!(
            "{} answers in {:?}, the slowest {:?}",
            told.len(),
            began.elapsed(),
            told.iter().map(|told| told.took).max()
        );
        drop(stopped);
        let ends = settle(&world, &errands, &told).await?;
        ensure!(ends.iter().all(|end| *end == End::Applied), "{ends:?}");
        for (service, line) in logs.lines()? {
            // the trace that nobody records
            let nobody_s = line["trace_id"] == "f".repeat(32);
            ensure!(!nobody_s, "{service}: {line}");
        }
    }
    Ok(())
}
