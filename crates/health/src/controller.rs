//! One domain controller, as all that ask it see it.

use std::time::Duration;

use proto::v1::{self, Breaker, Contact, ServiceKind};

use crate::{
    limits::{CERTIFICATE_DAYS, CLOCK_SKEW},
    pulse::{Pulse, ago},
    verdict::{Finding, Level, Verdict},
};

const DAY_MICROS: i64 = 86_400_000_000;

/// The first of a domain are asked every ten seconds, the others every minute.
const ASKED_WITHIN: Duration = Duration::from_secs(150);

#[derive(Debug, Clone, PartialEq)]
pub struct ControllerReport {
    pub endpoint: String,
    pub verdict: Verdict,
    /// What was seen last by somebody whom it answered, a writer if there is one.
    pub facts: v1::ControllerHealth,
    /// How many services are bound to it, and how many ask it.
    pub bound: usize,
    pub asking: usize,
}

impl ControllerReport {
    /// Without scheme and port; an IPv6 literal cannot be configured.
    pub fn host(&self) -> &str {
        let (_, address) = self
            .endpoint
            .split_once("://")
            .unwrap_or(("", &self.endpoint));
        address.split(':').next().unwrap_or(address)
    }

    /// Its clock less that of whoever asked it, in milliseconds; none while it lets nobody in.
    pub fn clock_skew_ms(&self) -> Option<i64> {
        self.facts.clock_skew_ms.filter(|_| self.bound > 0)
    }
}

/// What one service sees.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    pub(crate) pulse: &'a Pulse<'a>,
    pub(crate) facts: &'a v1::ControllerHealth,
}

impl Sight<'_> {
    fn contact(&self) -> Contact {
        let asked = self.facts.asked_age_ms.map(Duration::from_millis);
        if asked.is_some_and(|age| age > ASKED_WITHIN) {
            return Contact::Silent;
        }
        self.facts.contact()
    }

    fn is_bound(&self) -> bool {
        self.contact() == Contact::Bound
    }

    fn of_writer(&self) -> bool {
        self.pulse.kind == ServiceKind::Writer
    }
}

/// `sights` is not empty. `now` is in microseconds since the Unix epoch.
pub(crate) fn report(endpoint: &str, sights: &[Sight<'_>], now: i64) -> ControllerReport {
    let facts = sights
        .iter()
        .min_by_key(|sight| {
            (
                !sight.is_bound(),
                !sight.of_writer(),
                sight.facts.asked_age_ms,
            )
        })
        .map(|sight| sight.facts.clone())
        .unwrap_or_default();
    let bound = sights.iter().filter(|sight| sight.is_bound()).count();
    let mut findings = contact(sights, bound);
    if bound > 0 {
        findings.extend(answering(&facts));
    }
    if let Some(days) = certificate_days(&facts, now).filter(|days| *days < CERTIFICATE_DAYS) {
        findings.push(Finding::degraded(
            format!("its certificate ends in {days} days"),
            "renew the domain controller's LDAPS certificate, from the same authority",
        ));
    }
    ControllerReport {
        endpoint: endpoint.to_owned(),
        verdict: Verdict::new(findings),
        facts,
        bound,
        asking: sights.len(),
    }
}

fn contact(sights: &[Sight<'_>], bound: usize) -> Vec<Finding> {
    let Some(failing) = sights
        .iter()
        .filter(|sight| !sight.is_bound())
        .max_by_key(|sight| sight.of_writer())
    else {
        return Vec::new();
    };
    let writers = sights.iter().filter(|sight| sight.of_writer());
    let (writers, bound_writers) = writers.fold((0, 0), |(all, bound), sight| {
        (all + 1, bound + usize::from(sight.is_bound()))
    });
    // who cannot write here is of no use; without writers, what resolvers see must do
    let level = if bound == 0 || (writers > 0 && bound_writers == 0) {
        Level::Down
    } else {
        Level::Degraded
    };
    let names = sights
        .iter()
        .filter(|sight| !sight.is_bound())
        .map(|sight| sight.pulse.heartbeat.instance.as_str());
    let names = names.collect::<Vec<_>>().join(", ");
    let problem = &failing.facts.problem;
    let (what, act) = match failing.contact() {
        Contact::Refused => (
            match bound {
                0 => format!("it lets nobody in: {problem}"),
                _ => format!("it does not let {names} in: {problem}"),
            },
            "mend the service account or its password file, or the forest's ca_file: `writebackctl reason directory-misconfigured`".to_owned(),
        ),
        Contact::Silent | Contact::Bound | Contact::Unspecified => (
            match bound {
                0 => format!("it answers nobody: {problem}"),
                _ => format!("it does not answer {names}: {problem}"),
            },
            "see that it runs, and that its LDAPS port can be reached from them: `writebackctl reason forest-unavailable`".to_owned(),
        ),
    };
    vec![Finding { level, what, act }]
}

fn answering(facts: &v1::ControllerHealth) -> Vec<Finding> {
    let mut findings = Vec::new();
    if matches!(facts.breaker(), Breaker::Open | Breaker::HalfOpen) {
        findings.push(Finding::degraded(
            "it failed a moment ago, and others are asked first",
            "nothing if it stays away for seconds only; else see what it logs",
        ));
    }
    if let Some(skew) = facts.clock_skew_ms
        && Duration::from_millis(skew.unsigned_abs()) > CLOCK_SKEW
    {
        let direction = if skew > 0 { "ahead of" } else { "behind" };
        let skew = ago(Duration::from_millis(skew.unsigned_abs()));
        findings.push(Finding::degraded(
            format!("its clock is {skew} {direction} ours"),
            "set the clocks by one source of time, here and there",
        ));
    }
    if facts.synchronized == Some(false) {
        findings.push(Finding::degraded(
            "it has not caught up with the other domain controllers",
            "see its replication: `repadmin /showrepl`",
        ));
    }
    findings
}

/// Days until its certificate ends; none if that is not known.
pub(crate) fn certificate_days(facts: &v1::ControllerHealth, now: i64) -> Option<i64> {
    facts
        .certificate_expires_at
        .map(|at| at.saturating_sub(now) / DAY_MICROS)
}
