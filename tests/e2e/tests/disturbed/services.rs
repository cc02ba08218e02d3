//! All services of one kind are killed while operations are under way.

use anyhow::ensure;
use e2e::World;

use crate::{
    ALONE,
    errand::{End, prepare_everywhere, send_disturbed, settle},
    parts, people,
};

async fn killed(kind: &str) -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let errands = prepare_everywhere(&world, people::UNDER_WAY).await?;
    let told = send_disturbed(&world, &errands, async || {
        let services = parts::services(kind)?;
        parts::signal("-KILL", &services)?;
        parts::gone(&services).await
    })
    .await?;
    let ends = settle(&world, &errands, &told).await?;
    let applied = ends.iter().filter(|end| **end == End::Applied).count();
    // they are back within seconds, long before the deadline
    ensure!(applied * 10 >= ends.len() * 9, "{ends:?}");
    Ok(())
}

#[tokio::test]
async fn every_operation_has_one_end_though_every_intake_is_killed() -> anyhow::Result<()> {
    killed("intake").await
}

#[tokio::test]
async fn every_operation_has_one_end_though_every_resolver_is_killed() -> anyhow::Result<()> {
    killed("resolver").await
}

#[tokio::test]
async fn every_operation_has_one_end_though_every_writer_is_killed() -> anyhow::Result<()> {
    killed("writer").await
}

#[tokio::test]
async fn every_operation_has_one_end_though_the_ledger_s_services_are_killed() -> anyhow::Result<()>
{
    killed("audit").await
}
