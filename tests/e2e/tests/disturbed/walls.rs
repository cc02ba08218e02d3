//! One forest's domain controller stands still: the other forest's people notice nothing.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{DomainController, Event, World};
use futures_util::future::try_join_all;
use operation::Reason;

use crate::{
    ALONE,
    errand::{End, prepare, send_disturbed, settle},
    parts, people,
    told::Logs,
};

/// Far less than any time-out towards a domain controller.
const AT_ONCE: Duration = Duration::from_secs(3);
const DEADLINE: Duration = Duration::from_secs(15);
/// Prepared before anything stands still, and sent after that.
const IN_TIME: Duration = Duration::from_mins(1);

/// More operations than all resolvers together take at once.
const MANY: usize = 80;

async fn flood(world: &World, forest: &DomainController) -> anyhow::Result<Vec<String>> {
    let sent = people::UNDER_WAY
        .cycle()
        .take(MANY)
        .map(|number| async move {
            let event = Event::unlock(forest.person(number)?)
                .in_domain(forest.domain())
                .within(DEADLINE);
            let answer = world.door.send_without_waiting(&event).await?;
            Ok(answer.operation_id()?.to_owned())
        });
    try_join_all(sent).await
}

#[tokio::test]
async fn a_forest_that_stands_still_holds_up_no_other() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let well = world.forests.first().context("no forest")?;
    let ill = world.forests.last().context("no forest")?;
    let before = prepare(&world, ill, people::UNDER_WAY, DEADLINE).await?;
    let meanwhile = prepare(&world, ill, people::AFTERWARDS, IN_TIME).await?;
    let unaffected = prepare(&world, well, people::UNDER_WAY, IN_TIME).await?;

    let logs = Logs::from_now_on()?;
    let mut stopped = None;
    let told_before = send_disturbed(&world, &before, async || {
        stopped = Some(parts::Stopped::stop(parts::infrastructure(&format!(
            "samba-{}",
            ill.id()
        ))?)?);
        Ok(())
    });
    let told_unaffected = async {
        let told = send_disturbed(&world, &unaffected, async || Ok(())).await?;
        for told in &told {
            ensure!(told.end == Some(End::Applied), "{:?}", told.end);
            ensure!(told.took < AT_ONCE, "it took {:?}", told.took);
        }
        Ok(told)
    };
    let told_before = told_before.await?;
    let flood = flood(&world, ill).await?;
    // the well forest's operations run while the ill one's wait for their end
    let (told_meanwhile, told_unaffected) = tokio::join!(
        send_disturbed(&world, &meanwhile, async || Ok(())),
        told_unaffected
    );
    let (told_meanwhile, told_unaffected) = (told_meanwhile?, told_unaffected?);
    for told in &told_meanwhile {
        let reasons = [Reason::ForestUnavailable, Reason::DeadlineExceeded];
        ensure!(
            told.end.as_ref().is_none_or(|end| reasons
                .iter()
                .any(|reason| *end == End::Not(reason.code().to_owned()))),
            "{:?}",
            told.end
        );
    }
    drop(stopped);
    for id in flood {
        world.door.ended_operation(&id).await?;
    }
    crate::works_again(&world, ill).await?;
    settle(&world, &before, &told_before).await?;
    settle(&world, &meanwhile, &told_meanwhile).await?;
    settle(&world, &unaffected, &told_unaffected).await?;
    logs.tell_each_state_once()
}
