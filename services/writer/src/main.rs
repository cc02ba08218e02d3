//! One deployment per forest: the only place that opens a sealed password and writes to Active
//! Directory.
//!
//! It consumes its forest's queue, opens the seal, reads the account, writes once, and tells how it
//! ended; it listens on no port for work. It knows no other forest, and resolves nobody.
//!
//! When its forest is taken out of the configuration it finishes what is in the forest's queue, where
//! nothing new arrives, and ends: what an earlier writer may have begun with, only a writer can end.

mod decide;
mod health;
mod keys;
mod ledger;
mod observe;
mod passage;
mod places;
#[cfg(test)]
mod redaction;
mod switch;
mod under_way;
mod work;

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use bus::{BrokerConfig, Bus, Queue};
use chassis::{Chassis, config};
use directory::{Directory, rules::OwnAccounts, scope::Scope};
use operation::DomainName;
use proto::v1;
use reach::Limits;
use telemetry::trouble::Trouble;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

const CHECK: Duration = Duration::from_secs(1);

/// Longer than a resolver takes to see that a forest is gone, and to hand over what it had.
const QUIET_FOR: Duration = Duration::from_secs(5);

/// One domain of the forest.
struct Domain {
    directory: Arc<Directory>,
    scope: Scope,
}

fn main() -> ExitCode {
    chassis::run(chassis::program!("writer"), start)
}

async fn start(chassis: Chassis) -> anyhow::Result<()> {
    let broker_ready = chassis.readiness.require("broker");
    let settings = &chassis.config;
    let forest_id = config::required(settings.writer.forest.clone(), "writer.forest")?;
    let forest = settings
        .forest(&forest_id)
        .with_context(|| format!("writer.forest: no [[forests]] has the id `{forest_id}`"))?;
    let directory = &settings.sealing.private_keys_directory;
    let keys = keys::Keys::open(directory.clone())
        .with_context(|| format!("sealing.private_keys_directory {}", directory.display()))?;
    let keys = Arc::new(keys);
    let switch = Arc::new(switch::Switch::new(forest_id.clone()));
    let channel = chassis.ledger_channel()?;
    let files = forest.writing_account();
    let pointed_to = files.read()?;
    let domains = domains(forest, &pointed_to, &settings.writer)?;
    let directories: Vec<_> = domains
        .values()
        .map(|domain| Arc::clone(&domain.directory))
        .collect();
    let bus = connect(&chassis).await?;
    let health = health::Health::new(forest, &domains, Arc::clone(&keys));
    let passage = Arc::new(passage::Passage {
        forest: forest_id.clone(),
        domains,
        keys: Arc::clone(&keys),
        switch: Arc::clone(&switch),
        ledger: ledger::Ledger::new(channel.clone()),
        observer: observe::Observer::new(&forest_id),
        health: Arc::clone(&health),
        doubts: places::Doubts::default(),
        publisher: bus.publisher(),
        service: settings.service.name.clone(),
        own_accounts: own_accounts(forest),
        rules: rules(&settings.writer, forest),
        write_time_out: Duration::from_secs(settings.writer.write_timeout_seconds),
        seal_skew: Duration::from_secs(settings.sealing.clock_skew_seconds),
        unclaimed: Mutex::new(Trouble::none()),
    });
    chassis.spawn("keys", {
        let (forest, shutdown) = (forest_id.clone(), chassis.shutdown.clone());
        async move {
            keys.keep_fresh(forest, shutdown).await;
            Ok(())
        }
    });
    chassis.spawn("switch", {
        let shutdown = chassis.shutdown.clone();
        async move {
            switch.follow(channel, shutdown).await;
            Ok(())
        }
    });
    let prefetch = u16::try_from(settings.writer.concurrency)
        .unwrap_or(u16::MAX)
        .max(1);
    let queue = Queue::Forest(forest_id.clone());
    let deliveries = bus.consume(queue.clone(), prefetch).await?;
    chassis.spawn(
        "queue",
        Arc::clone(&health).watch_queue(bus.clone(), chassis.shutdown.clone()),
    );
    let heart = heartbeat::Heart::new(&chassis, &bus, v1::ServiceKind::Writer)?;
    chassis.spawn("heartbeat", heart.beat(move || vec![health.now()]));
    chassis.spawn(
        "forest",
        watch_forest(
            forest.clone(),
            bus.clone(),
            chassis.config_changes(),
            chassis.shutdown.clone(),
        ),
    );

    let shutdown = chassis.shutdown.clone();
    chassis.spawn("account", async move {
        let renewing = files.follow(pointed_to, |now| renew(&directories, &now));
        shutdown.run_until_cancelled(renewing).await;
        Ok(())
    });

    let operations = places::Places {
        bus: bus.clone(),
        queue,
        prefetch,
        passage,
        shutdown: chassis.shutdown.clone(),
    };
    chassis.spawn("operations", operations.keep(deliveries));

    let mut ticks = tokio::time::interval(CHECK);
    loop {
        tokio::select! {
            () = chassis.shutdown.cancelled() => return Ok(()),
            _ = ticks.tick() => broker_ready.set(bus.is_connected()),
        }
    }
}

