//! The further domains of the first forest: what `add-domains` and `remove-domains` do.

use std::time::Instant;

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::process::Command;

use crate::command::waiting_for;
use crate::database::run_with_input;
use crate::forest::{ADDED, FORESTS, FURTHER_DOMAINS, ForestPlan};
use crate::place::Place;
use crate::wanted::{Further, Wanted, everybody_asks, nobody_asks, remove_folder, running, until};
use crate::{configuration, services};

const RECEIVE: &str = include_str!("../forest/receive.py");

/// Somebody who moves between two domains of a forest.
#[derive(Debug, Clone)]
pub struct Mover {
    pub login: String,
    pub user_principal_name: String,
    /// The `objectGUID`, which such a move does not change.
    pub object: String,
    pub password: String,
}

/// The further domain of this name shows the person from now on; the domain they come from is not touched.
pub async fn receive(place: &Place, domain: &str, mover: &Mover) -> anyhow::Result<()> {
    let plan = FURTHER_DOMAINS
        .iter()
        .find(|plan| plan.domain == domain)
        .with_context(|| format!("{domain} is no further domain"))?;
    let input = json!({
        "smbConf": plan.directory(place).join("etc/smb.conf"),
        "login": mover.login,
        "userPrincipalName": mover.user_principal_name,
        "object": mover.object,
        "password": mover.password,
    });
    // Samba's Python modules belong to the system's interpreter, whatever else is first on the PATH
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", RECEIVE]);
    run_with_input(python, &input.to_string(), "receiving a person").await
}

/// Adds a child domain and a tree to the first forest of the running lab, and returns when its writers know them.
pub async fn add_domains(place: &Place) -> anyhow::Result<()> {
    let begun = Instant::now();
    running(place)?;
    ensure!(
        Wanted::load(place)?.further_domains == Further::Nothing,
        "the lab has these domains already"
    );
    for domain in &FURTHER_DOMAINS {
        domain.prepare(place).await?;
    }
    Wanted {
        further_domains: Further::DomainControllers,
        ..Wanted::load(place)?
    }
    .store(place)?;
    for domain in &FURTHER_DOMAINS {
        let what = format!("the domain controller of {} answers", domain.domain);
        until(&what, async || domain.answers(place).await).await?;
        say(begun, domain, "is provisioned, peopled and started");
    }
    configure(place, Further::Configured)?;
    restart_writers(place).await?;
    for domain in &FURTHER_DOMAINS {
        // who is asked of before that is nobody known
        until("every resolver asks the domain", async || {
            everybody_asks(place, domain.domain).await.unwrap_or(false)
        })
        .await?;
        say(begun, domain, "is ready");
    }
    Ok(())
}

/// Takes them out again, and returns when nothing of them runs.
pub async fn remove_domains(place: &Place) -> anyhow::Result<()> {
    let begun = Instant::now();
    running(place)?;
    ensure!(
        Wanted::load(place)?.further_domains != Further::Nothing,
        "the lab has no further domains"
    );
    configure(place, Further::DomainControllers)?;
    // a domain controller that goes before it is no longer asked would be a forest that does not answer
    for domain in &FURTHER_DOMAINS {
        until("no resolver asks the domain", async || {
            nobody_asks(place, domain.domain).await.unwrap_or(false)
        })
        .await?;
    }
    restart_writers(place).await?;
    Wanted {
        further_domains: Further::Nothing,
        ..Wanted::load(place)?
    }
    .store(place)?;
    for domain in &FURTHER_DOMAINS {
        let name = domain.domain_controller_name();
        until("its domain controller has ended", async || {
            running(place).is_ok_and(|lab| {
                !lab.infrastructure
                    .iter()
                    .any(|process| process.name == name)
            })
        })
        .await?;
        remove_folder(&domain.directory(place)).await?;
        say(begun, domain, "is gone");
    }
    Ok(())
}

/// The configuration with or without them, whatever else was added.
fn configure(place: &Place, further_domains: Further) -> anyhow::Result<()> {
    let wanted = Wanted {
        further_domains,
        ..Wanted::load(place)?
    };
    wanted.store(place)?;
    configuration::write(
        place,
        FORESTS.iter().chain(wanted.writers.then_some(&ADDED)),
    )
}

/// Writers read their forest's section when they start: one after the other, so that the forest always has one.
async fn restart_writers(place: &Place) -> anyhow::Result<()> {
    let Some(first) = FURTHER_DOMAINS.first().map(ForestPlan::first) else {
        return Ok(());
    };
    let prefix = services::writers_prefix(first);
    for writer in running(place)?.services {
        if !writer.name.starts_with(&prefix) {
            continue;
        }
        kill(Pid::from_raw(i32::try_from(writer.pid)?), Signal::SIGTERM)
            .with_context(|| format!("cannot stop {}", writer.name))?;
        until("the writer is there again", async || {
            let is_another = running(place).is_ok_and(|lab| {
                lab.services
                    .iter()
                    .any(|service| service.name == writer.name && service.pid != writer.pid)
            });
            is_another
                && waiting_for(place)
                    .await
                    .is_some_and(|waiting| !waiting.contains(&writer.name))
        })
        .await?;
    }
    Ok(())
}

fn say(begun: Instant, domain: &ForestPlan, what: &str) {
    println!(
        "lab: {:5.1} s  domain {} {what}",
        begun.elapsed().as_secs_f32(),
        domain.domain
    );
}
