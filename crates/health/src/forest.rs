//! One forest: its writers, domains, queue, keys and rights.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proto::v1::{self, ServiceKind};

use crate::{
    Hearing,
    domain::{self, DomainReport},
    limits::{KEY_DAYS, KEY_DAYS_OF_GRACE, PENDING_FOR},
    pulse::{Pulse, ago},
    services::ServiceReport,
    verdict::{Finding, Level, Verdict},
};

const DAY_MICROS: i64 = 86_400_000_000;

/// So many operations in a row may fail by chance.
const FAILED_IN_A_ROW: u64 = 5;

#[derive(Debug, Clone, PartialEq)]
pub struct ForestReport {
    pub id: String,
    /// Of the forest as a whole, that of its writers and domains included.
    pub verdict: Verdict,
    pub writers: ServiceReport,
    pub domains: Vec<DomainReport>,
    pub figures: Figures,
    /// What was admitted within the ledger's window, by how it ended.
    pub ended: Vec<v1::EndedOperations>,
}

/// What is known of its work. What is absent is not known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    pub waiting: Option<u32>,
    pub under_way: u32,
    pub pending: u64,
    pub oldest_pending: Option<Duration>,
    pub last_applied: Option<Duration>,
    /// The keys intake publishes, oldest first, with the days until it is time to replace them.
    pub keys: Vec<(String, Option<i64>)>,
}

impl Figures {
    /// Of the key that callers seal to. Below zero it is overdue; none if nobody says when it was made.
    pub fn newest_key_days_left(&self) -> Option<i64> {
        self.keys.last().and_then(|(_, days)| *days)
    }
}

impl ForestReport {
    pub fn level(&self) -> Level {
        self.verdict.level()
    }
}

