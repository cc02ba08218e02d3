//! Who does not say how long to wait waits as long as somebody at a page does, whatever the deadline.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Event, World, parts};

use crate::{ALONE, people};

const DEADLINE: Duration = Duration::from_hours(1);
/// What an operation without `expirytime` has, and some for an answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(45);

#[tokio::test]
async fn a_distant_deadline_keeps_nobody_waiting_for_it() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forests.first().context("no forest")?;
    let person = forest.person(people::AFTERWARDS.start)?;
    let stopped = parts::Stopped::stop(parts::services("resolver")?)?;
    let event = Event::unlock(person).within(DEADLINE);
    let answer = world.door.send(&event).await?;
    ensure!(
        answer.status == 202 && answer.took < ANSWERED_WITHIN,
        "{} after {:?}: {}",
        answer.status,
        answer.took,
        answer.body
    );
    ensure!(answer.location().is_some(), "no Location");
    drop(stopped);
    let ended = world.door.ended_operation(answer.operation_id()?).await?;
    ensure!(ended.text("status") == "applied", "{}", ended.body);
    parts::all_ready().await
}
