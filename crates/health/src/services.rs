//! The replicas of one kind of service.

use std::time::Duration;

use proto::v1::{self, ServiceKind};

use crate::{
    Hearing,
    certificates::{self, Ending},
    pulse::{Pulse, ago},
    verdict::{Finding, Verdict},
};

/// A service that has just started opens its gates within this.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// One kind of service; writers by forest.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceReport {
    pub kind: ServiceKind,
    pub forest: Option<String>,
    pub verdict: Verdict,
    pub instances: Vec<Instance>,
}

/// One replica.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub name: String,
    pub version: String,
    /// Microseconds since the Unix epoch, by its own clock.
    pub started_at: i64,
    pub heard: Duration,
    pub alive: bool,
    /// It had only just started when it was heard.
    pub starting: bool,
    pub gates: Vec<v1::ReadinessGate>,
    /// Of its own certificates, what ends soon.
    pub(crate) ending: Vec<Ending>,
}

impl Instance {
    fn of(pulse: &Pulse<'_>) -> Self {
        let heartbeat = pulse.heartbeat;
        Self {
            name: heartbeat.instance.clone(),
            version: heartbeat.version.clone(),
            started_at: heartbeat.started_at,
            heard: pulse.age,
            alive: pulse.alive,
            starting: pulse.uptime() < STARTS_WITHIN,
            gates: heartbeat.gates.clone(),
            ending: certificates::ending(pulse),
        }
    }

    /// What it cannot work without and has not got.
    pub fn closed_gates(&self) -> Vec<&str> {
        let closed = self.gates.iter().filter(|gate| !gate.open);
        closed.map(|gate| gate.what.as_str()).collect()
    }
}

/// As configuration and metrics call it.
pub const fn kind_name(kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::Unspecified => "unknown",
        ServiceKind::Intake => "intake",
        ServiceKind::Resolver => "resolver",
        ServiceKind::Writer => "writer",
        ServiceKind::Audit => "audit",
    }
}

impl ServiceReport {
    pub(crate) fn of<'a, 'b: 'a>(
        kind: ServiceKind,
        forest: Option<&str>,
        pulses: impl Iterator<Item = &'a Pulse<'b>>,
        hearing: Hearing,
    ) -> Self {
        let mut instances: Vec<Instance> = pulses.map(Instance::of).collect();
        instances.sort_by(|one, other| one.name.cmp(&other.name));
        let name = match forest {
            Some(forest) => format!("{} of {forest}", kind_name(kind)),
            None => kind_name(kind).to_owned(),
        };
        let findings = match hearing {
            Hearing::Deaf => vec![Finding::degraded(
                format!("{name}: not known while no heartbeat is heard"),
                "mend the broker's connection first",
            )],
            Hearing::Settling | Hearing::Good => findings(&name, &instances, hearing),
        };
        Self {
            kind,
            forest: forest.map(str::to_owned),
            verdict: Verdict::new(findings),
            instances,
        }
    }

    pub fn alive(&self) -> usize {
        self.instances.iter().filter(|one| one.alive).count()
    }
}

fn findings(name: &str, instances: &[Instance], hearing: Hearing) -> Vec<Finding> {
    let mut findings = Vec::new();
    let alive: Vec<&Instance> = instances.iter().filter(|one| one.alive).collect();
    let missing: Vec<String> = instances
        .iter()
        .filter(|one| !one.alive)
        .map(|one| format!("{} (silent for {})", one.name, ago(one.heard)))
        .collect();
    if alive.is_empty() {
        let what = match missing.as_slice() {
            [] => format!("no {name} is heard"),
            missing => format!("no {name} lives: {}", missing.join(", ")),
        };
        findings.push(match hearing {
            Hearing::Settling if missing.is_empty() => Finding::degraded(
                format!("{what} yet: this replica of audit has only begun to listen"),
                "ask again in a few seconds",
            ),
            _ => Finding::down(what, format!("start the {name}; its log says why it ended")),
        });
    } else if !missing.is_empty() {
        findings.push(Finding::degraded(
            format!("missing: {}", missing.join(", ")),
            "start it again; its log says why it ended. One that is gone for good is forgotten by itself",
        ));
    }
    let waiting: Vec<String> = alive
        .iter()
        .filter(|one| !one.closed_gates().is_empty())
        .map(|one| {
            format!(
                "{} has no {}",
                one.name,
                one.closed_gates().join(" and no ")
            )
        })
        .collect();
    if !waiting.is_empty() {
        let (what, act) = (
            format!("not ready: {}", waiting.join(", ")),
            "see that what they wait for runs and can be reached from them",
        );
        let starting = |one: &&Instance| one.starting && !one.closed_gates().is_empty();
        findings.push(
            if waiting.len() == alive.len() && !alive.iter().any(starting) {
                Finding::down(what, act)
            } else {
                Finding::degraded(what, act)
            },
        );
    }
    let living = alive
        .iter()
        .map(|one| (one.name.as_str(), one.ending.as_slice()));
    findings.extend(certificates::findings(living));
    findings
}
