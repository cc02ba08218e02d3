//! The services as the system sees them: which program, how much memory, how long to start.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, SysconfVar, sysconf},
};

const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// The most memory a service has held so far.
pub(crate) struct Memory {
    pub(crate) service: String,
    pub(crate) resident_kib: u64,
}

/// From the start of its process to its first "ready", with everything it stands on running.
pub(crate) struct Start {
    pub(crate) service: String,
    pub(crate) took: Duration,
}

/// Debug services under a release caller would make every number worthless.
pub(crate) fn are_built_like_this(lab: &lab::Lab) -> anyhow::Result<()> {
    let own = std::env::current_exe()?;
    for service in &lab.services {
        let link = format!("/proc/{}/exe", service.pid);
        let program = fs::read_link(&link).with_context(|| format!("cannot read {link}"))?;
        ensure!(
            program.parent() == own.parent(),
            "the lab runs {}, which is not built like {}: stop the lab and start it from there",
            program.display(),
            own.display()
        );
    }
    Ok(())
}

/// `VmHWM`: the peak of the resident set since the process began (proc(5)).
pub(crate) fn memory(lab: &lab::Lab) -> anyhow::Result<Vec<Memory>> {
    lab.services
        .iter()
        .map(|service| {
            let status = fs::read_to_string(format!("/proc/{}/status", service.pid))
                .with_context(|| format!("{} has ended", service.name))?;
            let resident_kib = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))
                .and_then(|value| value.split_whitespace().next()?.parse().ok())
                .with_context(|| format!("{} has no VmHWM", service.name))?;
            Ok(Memory {
                service: service.name.clone(),
                resident_kib,
            })
        })
        .collect()
}

/// Stops one service after the other and times how the lab's supervisor brings it back.
pub(crate) async fn start_each(lab: &lab::Lab) -> anyhow::Result<Vec<Start>> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(2))
        .pool_max_idle_per_host(0)
        .build()?;
    let mut starts = Vec::new();
    for service in &lab.services {
        kill(Pid::from_raw(i32::try_from(service.pid)?), Signal::SIGTERM)
            .with_context(|| format!("cannot stop {}", service.name))?;
        let next = in_time(&service.name, async || {
            let current = lab::Lab::load().ok()?;
            current
                .services
                .into_iter()
                .find(|one| one.name == service.name && one.pid != service.pid)
        })
        .await?;
        let ready = format!("{}/readyz", next.admin);
        let took = in_time(&service.name, async || {
            let answer = client.get(&ready).send().await.ok()?;
            answer.status().is_success().then(|| age(next.pid))
        })
        .await??;
        starts.push(Start {
            service: next.name,
            took,
        });
    }
    Ok(starts)
}

async fn in_time<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return Ok(seen);
        }
        if began.elapsed() > PATIENCE {
            bail!("{what} did not come back within {PATIENCE:?}");
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// How long a process has been running, to the hundredth of a second that the kernel keeps.
fn age(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let uptime = fs::read_to_string(Path::new("/proc/uptime"))?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
    since_start(&stat, &uptime, per_second).context("/proc cannot be read")
}

/// Field 22 of `stat` is the start in ticks after boot; the second field is a name in parentheses that may hold
/// anything (proc(5)).
fn since_start(stat: &str, uptime: &str, ticks_per_second: i64) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let started: f64 = after_name.split_whitespace().nth(19)?.parse().ok()?;
    let now: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let per_second: f64 = i32::try_from(ticks_per_second).ok()?.into();
    Duration::try_from_secs_f64((now - started / per_second).max(0.0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_start_whatever_the_process_calls_itself() {
        let stat = "77 (a) S 1 (b) R 1 77 77 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 9 0 12345 1 2";
        let age = since_start(stat, "124.05 200.00\n", 100).unwrap();
        assert_eq!(age.as_millis(), 600);
        assert_eq!(since_start("77", "124.05", 100), None);
    }
}
