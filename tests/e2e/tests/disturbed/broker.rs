//! The broker is killed while operations are under way.

use anyhow::ensure;
use e2e::World;

use crate::{
    ALONE,
    errand::{End, prepare_everywhere, send_disturbed, settle},
    parts, people,
    told::Logs,
};

#[tokio::test]
async fn every_operation_has_one_end_though_the_broker_is_killed() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let errands = prepare_everywhere(&world, people::UNDER_WAY).await?;
    let logs = Logs::from_now_on()?;
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
    logs.tell_each_state_once()?;
    for message in ["broker connected again", "consuming again"] {
        let told = logs.with_message(message)?;
        ensure!(!told.is_empty(), "nobody said: {message}");
    }
    // and the product works again
    let errands = prepare_everywhere(&world, people::AFTERWARDS).await?;
    let told = send_disturbed(&world, &errands, async || Ok(())).await?;
    let ends = settle(&world, &errands, &told).await?;
    ensure!(ends.iter().all(|end| *end == End::Applied), "{ends:?}");
    Ok(())
}