fn own_accounts(forest: &config::Forest) -> OwnAccounts {
    let accounts = [Some(&forest.account), forest.reader_account.as_ref()];
    OwnAccounts::new(accounts.into_iter().flatten().map(String::as_str))
}

fn rules(settings: &config::Writer, forest: &config::Forest) -> decide::Rules {
    decide::Rules {
        users_reach_protected: reaches(settings.protected_accounts.users),
        administrators_reach_protected: reaches(settings.protected_accounts.administrators),
        clock_skew: time::Duration::milliseconds(
            i64::try_from(settings.clock_skew_milliseconds).unwrap_or(i64::MAX),
        ),
        users_hints: reach::hints(forest.policy_hints.users),
        administrators_hints: reach::hints(forest.policy_hints.administrators),
    }
}

fn reaches(treatment: config::Treatment) -> bool {
    treatment == config::Treatment::Allow
}

/// Asks for the end once the forest is no longer in the configuration and its queue has been empty
/// for a while.
async fn watch_forest(
    forest: config::Forest,
    bus: Bus,
    mut updates: watch::Receiver<Arc<config::Config>>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    // what changed between the start and now
    updates.mark_changed();
    let mut known = forest;
    let mut quiet_since = None;
    let mut removed = false;
    let mut ticks = tokio::time::interval(CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            Ok(()) = updates.changed() => {
                let config = Arc::clone(&updates.borrow_and_update());
                let was_removed = removed;
                removed = config.forest(&known.id).is_none();
                match config.forest(&known.id) {
                    None if !was_removed => tracing::warn!(forest = %known.id,
                        "the forest was taken out of the configuration: this writer finishes what is in its queue and ends"),
                    Some(_) if was_removed => tracing::info!(forest = %known.id, "the forest is back in the configuration"),
                    Some(section) if *section != known => {
                        tracing::warn!(forest = %known.id, "the forest's section changed; it takes effect when this writer is started again");
                        known = section.clone();
                    }
                    None | Some(_) => {}
                }
                quiet_since = None;
            }
            _ = ticks.tick(), if removed => {
                // without an answer nobody knows
                if bus.waiting(&Queue::Forest(known.id.clone())).await.ok() != Some(0) {
                    quiet_since = None;
                    continue;
                }
                let since = *quiet_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= QUIET_FOR {
                    tracing::warn!(forest = %known.id, "nothing is left in the queue of the removed forest: ending");
                    shutdown.cancel();
                }
            }
        }
    }
}

/// What cannot be used is left; what was in force before stays.
fn renew(directories: &[Arc<Directory>], now: &config::PointedTo) {
    for directory in directories {
        if let Err(error) = reach::renew(directory, now) {
            tracing::error!(%error, "what changed cannot be used");
        }
    }
}

fn domains(
    forest: &config::Forest,
    pointed_to: &config::PointedTo,
    settings: &config::Writer,
) -> anyhow::Result<BTreeMap<DomainName, Domain>> {
    forest
        .domains
        .iter()
        .map(|domain| {
            let context = || format!("forests `{}`, domain {}", forest.id, domain.name);
            let limits = Limits {
                connections: settings.connections,
                operation_timeout: Duration::from_secs(settings.write_timeout_seconds),
            };
            let directory = reach::connect(forest, domain, &forest.account, pointed_to, limits)
                .with_context(context)?;
            let scope = Scope::new(&domain.include, &domain.exclude).with_context(context)?;
            Ok((domain.name.clone(), Domain { directory, scope }))
        })
        .collect()
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
