//! Which forest, which domain, which object is this person?
//!
//! Takes admitted requests, asks every forest that may know the person, and hands the operation to
//! that forest's writers; or ends it, saying why. It reads directories and never writes to one, and
//! it cannot open a seal.

mod anchors;
mod forests;
mod health;
mod observe;
mod passage;
mod remembered;
mod roster;
mod standstill;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use bus::{BrokerConfig, Bus, Queue};
use chassis::Chassis;
use proto::v1;

const CHECK: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    chassis::run(chassis::program!("resolver"), start)
}

async fn start(chassis: Chassis) -> anyhow::Result<()> {
    let broker_ready = chassis.readiness.require("broker");
    let settings = &chassis.config;
    let observer = Arc::new(observe::Observer::new());
    let forests = Arc::new(forests::Forests::new(Arc::clone(&observer)));
    let roster = roster::Roster::new(
        settings,
        Arc::clone(&forests),
        Arc::clone(&observer),
        chassis.shutdown.clone(),
    )?;
    let changes = chassis.config_changes();
    chassis.spawn("forests", async move {
        roster.follow(changes).await;
        Ok(())
    });
    let bus = connect(&chassis).await?;
    let prefetch = u16::try_from(settings.resolver.concurrency)
        .unwrap_or(u16::MAX)
        .max(1);
    let deliveries = bus.consume(Queue::Requests, prefetch).await?;
    let heart = heartbeat::Heart::new(&chassis, &bus, v1::ServiceKind::Resolver)?;
    let asked = Arc::clone(&forests);
    chassis.spawn("heartbeat", heart.beat(move || health::of(&asked)));
    let passage = Arc::new(passage::Passage {
        forests,
        publisher: bus.publisher(),
        service: settings.service.name.clone(),
        observer,
    });

    let operations = deliveries.each(move |delivery| Arc::clone(&passage).take(delivery));
    chassis.spawn("operations", async move {
        operations.await;
        Ok(())
    });

    let mut ticks = tokio::time::interval(CHECK);
    loop {
        tokio::select! {
            () = chassis.shutdown.cancelled() => return Ok(()),
            _ = ticks.tick() => broker_ready.set(bus.is_connected()),
        }
    }
}

async fn connect(chassis: &Chassis) -> anyhow::Result<Bus> {
    let broker = &chassis.config.broker;
    let config = BrokerConfig {
        url: broker.url.clone(),
        username: broker.username.clone(),
        password: broker.password()?,
        ca_pem: broker.ca_pem()?,
    };
    Bus::connect(
        config,
        &chassis.config.service.name,
        chassis.shutdown.clone(),
    )
    .await
    .context("broker")
}
