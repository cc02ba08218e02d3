//! One deployment per forest: the only place that opens a sealed password and writes to Active
//! Directory.
//!
//! It consumes its forest's queue, opens the seal, reads the account, writes once, and tells how it
//! ended; it listens on no port for work. It knows no other forest, and resolves nobody.
//!
//! When its forest is taken out of the configuration it takes nothing more, finishes what it has in
//! hand and ends. What is still in the queue then ends at its deadline, by the broker: `expired`.

mod decide;
mod ledger;
mod observe;
mod own_accounts;
mod passage;
#[cfg(test)]
mod redaction;
mod work;

use std::{collections::BTreeMap, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use bus::{BrokerConfig, Bus, Queue};
use chassis::{Chassis, config};
use directory::{Directory, DirectoryConfig, PolicyHints, scope::Scope};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use operation::DomainName;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const CHECK: Duration = Duration::from_secs(1);

/// One domain of the forest.
struct Domain {
    directory: Arc<Directory>,
    scope: Scope,
}

fn main() -> ExitCode {
    chassis::run("writer", start)
}

async fn start(chassis: Chassis) -> anyhow::Result<()> {
    let broker_ready = chassis.readiness.require("broker");
    let settings = &chassis.config;
    let forest_id = config::required(settings.writer.forest.clone(), "writer.forest")?;
    let forest = settings
        .forest(&forest_id)
        .with_context(|| format!("writer.forest: no [[forests]] has the id `{forest_id}`"))?;
    let directory = &settings.sealing.private_keys_directory;
    let keys = sealing::PrivateKeys::from_directory(directory)
        .with_context(|| format!("sealing.private_keys_directory {}", directory.display()))?;
    let domains = domains(forest, &settings.writer)?;
    let bus = connect(&chassis).await?;
    chassis.spawn(
        "forest",
        watch_forest(
            forest.clone(),
            chassis.config_changes(),
            chassis.shutdown.clone(),
        ),
    );
    let passage = Arc::new(passage::Passage {
        forest: forest_id.clone(),
        domains,
        keys,
        ledger: ledger::Ledger::new(&settings.ledger)?,
        observer: observe::Observer::new(&forest_id),
        publisher: bus.publisher(),
        service: settings.service.name.clone(),
        own_accounts: own_accounts::OwnAccounts::new(
            [Some(&forest.account), forest.reader_account.as_ref()]
                .into_iter()
                .flatten()
                .map(String::as_str),
        ),
        rules: decide::Rules {
            refuse_protected: settings.writer.protected_accounts
                == config::ProtectedAccounts::Refuse,
            clock_skew: time::Duration::milliseconds(
                i64::try_from(settings.writer.clock_skew_milliseconds).unwrap_or(i64::MAX),
            ),
            users_hints: hints(forest.policy_hints.users),
            administrators_hints: hints(forest.policy_hints.administrators),
        },
        write_time_out: Duration::from_secs(settings.writer.write_timeout_seconds),
        seal_skew: Duration::from_secs(settings.sealing.clock_skew_seconds),
    });
    let prefetch = u16::try_from(settings.writer.concurrency)
        .unwrap_or(u16::MAX)
        .max(1);
    let mut deliveries = bus.consume(Queue::Forest(forest_id), prefetch).await?;

    let mut ticks = tokio::time::interval(CHECK);
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            delivery = deliveries.next() => match delivery {
                Some(delivery) => under_way.push(Arc::clone(&passage).take(delivery)),
                None => break,
            },
            Some(()) = under_way.next() => {}
            _ = ticks.tick() => broker_ready.set(bus.is_connected()),
        }
    }
    while under_way.next().await.is_some() {}
    Ok(())
}

/// Asks for the end once the forest is no longer in the configuration.
async fn watch_forest(
    forest: config::Forest,
    mut changes: watch::Receiver<Arc<config::Config>>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    // what changed between the start and now
    changes.mark_changed();
    let mut known = forest;
    while let Some(Ok(())) = shutdown.run_until_cancelled(changes.changed()).await {
        let config = Arc::clone(&changes.borrow_and_update());
        match config.forest(&known.id) {
            Some(section) if *section == known => {}
            Some(section) => {
                tracing::warn!(forest = %known.id, "the forest's section changed; it takes effect when this writer is started again");
                known = section.clone();
            }
            None => {
                tracing::warn!(
                    forest = %known.id,
                    "the forest was taken out of the configuration: this writer finishes what it has in hand and ends"
                );
                shutdown.cancel();
            }
        }
    }
    shutdown.cancelled().await;
    Ok(())
}

fn hints(setting: config::SendHints) -> PolicyHints {
    match setting {
        config::SendHints::Required => PolicyHints::Required,
        config::SendHints::WhenAvailable => PolicyHints::WhenAvailable,
        config::SendHints::Never => PolicyHints::Never,
    }
}

fn domains(
    forest: &config::Forest,
    settings: &config::Writer,
) -> anyhow::Result<BTreeMap<DomainName, Domain>> {
    let ca_pem = config::read_file(&forest.ca_file)?;
    forest
        .domains
        .iter()
        .map(|domain| {
            let context = || format!("forests `{}`, domain {}", forest.id, domain.name);
            let directory = Directory::new(DirectoryConfig {
                endpoints: domain.domain_controllers.clone(),
                ca_pem: ca_pem.clone(),
                account: forest.account.clone(),
                password: config::read_secret(&forest.account_password_file)?,
                connections: settings.connections,
                operation_timeout: Duration::from_secs(settings.write_timeout_seconds),
            })
            .with_context(context)?;
            let scope = Scope::new(&domain.include, &domain.exclude).with_context(context)?;
            Ok((domain.name.clone(), Domain { directory, scope }))
        })
        .collect()
}

async fn connect(chassis: &Chassis) -> anyhow::Result<Bus> {
    let broker = &chassis.config.broker;
    let ca_pem = broker
        .ca_file
        .as_deref()
        .map(config::read_file)
        .transpose()?;
    let config = BrokerConfig {
        url: broker.url.clone(),
        username: broker.username.clone(),
        password: config::read_secret(&broker.password_file)?,
        ca_pem,
    };
    Bus::connect(
        config,
        &chassis.config.service.name,
        chassis.shutdown.clone(),
    )
    .await
    .context("broker")
}
