//! The lab's resolvers, as their metrics and the kernel see them.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use e2e::{Measures, until};
use lab::{Lab, Place, Service};

const PATIENCE: Duration = Duration::from_mins(2);
const AGE: &str = "writeback_resolver_anchors_age_seconds";
const LOOK_UPS: &str = "writeback_resolver_anchors_lookup_duration_seconds";

pub(crate) struct Resolvers {
    running: Vec<(Service, Measures)>,
    /// From the kill of their predecessors until they had read every forest.
    pub(crate) took: Duration,
}

impl Resolvers {
    /// Kills them, and returns once their successors have read the anchors of these forests.
    pub(crate) async fn restart(forests: &[&str]) -> anyhow::Result<Self> {
        let dead = services()?;
        let began = Instant::now();
        for service in &dead {
            let killed = Command::new("kill")
                .args(["-KILL", &service.pid.to_string()])
                .status()?;
            ensure!(killed.success(), "kill {}", service.name);
        }
        let running = until("the resolvers have read the anchors", PATIENCE, || async {
            let mut running = Vec::new();
            for service in services()? {
                let Ok(measures) = Measures::of(&service).await else {
                    return Ok(None);
                };
                let alive = dead.iter().all(|dead| dead.pid != service.pid);
                let read = |forest: &&str| measures.sum(AGE, &[("forest", *forest)]).is_some();
                if !alive || !forests.iter().all(read) {
                    return Ok(None);
                }
                running.push((service, measures));
            }
            Ok((running.len() == dead.len()).then_some(running))
        })
        .await?;
        Ok(Self {
            running,
            took: began.elapsed(),
        })
    }

    /// One value of the migrated people's forest from each, as it was at the start.
    pub(crate) fn each(&self, name: &str) -> anyhow::Result<String> {
        self.by_each(|_, measures| {
            let value = measures.sum(name, &[("forest", "migrated")]);
            Ok(format!("{:.2}", value.context(name.to_owned())?))
        })
    }

    pub(crate) fn entries(&self) -> anyhow::Result<String> {
        self.by_each(|_, measures| {
            let entries = measures.sum("writeback_resolver_anchors_entries", &[]);
            Ok(format!("{:.0}", entries.context("no entries")?))
        })
    }

    pub(crate) fn resident_megabytes(&self) -> anyhow::Result<String> {
        self.by_each(|service, _| {
            let status = fs::read_to_string(format!("/proc/{}/status", service.pid))?;
            let kilobytes: f64 = status
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))
                .context("no VmRSS")?
                .trim()
                .parse()?;
            Ok(format!("{:.1}", kilobytes / 1024.0))
        })
    }

    pub(crate) fn read_everybody(&self) -> bool {
        let labels = [("forest", "migrated"), ("what", "everybody")];
        self.running.iter().any(|(_, measures)| {
            measures.sum("writeback_resolver_anchors_readings_total", &labels) != Some(0.0)
        })
    }

    /// Until each has written the index to disk.
    pub(crate) async fn are_stored(&self, forest: &str) -> anyhow::Result<()> {
        let state = Place::of_this_repository()?.directory().join("state");
        until("the index is on disk", PATIENCE, || async {
            let stored = self.running.iter().all(|(service, _)| {
                let files = fs::read_dir(state.join(&service.name));
                files.is_ok_and(|files| {
                    files.filter_map(Result::ok).any(|file| {
                        let name = file.file_name().to_string_lossy().into_owned();
                        name.starts_with(&format!("anchors-{forest}-"))
                    })
                })
            });
            Ok(stored.then_some(()))
        })
        .await
    }

    /// How long looking up an anchor took inside the resolvers.
    pub(crate) async fn looked_up(&self, forest: &str) -> anyhow::Result<String> {
        let (mut seconds, mut count) = (0.0, 0.0);
        let labels = [("forest", forest), ("by", "index")];
        for (service, _) in &self.running {
            let measures = Measures::of(service).await?;
            seconds += measures
                .sum(&format!("{LOOK_UPS}_sum"), &labels)
                .unwrap_or(0.0);
            count += measures
                .sum(&format!("{LOOK_UPS}_count"), &labels)
                .unwrap_or(0.0);
        }
        Ok(format!("{:.3} ms", seconds / count * 1000.0))
    }

    /// The greatest age seen.
    pub(crate) async fn oldest(&self, forest: &str, watched_for: Duration) -> anyhow::Result<f64> {
        let (began, mut oldest) = (Instant::now(), 0.0_f64);
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        while began.elapsed() < watched_for {
            ticks.tick().await;
            for (service, _) in &self.running {
                let age = Measures::of(service).await?.sum(AGE, &[("forest", forest)]);
                oldest = oldest.max(age.context("no age")?);
            }
        }
        Ok(oldest)
    }

    fn by_each(
        &self,
        value: impl Fn(&Service, &Measures) -> anyhow::Result<String>,
    ) -> anyhow::Result<String> {
        let values = self
            .running
            .iter()
            .map(|(service, measures)| value(service, measures));
        Ok(values.collect::<anyhow::Result<Vec<_>>>()?.join(" and "))
    }
}

fn services() -> anyhow::Result<Vec<Service>> {
    let mut services = Lab::load()?.services;
    services.retain(|service| service.name.starts_with("resolver-"));
    ensure!(!services.is_empty(), "the lab has no resolver");
    Ok(services)
}
