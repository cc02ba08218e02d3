//! The alerts that matter most, each fired by its fault: a real Prometheus watches the lab with the product's own rules.
//!
//! These tests would be in the way of any other: they have a binary of their own, and take turns.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::{Broker, DomainController, Event, Prometheus, World, fresh_password, parts, until};
use serde_json::Value;
use tokio::try_join;

/// Held by every test: each breaks what the others need.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const FIRES_WITHIN: Duration = Duration::from_mins(1);
/// Longer than an alert may take: what waits must still be waiting.
const PATIENT: Duration = Duration::from_mins(3);
/// Who has a password set here.
const PEOPLE: std::ops::Range<usize> = 45..49;

/// The forest that the faults are in.
fn ill(world: &World) -> anyhow::Result<&DomainController> {
    world.forests.last().context("the lab has no forest")
}

struct Watch {
    prometheus: Prometheus,
    alert: &'static str,
    /// If only one kind of service is looked at.
    service: Option<&'static str>,
    since: Instant,
}

impl Watch {
    /// All is well: it must not be firing.
    async fn begin(alert: &'static str) -> anyhow::Result<Self> {
        Self::begin_for(alert, None).await
    }

    async fn begin_for(alert: &'static str, service: Option<&'static str>) -> anyhow::Result<Self> {
        let watch = Self {
            prometheus: Prometheus::watch(alert).await?,
            alert,
            service,
            since: Instant::now(),
        };
        let firing = watch.firing().await?;
        ensure!(
            firing.is_empty(),
            "{alert} fires while all is well: {firing:?}"
        );
        Ok(watch)
    }

    async fn firing(&self) -> anyhow::Result<Vec<Value>> {
        let mut firing = self.prometheus.firing(self.alert).await?;
        firing.retain(|labels| {
            self.service.is_none_or(|service| {
                labels.get("service").and_then(Value::as_str) == Some(service)
            })
        });
        Ok(firing)
    }

    /// The fault happens now.
    fn fault(&mut self) {
        self.since = Instant::now();
    }

    /// Until it fires, for this forest if it is any's.
    async fn fires(&self, forest: Option<&str>) -> anyhow::Result<()> {
        let left = FIRES_WITHIN.saturating_sub(self.since.elapsed());
        until(&format!("{} fires", self.alert), left, || async {
            let firing = self.firing().await?;
            let found = firing.iter().any(|labels| {
                forest.is_none_or(|forest| {
                    labels.get("forest").and_then(Value::as_str) == Some(forest)
                })
            });
            let others = firing.iter().find(|labels| {
                forest.is_some_and(|forest| {
                    labels.get("forest").and_then(Value::as_str) != Some(forest)
                })
            });
            ensure!(others.is_none(), "{} fires for {others:?}", self.alert);
            Ok(found.then_some(()))
        })
        .await?;
        println!("{} fired after {:?}", self.alert, self.since.elapsed());
        Ok(())
    }

    /// Until it is over, once the fault is.
    async fn ends(&self) -> anyhow::Result<()> {
        until(&format!("{} ends", self.alert), FIRES_WITHIN, || async {
            let firing = self.firing().await?;
            Ok(firing.is_empty().then_some(()))
        })
        .await
    }
}

#[tokio::test]
async fn a_forest_that_is_down() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = ill(&world)?;
    let mut watch = Watch::begin("WritebackForestDown").await?;
    // nobody restarts it
    let supervisor = parts::Stopped::stop(vec![parts::supervisor()?])?;
    let controller = parts::infrastructure(&format!("samba-{}", forest.id()))?;
    parts::signal("-KILL", &controller)?;
    watch.fault();
    let fired = watch.fires(Some(forest.id())).await;
    drop(supervisor);
    fired?;
    parts::gone(&controller).await?;
    watch.ends().await?;
    parts::all_ready().await
}

#[tokio::test]
async fn a_forest_without_writers() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = ill(&world)?;
    // a forest that was taken out before is without writers until its queue is deleted: as the runbook says
    Broker::of_the_lab()?
        .delete_queues_of_removed_forests()
        .await?;
    let mut watch = Watch::begin("WritebackNoWriter").await?;
    // nobody restarts them
    let supervisor = parts::Stopped::stop(vec![parts::supervisor()?])?;
    let writers = parts::services(&format!("writer-{}", forest.id()))?;
    parts::signal("-KILL", &writers)?;
    watch.fault();
    let fired = watch.fires(Some(forest.id())).await;
    drop(supervisor);
    fired?;
    parts::gone(&writers).await?;
    watch.ends().await?;
    parts::all_ready().await
}

/// The broker believes that they live; whoever hears heartbeats does not, and what they should do waits.
#[tokio::test]
async fn writers_that_hang() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = ill(&world)?;
    // a replica of audit that a test before this one killed is missed for ten minutes
    let mut missing = Watch::begin_for("WritebackHeartbeatMissing", Some("writer")).await?;
    let mut waiting = Watch::begin("WritebackQueueAge").await?;
    let stopped = parts::Stopped::stop(parts::services(&format!("writer-{}", forest.id()))?)?;
    missing.fault();
    waiting.fault();
    let event = Event::unlock(forest.person(PEOPLE.start)?).within(PATIENT);
    let sent = world.door.send_without_waiting(&event).await?;
    try_join!(
        missing.fires(Some(forest.id())),
        waiting.fires(Some(forest.id()))
    )?;
    drop(stopped);
    world.door.ended_operation(sent.operation_id()?).await?;
    try_join!(missing.ends(), waiting.ends())?;
    parts::all_ready().await
}

#[tokio::test]
async fn a_service_account_that_lost_its_rights() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = ill(&world)?;
    for number in PEOPLE {
        forest
            .start_with_fresh_password(forest.person(number)?)
            .await?;
    }
    let mut watch = Watch::begin("WritebackRightsLost").await?;
    let deprived = forest.deprive_service_account().await?;
    watch.fault();
    let mut asked = Vec::new();
    for number in PEOPLE {
        let event = Event::reset(forest.person(number)?, &fresh_password());
        asked.push(world.door.send(&event).await);
    }
    let fired = watch.fires(Some(forest.id())).await;
    forest.give_back(deprived).await?;
    for answer in asked {
        answer?.expect_refused(422, operation::Reason::AccessDenied)?;
    }
    fired?;
    // the rights are back
    let event = Event::reset(forest.person(PEOPLE.start)?, &fresh_password());
    world.door.send(&event).await?.expect_applied()
}

#[tokio::test]
async fn a_ledger_that_is_down() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let mut watch = Watch::begin("WritebackLedgerDown").await?;
    let stopped = parts::Stopped::stop(parts::infrastructure("postgres")?)?;
    watch.fault();
    watch.fires(None).await?;
    drop(stopped);
    watch.ends().await?;
    parts::all_ready().await
}
