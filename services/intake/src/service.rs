//! Puts the replica together: connections, reply queue, door; and takes it apart in order.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use access::{Gatekeeper, KeySource};
use anyhow::Context as _;
use bus::{BrokerConfig, Bus, Deliveries, Delivery, Queue};
use chassis::{Chassis, Gate, config, tls::HTTP_1_1};
use operation::OperationId;
use prost::Message as _;
use proto::v1;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    door::{self, Door},
    keys::SealingKeys,
    ledger::Ledger,
    listener::Listener,
    observe::Operations,
    passage::Passage,
    waiters::Waiters,
};

const PREFETCH: u16 = 256;
const PROBE_EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn run(chassis: Chassis) -> anyhow::Result<()> {
    let settings = &chassis.config;
    let shutdown = chassis.shutdown.clone();
    // with a certificate and its key the door ends TLS itself
    let tls = chassis.server_tls(settings.intake.certificate_files()?, HTTP_1_1)?;
    let tokens = config::required(settings.intake.tokens.clone(), "intake.tokens")?;
    let source = KeySource::new(tokens.jwks_file, tokens.jwks_url).context("intake.tokens")?;
    let broker_gate = chassis.readiness.require("broker");
    let ledger_gate = chassis.readiness.require("ledger");
    let listener = Listener::bind(settings.intake.listen, tls)
        .await
        .with_context(|| format!("intake.listen: cannot bind {}", settings.intake.listen))?;

    let gatekeeper = Gatekeeper::new(tokens.issuer, tokens.audience, source).await?;
    let keys = Arc::new(SealingKeys::open(settings.sealing.public_keys_file.clone()).await?);
    let ledger = Ledger::new(chassis.ledger_channel()?);
    // A connection of its own token: publishing goes on while the door drains.
    let bus_shutdown = CancellationToken::new();
    let bus = Bus::connect(
        broker(&settings.broker)?,
        &settings.service.name,
        bus_shutdown.clone(),
    )
    .await?;
    let replies = format!("writeback.replies.{}", Uuid::now_v7());
    let deliveries = bus
        .consume(Queue::Replies(replies.clone()), PREFETCH)
        .await?;
    let waiters = Waiters::default();
    let tasks = TaskTracker::new();
    let passage = Arc::new(Passage {
        ledger: ledger.clone(),
        publisher: bus.publisher(),
        waiters: waiters.clone(),
        replies,
        service: settings.service.name.clone(),
        patience: Duration::from_secs(settings.intake.default_deadline_seconds),
        shutdown: shutdown.clone(),
        tasks: tasks.clone(),
        unadmitted: Mutex::default(),
    });
    let heart = heartbeat::Heart::new(&chassis, &bus, v1::ServiceKind::Intake)?;
    let published = Arc::clone(&keys);
    chassis.spawn("heartbeat", heart.beat(move || published.health()));
    let in_flight = Arc::new(Semaphore::new(settings.intake.max_in_flight));
    let operations = Operations::new(&in_flight, settings.intake.max_in_flight);
    let door = Arc::new(Door {
        gatekeeper,
        keys: Arc::clone(&keys),
        passage,
        in_flight,
        default_deadline: time::Duration::seconds(
            i64::try_from(settings.intake.default_deadline_seconds)
                .context("intake.default_deadline_seconds is out of range")?,
        ),
        unthrottled: tokens.unthrottled_clients,
        operations,
    });

    chassis.spawn("replies", take_replies(deliveries, waiters));
    chassis.spawn("sealing keys", {
        let (changes, shutdown) = (chassis.config_changes(), shutdown.clone());
        async move {
            keys.keep_fresh(changes, shutdown).await;
            Ok(())
        }
    });
    chassis.spawn(
        "readiness",
        watch_readiness(bus, ledger, broker_gate, ledger_gate, shutdown.clone()),
    );

    tracing::info!(address = %listener.address(), tls = listener.ends_tls(), "listening");
    listener.serve(door::router(door), &shutdown).await;
    // No caller is left; what the ledger has is still published, or its end is recorded.
    tasks.close();
    tasks.wait().await;
    bus_shutdown.cancel();
    Ok(())
}

fn broker(broker: &config::Broker) -> anyhow::Result<BrokerConfig> {
    Ok(BrokerConfig {
        url: broker.url.clone(),
        username: broker.username.clone(),
        password: broker.password()?,
        ca_pem: broker.ca_pem()?,
    })
}

/// Hands every terminal report to who waits for it. A report nobody waits for is not lost: the
/// ledger has it from its own queue.
async fn take_replies(mut deliveries: Deliveries, waiters: Waiters) -> anyhow::Result<()> {
    while let Some(delivery) = deliveries.next().await {
        take_reply(delivery, &waiters).await;
    }
    Ok(())
}

async fn take_reply(delivery: Delivery, waiters: &Waiters) {
    let span = delivery.span();
    async {
        match v1::Report::decode(delivery.body.as_slice()) {
            Ok(report) => match report.operation_id.parse::<OperationId>() {
                Ok(id) => {
                    telemetry::span::current_belongs_to(id);
                    if report.outcome.is_some() {
                        waiters.complete(id, &report);
                    }
                }
                Err(error) => tracing::warn!(%error, "a report without an operation"),
            },
            Err(error) => tracing::warn!(%error, "a reply that is not a report"),
        }
        if let Err(error) = delivery.ack().await {
            // It comes again on the next connection, and completing twice changes nothing.
            tracing::debug!(%error, "a reply could not be acknowledged");
        }
    }
    .instrument(span)
    .await;
}

async fn watch_readiness(
    bus: Bus,
    ledger: Ledger,
    broker_gate: Gate,
    ledger_gate: Gate,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        broker_gate.set(bus.is_connected());
        ledger_gate.set(ledger.admits().await);
        if shutdown
            .run_until_cancelled(tokio::time::sleep(PROBE_EVERY))
            .await
            .is_none()
        {
            return Ok(());
        }
    }
}
