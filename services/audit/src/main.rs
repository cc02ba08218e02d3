//! The ledger: admits operations, records what becomes of them, keeps the settings, proves it all.
//!
//! Nothing is published before it is written here, and nothing written here changes: entries are
//! chained by hash, and the end of the chain is signed. It knows no forest and no directory, and
//! opens no password; what it is told of an operation is all it knows.

mod appender;
mod batch;
mod claiming;
mod content;
mod database;
mod expired;
mod guard;
mod heartbeats;
mod key_act;
mod news;
mod observe;
mod observe_health;
mod outcomes;
mod record;
mod recording;
mod row;
mod rpc;
mod settings;
mod signing;
mod standing;
mod store;
mod sweeper;
mod tally;
mod tls;
mod verdict;
mod verify;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use bus::{BrokerConfig, Bus, Queue};
use chassis::{Chassis, config::Audit, tls::HTTP_2};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

const SIGN_TIME_OUT: Duration = Duration::from_secs(10);
const BROKER_CHECK: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    chassis::run(chassis::program!("audit"), start)
}

async fn start(chassis: Chassis) -> anyhow::Result<()> {
    let settings = &chassis.config.audit;
    let database_ready = chassis.readiness.require("database");
    let broker_ready = chassis.readiness.require("broker");

    let key = Arc::new(signing_key(settings)?);
    let tls = chassis.server_tls(settings.certificate_files()?, HTTP_2)?;
    let guard = guard::Guard::new(settings).await?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("audit.listen {}", settings.listen))?;
    tracing::info!(address = %settings.listen, tls = tls.is_some(), "listening for gRPC");

    database::migrate(settings).await?;
    let pool = database::pool(settings)?;
    tokio::time::timeout(SIGN_TIME_OUT, store::sign_empty_head(&pool, &key))
        .await
        .context("the database did not answer in time")??;

    let service = chassis.config.service.name.clone();
    let news = news::News::new();
    let (appender, appending) = appender::appender(
        pool.clone(),
        Arc::clone(&key),
        settings.throttle_per_person_per_hour,
        service.clone(),
        news.clone(),
    );
    chassis.spawn("appender", appending.run());
    let (claims, claiming) = claiming::claims(database::options_for_claims(settings)?);
    chassis.spawn("claiming", claiming.run());

    chassis.spawn(
        "news",
        news.clone().run(
            pool.clone(),
            move |ready| database_ready.set(ready),
            chassis.shutdown.clone(),
        ),
    );
    let (standing, tally) =
        standing::Standing::new(service.clone(), news.clone(), broker_ready.clone());
    let heartbeats = standing.heartbeats.clone();
    observe_health::observe(&standing);
    chassis.spawn(
        "tally",
        tally::run(
            pool.clone(),
            heartbeats.clone(),
            tally,
            chassis.shutdown.clone(),
        ),
    );
    let rpc = rpc::Rpc {
        pool: pool.clone(),
        appender: appender.clone(),
        claims,
        news: news.clone(),
        standing,
        key,
        shutdown: chassis.shutdown.clone(),
    };
    chassis.spawn("grpc", rpc.serve(listener, tls, guard));
    // Admission does not wait for the broker: what is recorded needs only the database.
    let bus = connect(&chassis, &service).await?;
    heartbeats::listen(&chassis, &bus, heartbeats).await?;
    let outcomes = bus.consume(Queue::Outcomes, outcomes::PREFETCH).await?;
    let under_way = outcomes::UnderWay::default();
    chassis.spawn(
        "outcomes",
        outcomes::consume(
            outcomes,
            appender.clone(),
            under_way.clone(),
            chassis.shutdown.clone(),
        ),
    );
    let sweeper = sweeper::Sweeper {
        pool: pool.clone(),
        appender: appender.clone(),
        bus: bus.clone(),
        under_way,
        shutdown: chassis.shutdown.clone(),
    };
    chassis.spawn("sweeper", sweeper.run());
    let dead_letters = expired::DeadLetters {
        pool,
        appender,
        publisher: bus.publisher(),
        service,
        news,
        resting: Semaphore::new(expired::RESTING),
        shutdown: chassis.shutdown.clone(),
    };
    let expired = bus.consume(Queue::Expired, expired::PREFETCH).await?;
    chassis.spawn("expired", dead_letters.consume(expired));

    let mut ticks = tokio::time::interval(BROKER_CHECK);
    loop {
        tokio::select! {
            () = chassis.shutdown.cancelled() => return Ok(()),
            _ = ticks.tick() => broker_ready.set(bus.is_connected()),
        }
    }
}

fn signing_key(settings: &Audit) -> anyhow::Result<signing::SigningKey> {
    let file = settings
        .signing_key_file
        .as_ref()
        .context("audit.signing_key_file: missing; the ledger's head must be signed")?;
    Ok(signing::SigningKey::from_file(file)?)
}

async fn connect(chassis: &Chassis, service: &str) -> anyhow::Result<Bus> {
    let broker = &chassis.config.broker;
    let config = BrokerConfig {
        url: broker.url.clone(),
        username: broker.username.clone(),
        password: broker.password()?,
        ca_pem: broker.ca_pem()?,
    };
    let bus = Bus::connect(config, service, chassis.shutdown.clone()).await?;
    Ok(bus)
}