pub(crate) fn report(
    id: &str,
    pulses: &[Pulse<'_>],
    status: &v1::StatusResponse,
    hearing: Hearing,
) -> ForestReport {
    let of_forest = |kind: ServiceKind| {
        pulses
            .iter()
            .filter(move |pulse| pulse.kind == kind)
            .filter_map(|pulse| Some((pulse, pulse.forest(id)?)))
    };
    let writers = of_forest(ServiceKind::Writer).map(|(pulse, _)| pulse);
    let writers = ServiceReport::of(ServiceKind::Writer, Some(id), writers, hearing);
    let living = |(pulse, _): &(&Pulse<'_>, &v1::ForestHealth)| pulse.alive;
    let live_writers: Vec<_> = of_forest(ServiceKind::Writer).filter(living).collect();
    let live_intakes: Vec<_> = of_forest(ServiceKind::Intake).filter(living).collect();
    let mut live: Vec<_> = of_forest(ServiceKind::Resolver).filter(living).collect();
    live.extend(&live_writers);
    let names: BTreeSet<&str> = live
        .iter()
        .flat_map(|(_, forest)| &forest.domains)
        .map(|domain| domain.domain.as_str())
        .collect();
    let domains: Vec<DomainReport> = names
        .into_iter()
        .map(|name| domain::report(name, &live, status.at))
        .collect();

    let ledger = status.ledger.as_ref();
    let counted = ledger
        .and_then(|ledger| ledger.forests.iter().find(|forest| forest.forest == id))
        .cloned()
        .unwrap_or_default();
    let figures = figures(&live_writers, &live_intakes, &counted, status.at);
    let mut findings = writers.verdict.findings().to_vec();
    if hearing != Hearing::Deaf {
        findings.extend(of_domains(&domains));
        findings.extend(of_rights(&live_writers));
        let any_intake = pulses
            .iter()
            .any(|pulse| pulse.kind == ServiceKind::Intake && pulse.alive);
        if any_intake && !live_writers.is_empty() {
            findings.extend(of_keys(&figures, &live_writers));
        }
    }
    findings.extend(of_work(&figures, counted.failed_since));
    findings.extend(of_switch(id, ledger));
    ForestReport {
        id: id.to_owned(),
        verdict: Verdict::new(findings),
        writers,
        domains,
        figures,
        ended: ledger
            .map(|ledger| ledger.ended.iter().filter(|ended| ended.forest == id))
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
    }
}

/// Turned off for everybody is told of the ledger.
fn of_switch(id: &str, ledger: Option<&v1::LedgerHealth>) -> Option<Finding> {
    let settings = ledger?.settings.as_ref()?;
    let own = settings.forests.iter().find(|own| own.forest == id)?;
    (!own.writeback).then(|| {
        Finding::degraded(
            format!(
                "writeback is switched off in this forest, by {}",
                own.changed_by
            ),
            "`writebackctl enable --forest` with its id when it may go on",
        )
    })
}

fn figures(
    writers: &[(&Pulse<'_>, &v1::ForestHealth)],
    intakes: &[(&Pulse<'_>, &v1::ForestHealth)],
    counted: &v1::ForestLedger,
    now: i64,
) -> Figures {
    let queues = || {
        writers
            .iter()
            .filter_map(|(_, forest)| forest.queue.as_ref())
    };
    let freshest = writers
        .iter()
        .filter(|(_, forest)| {
            forest
                .queue
                .as_ref()
                .is_some_and(|queue| queue.waiting.is_some())
        })
        .min_by_key(|(pulse, _)| pulse.age);
    // the same file is published by all; the longest list is the newest while they read it again
    let keys = intakes
        .iter()
        .map(|(_, forest)| &forest.keys)
        .max_by_key(|keys| keys.len());
    let days = |key: &v1::SealingKeyHealth| {
        key.made_at
            .map(|at| KEY_DAYS - now.saturating_sub(at) / DAY_MICROS)
    };
    Figures {
        waiting: freshest.and_then(|(_, forest)| forest.queue.as_ref()?.waiting),
        under_way: queues().map(|queue| queue.under_way).sum(),
        pending: counted.pending,
        oldest_pending: counted.oldest_pending_age_ms.map(Duration::from_millis),
        last_applied: counted.last_applied_age_ms.map(Duration::from_millis),
        keys: keys
            .into_iter()
            .flatten()
            .map(|key| (key.kid.clone(), days(key)))
            .collect(),
    }
}

fn of_domains(domains: &[DomainReport]) -> Option<Finding> {
    let named = |level: Level| {
        let names = domains.iter().filter(|domain| domain.level() == level);
        names.map(|domain| domain.name.as_str()).collect::<Vec<_>>()
    };
    let (down, degraded) = (named(Level::Down), named(Level::Degraded));
    if down.is_empty() {
        return (!degraded.is_empty()).then(|| {
            Finding::degraded(
                format!("{} needs attention", degraded.join(", ")),
                "see the domain below",
            )
        });
    }
    let what = format!("{} cannot be worked with", down.join(", "));
    let act = "see the domain below";
    Some(if down.len() == domains.len() {
        Finding::down(what, act)
    } else {
        Finding::degraded(what, act)
    })
}

/// Whoever was refused after its last success. One refusal may be of one account alone.
fn of_rights(writers: &[(&Pulse<'_>, &v1::ForestHealth)]) -> Vec<Finding> {
    let rights = || {
        writers
            .iter()
            .filter_map(|(_, forest)| forest.rights.as_ref())
    };
    let mut findings = Vec::new();
    let denied = rights()
        .filter_map(|rights| Some((rights.last_denied_age_ms?, rights)))
        .min_by_key(|(age, _)| *age);
    let applied = rights()
        .filter_map(|rights| rights.last_applied_age_ms)
        .min();
    if let Some((age, rights)) = denied
        && applied.is_none_or(|applied| applied > age)
    {
        let right = match rights.denied_right.as_str() {
            "" => "a right".to_owned(),
            right => right.to_owned(),
        };
        findings.push(Finding::degraded(
            format!("the last write was refused for want of {right}, {} ago", ago(Duration::from_millis(age))),
            "`writebackctl reason access-denied`: give the service account what it lacks, or see whether that account is protected",
        ));
    }
    let missing: BTreeSet<&str> = rights()
        .flat_map(|rights| &rights.missing)
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        let missing: Vec<&str> = missing.into_iter().collect();
        findings.push(Finding::degraded(
            format!("the service account lacks {}", missing.join(", ")),
            "`writebackctl reason access-denied`: give the service account what it lacks",
        ));
    }
    findings
}

/// What callers seal to must be what the writers can open.
fn of_keys(figures: &Figures, writers: &[(&Pulse<'_>, &v1::ForestHealth)]) -> Vec<Finding> {
    let Some((newest, _)) = figures.keys.last() else {
        return vec![Finding::down(
            "intake publishes no sealing key for it: nobody can send it a password",
            "`writebackctl keys generate`, and give intake the public set",
        )];
    };
    let mut findings = Vec::new();
    let mut lacking: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (pulse, forest) in writers {
        for (kid, _) in &figures.keys {
            if forest.keys.iter().all(|held| held.kid != *kid) {
                let names = lacking.entry(kid).or_default();
                names.push(&pulse.heartbeat.instance);
            }
        }
    }
    for (kid, names) in lacking {
        let what = format!(
            "the published sealing key {} cannot be opened by {}",
            short(kid),
            names.join(", ")
        );
        let act = "give every writer the private key and start it again, or take the public key out of the set";
        findings.push(if names.len() == writers.len() && kid == newest {
            Finding::down(what, act)
        } else {
            Finding::degraded(what, act)
        });
    }
    if let Some((kid, Some(days))) = figures.keys.last()
        && *days < -KEY_DAYS_OF_GRACE
    {
        findings.push(Finding::degraded(
            format!(
                "the sealing key {} should have been replaced {} days ago",
                short(kid),
                -days
            ),
            "`writebackctl keys rotate`, best on a schedule with --if-older-than 180d",
        ));
    }
    findings
}

/// Enough of a thumbprint to know it by.
fn short(kid: &str) -> String {
    kid.chars().take(8).collect()
}

fn of_work(figures: &Figures, failed_since: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(age) = figures.oldest_pending.filter(|age| *age > PENDING_FOR) {
        findings.push(Finding::degraded(
            format!("{} pending, the oldest for {}", figures.pending, ago(age)),
            "if its domain controllers are well, add writers; `writebackctl operations list --status pending` names them",
        ));
    }
    if failed_since >= FAILED_IN_A_ROW {
        findings.push(Finding::degraded(
            format!("{failed_since} operations failed or expired since the last success"),
            "`writebackctl operations list --status failed` and `--status expired` say why",
        ));
    }
    findings
}
