//! What is added to the running lab, as it is asked of the supervisor, which alone starts and stops processes; and the
//! forest that `add-forest` adds and `remove-forest` takes out.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::command::{running_supervisor, waiting_for};
use crate::description::Lab;
use crate::forest::{ADDED, FORESTS};
use crate::place::Place;
use crate::{broker, configuration, seals, secret, services};

const PATIENCE: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(100);

/// What the supervisor is to run of the added forest, and of the further domains of the first one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) domain_controller: bool,
    pub(crate) writers: bool,
    /// Of the first forest.
    #[serde(default)]
    pub(crate) second_controller: bool,
    pub(crate) further_domains: Further,
}

/// How much there is of the further domains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Further {
    #[default]
    Nothing,
    DomainControllers,
    /// They are in the configuration too.
    Configured,
}

impl Wanted {
    /// Nothing, while nobody has asked.
    pub(crate) fn load(place: &Place) -> anyhow::Result<Self> {
        match fs::read(place.wanted()) {
            Ok(text) => serde_json::from_slice(&text).context("wanted.json"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).context("wanted.json"),
        }
    }

    pub(crate) fn with_second_controller(self, second_controller: bool) -> Self {
        Self {
            second_controller,
            ..self
        }
    }

    /// The added forest as it is to be; all else stays.
    fn forest(self, domain_controller: bool, writers: bool) -> Self {
        Self {
            domain_controller,
            writers,
            ..self
        }
    }

    pub(crate) fn store(self, place: &Place) -> anyhow::Result<()> {
        secret::write_private(&place.wanted(), serde_json::to_string(&self)?.as_bytes())
    }
}

/// Adds a third forest to the running lab, and returns when its writers are ready.
pub async fn add_forest(place: &Place) -> anyhow::Result<()> {
    let begun = Instant::now();
    let lab = running(place)?;
    ensure!(
        !lab.forests.iter().any(|forest| forest.id == ADDED.id)
            && !Wanted::load(place)?.domain_controller,
        "the lab has forest {} already",
        ADDED.id
    );
    ADDED.prepare(place).await?;
    broker::add_writers(place, &ADDED).await?;
    Wanted::load(place)?.forest(true, false).store(place)?;
    until("its domain controller answers", async || {
        ADDED.answers(place).await
    })
    .await?;
    ADDED.lock(place).await?;
    say(begun, "is provisioned, peopled and started");
    seals::add(place, &ADDED)?;
    configuration::write(place, FORESTS.iter().chain([&ADDED]))?;
    Wanted::load(place)?.forest(true, true).store(place)?;
    say(begun, "is in the configuration");
    until("its writers are ready", async || {
        let described =
            running(place).is_ok_and(|lab| lab.forests.iter().any(|forest| forest.id == ADDED.id));
        described
            && waiting_for(place)
                .await
                .is_some_and(|waiting| waiting.is_empty())
    })
    .await?;
    until("every resolver asks it", async || {
        everybody_asks(place, ADDED.domain).await.unwrap_or(false)
    })
    .await?;
    say(begun, "is ready");
    Ok(())
}

/// Takes the third forest out again, and returns when nothing of it runs.
pub async fn remove_forest(place: &Place) -> anyhow::Result<()> {
    let begun = Instant::now();
    running(place)?;
    ensure!(
        Wanted::load(place)?.domain_controller,
        "the lab has no forest {}",
        ADDED.id
    );
    configuration::write(place, FORESTS.iter())?;
    seals::remove(place, &ADDED)?;
    say(begun, "is out of the configuration");
    // the writers end by themselves; they are only not started again
    Wanted::load(place)?.forest(true, false).store(place)?;
    let prefix = services::writers_prefix(&ADDED);
    until("its writers have ended", async || {
        running(place).is_ok_and(|lab| {
            !lab.forests.iter().any(|forest| forest.id == ADDED.id)
                && !lab
                    .services
                    .iter()
                    .any(|service| service.name.starts_with(&prefix))
        })
    })
    .await?;
    // a domain controller that goes before it is no longer asked would be a forest that does not answer
    until("no resolver asks it", async || {
        nobody_asks(place, ADDED.domain).await.unwrap_or(false)
    })
    .await?;
    Wanted::load(place)?.forest(false, false).store(place)?;
    let name = ADDED.domain_controller_name();
    until("its domain controller has ended", async || {
        running(place).is_ok_and(|lab| {
            !lab.infrastructure
                .iter()
                .any(|process| process.name == name)
        })
    })
    .await?;
    broker::remove_writers(place, &ADDED).await?;
    for folder in [
        ADDED.directory(place),
        seals::private_keys_directory(place, ADDED.id),
    ] {
        remove_folder(&folder).await?;
    }
    say(begun, "is gone");
    Ok(())
}

/// Whether every resolver has given a domain up.
pub(crate) async fn nobody_asks(place: &Place, domain: &str) -> anyhow::Result<bool> {
    let asking = resolvers_asking(place, domain).await?;
    Ok(!asking.contains(&true))
}

/// Whether every resolver has taken a domain up.
pub(crate) async fn everybody_asks(place: &Place, domain: &str) -> anyhow::Result<bool> {
    let asking = resolvers_asking(place, domain).await?;
    Ok(!asking.contains(&false))
}

/// Of each resolver: an index of anchors that is kept is told as a metric.
async fn resolvers_asking(place: &Place, domain: &str) -> anyhow::Result<Vec<bool>> {
    let label = format!("domain=\"{domain}\"");
    let mut asking = Vec::new();
    for service in running(place)?.services {
        if !service.name.starts_with("resolver-") {
            continue;
        }
        let metrics = reqwest::get(format!("{}/metrics", service.admin))
            .await?
            .error_for_status()?
            .text()
            .await?;
        asking.push(metrics.lines().any(|line| {
            line.starts_with("writeback_resolver_anchors_entries{") && line.contains(&label)
        }));
    }
    Ok(asking)
}

fn say(begun: Instant, what: &str) {
    println!(
        "lab: {:5.1} s  forest {} {what}",
        begun.elapsed().as_secs_f32(),
        ADDED.id
    );
}

pub(crate) fn running(place: &Place) -> anyhow::Result<Lab> {
    ensure!(
        running_supervisor(place).is_some(),
        "no lab is running: run `make up`"
    );
    Lab::load_from(place)
}

/// Of a domain controller that has ended: what its children still write is removed too, once they have ended.
pub(crate) async fn remove_folder(folder: &Path) -> anyhow::Result<()> {
    until(&format!("{} is gone", folder.display()), async || {
        !folder.exists() || fs::remove_dir_all(folder).is_ok()
    })
    .await
}

pub(crate) async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    while !done().await {
        if Instant::now() > until {
            bail!(
                "waited {} s in vain until {what}; see the logs",
                PATIENCE.as_secs()
            );
        }
        tokio::time::sleep(TICK).await;
    }
    Ok(())
}
