//! The ledger's database stands still: nothing goes on unrecorded.

use anyhow::ensure;
use e2e::World;
use futures_util::future::join_all;
use operation::Reason;

use crate::{
    ALONE,
    errand::{End, prepare_everywhere, send_disturbed, settle},
    parts, people,
    told::Logs,
};

#[tokio::test]
async fn nothing_is_carried_out_while_the_ledger_cannot_be_written() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let errands = prepare_everywhere(&world, people::UNDER_WAY).await?;
    let logs = Logs::from_now_on()?;
    let stopped = parts::Stopped::stop(parts::infrastructure("postgres")?)?;
    let answers = join_all(errands.iter().map(|errand| errand.send_once(&world))).await;
    for answer in answers {
        let answer = answer?;
        ensure!(answer.status == 503, "{} {}", answer.status, answer.body);
        ensure!(
            answer.headers.contains_key("retry-after"),
            "no Retry-After: {:?}",
            answer.headers
        );
        ensure!(answer.operation_id().is_err(), "{}", answer.body);
    }
    let untouched = End::Not("not admitted".to_owned());
    for errand in &errands {
        errand.prove(&untouched).await?;
    }
    drop(stopped);
    parts::all_ready().await?;
    logs.tell_each_state_once()?;
    let back = logs.with_message("in touch with the database again")?;
    ensure!(!back.is_empty(), "nobody said that the database is back");
    // What the database was asked before it stood still may be carried out when it wakes: the event
    // is then admitted though nobody was told, and if it comes again before it may be published a
    // second time, nobody takes it up. It expires, and nothing has been changed.
    let told = send_disturbed(&world, &errands, async || Ok(())).await?;
    let ends = settle(&world, &errands, &told).await?;
    let not_taken_up = End::Not(Reason::DeadlineExceeded.code().to_owned());
    ensure!(
        ends.iter()
            .all(|end| *end == End::Applied || *end == not_taken_up),
        "{ends:?}"
    );
    let applied = ends.iter().filter(|end| **end == End::Applied).count();
    ensure!(applied * 2 > ends.len(), "{ends:?}");
    Ok(())
}
