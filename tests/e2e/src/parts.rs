//! The processes of the lab: killing them, stopping them, waiting until all are well again.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use lab::Lab;

use crate::{families, until};

const RESTARTS_WITHIN: Duration = Duration::from_mins(1);

/// The services of this kind, `writer` or `writer-corp` say.
pub fn services(kind: &str) -> anyhow::Result<Vec<u32>> {
    let prefix = format!("{kind}-");
    let pids: Vec<u32> = Lab::load()?
        .services
        .iter()
        .filter(|service| service.name.starts_with(&prefix))
        .map(|service| service.pid)
        .collect();
    ensure!(!pids.is_empty(), "no service is a {kind}");
    Ok(pids)
}

/// One of what the services stand on, with all its children.
pub fn infrastructure(name: &str) -> anyhow::Result<Vec<u32>> {
    let first = Lab::load()?
        .infrastructure
        .iter()
        .find(|process| process.name == name)
        .map(|process| process.pid)
        .with_context(|| format!("the lab has no {name}"))?;
    Ok(families(&[first])?.into_iter().collect())
}

/// What restarts all others.
pub fn supervisor() -> anyhow::Result<u32> {
    let file = lab::Place::of_this_repository()?
        .directory()
        .join("supervisor.pid");
    Ok(fs::read_to_string(file)?.trim().parse()?)
}

/// Until these processes, which nobody restarts, have ended.
pub async fn dead(pids: &[u32]) -> anyhow::Result<()> {
    until("the killed have ended", RESTARTS_WITHIN, || async {
        let ended = pids.iter().all(|pid| {
            // a child that nobody has waited for is a zombie, and has ended (proc(5): state Z)
            fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
                stat.rsplit_once(") ")
                    .is_some_and(|(_, rest)| rest.starts_with('Z'))
            })
        });
        Ok(ended.then_some(()))
    })
    .await
}

pub fn signal(signal: &str, pids: &[u32]) -> anyhow::Result<()> {
    let mut command = Command::new("kill");
    command
        .arg(signal)
        .args(pids.iter().map(ToString::to_string));
    // one of them may have ended by itself
    command.output().context("kill")?;
    Ok(())
}

/// Stopped until it is dropped, also by a test that fails.
pub struct Stopped(Vec<u32>);

impl Stopped {
    pub fn stop(pids: Vec<u32>) -> anyhow::Result<Self> {
        signal("-STOP", &pids)?;
        Ok(Self(pids))
    }

    /// Killed, without having gone on.
    pub fn kill(mut self) -> anyhow::Result<()> {
        signal("-KILL", &std::mem::take(&mut self.0))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        if let Err(error) = signal("-CONT", &self.0) {
            eprintln!("cannot continue {:?}: {error}", self.0);
        }
    }
}

/// Until none of these processes is left.
pub async fn gone(pids: &[u32]) -> anyhow::Result<()> {
    until("the killed are gone", RESTARTS_WITHIN, || async {
        let described = Lab::load()?;
        let listed = described
            .services
            .iter()
            .map(|service| service.pid)
            .chain(described.infrastructure.iter().map(|process| process.pid));
        Ok((!listed.into_iter().any(|pid| pids.contains(&pid))).then_some(()))
    })
    .await
}

/// Until every service says that it is ready.
pub async fn all_ready() -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(2))
        .build()?;
    until("every service is ready", RESTARTS_WITHIN, || async {
        for service in Lab::load()?.services {
            let answer = client.get(format!("{}/readyz", service.admin)).send().await;
            if !answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await
}
