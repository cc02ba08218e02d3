//! The broker is killed while operations are under way.

use anyhow::ensure;
use e2e::World;

use crate::{
    ALONE,
    errand::{End, prepare_everywhere, send_disturbed, settle},
    parts, people,
};

#[tokio::test]
async fn every_operation_has_one_end_though_the_broker_is_killed() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let errands = prepare_everywhere(&world, people::UNDER_WAY).await?;
    let told = send_disturbed(&world, &errands, async || {
        let broker = parts::infrastructure("rabbitmq")?;
        parts::signal("-KILL", &broker)?;
        parts::gone(&broker).await
    })
    .await?;
    let ends = settle(&world, &errands, &told).await?;
    ensure!(
        ends.contains(&End::Applied),
        "none was carried out: {ends:?}"
    );
    // and the product works again
    let errands = prepare_everywhere(&world, people::AFTERWARDS).await?;
    let told = send_disturbed(&world, &errands, async || Ok(())).await?;
    let ends = settle(&world, &errands, &told).await?;
    ensure!(ends.iter().all(|end| *end == End::Applied), "{ends:?}");
    Ok(())
}
