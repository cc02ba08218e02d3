//! One domain: its controllers together, and the index of its anchors.

use std::{collections::BTreeMap, time::Duration};

use proto::v1;

use crate::{
    controller::{self, ControllerReport, Sight},
    limits::ANCHORS_WITHIN,
    pulse::{Pulse, ago},
    verdict::{Finding, Level, Verdict},
};

#[derive(Debug, Clone, PartialEq)]
pub struct DomainReport {
    pub name: String,
    pub verdict: Verdict,
    pub controllers: Vec<ControllerReport>,
    /// How old the oldest index of its anchors is.
    pub anchors_age: Option<Duration>,
    /// How many of those that can be worked with do not know policy hints, if they are required.
    pub without_policy_hints: usize,
}

impl DomainReport {
    pub fn level(&self) -> Level {
        self.verdict.level()
    }
}

/// `live` are those of the services alive that know this forest.
pub(crate) fn report(
    name: &str,
    live: &[(&Pulse<'_>, &v1::ForestHealth)],
    now: i64,
) -> DomainReport {
    let told: Vec<(&Pulse<'_>, &v1::DomainHealth)> = live
        .iter()
        .flat_map(|(pulse, forest)| forest.domains.iter().map(move |domain| (*pulse, domain)))
        .filter(|(_, domain)| domain.domain == name)
        .collect();
    let mut sights: BTreeMap<&str, Vec<Sight<'_>>> = BTreeMap::new();
    for (pulse, domain) in &told {
        for facts in &domain.controllers {
            let sight = Sight { pulse, facts };
            sights.entry(&facts.endpoint).or_default().push(sight);
        }
    }
    let controllers: Vec<ControllerReport> = sights
        .iter()
        .map(|(endpoint, sights)| controller::report(endpoint, sights, now))
        .collect();
    let anchors_age = told
        .iter()
        .filter_map(|(_, domain)| domain.anchors_age_ms)
        .max()
        .map(Duration::from_millis);
    let without_policy_hints = if live.iter().any(|(_, forest)| forest.policy_hints_required) {
        let unhinted = |one: &&ControllerReport| one.facts.policy_hints == Some(false);
        usable(&controllers).filter(unhinted).count()
    } else {
        0
    };
    DomainReport {
        name: name.to_owned(),
        verdict: verdict(&controllers, anchors_age, without_policy_hints),
        controllers,
        anchors_age,
        without_policy_hints,
    }
}

fn usable(controllers: &[ControllerReport]) -> impl Iterator<Item = &ControllerReport> {
    let can_be_worked_with = |one: &&ControllerReport| one.verdict.level() < Level::Down;
    controllers.iter().filter(can_be_worked_with)
}

fn verdict(
    controllers: &[ControllerReport],
    anchors_age: Option<Duration>,
    without_policy_hints: usize,
) -> Verdict {
    let mut findings = Vec::new();
    let usable: Vec<&ControllerReport> = usable(controllers).collect();
    if controllers.is_empty() {
        findings.push(Finding::degraded(
            "its domain controllers were not asked yet",
            "ask again in a few seconds",
        ));
    } else if usable.is_empty() {
        findings.push(Finding::down(
            "none of its domain controllers can be worked with",
            "see each below",
        ));
    } else if usable
        .iter()
        .all(|controller| controller.facts.writable == Some(false))
    {
        findings.push(Finding::down(
            "none of its domain controllers that answer can be written to",
            "bring a writable domain controller back, or name one in domain_controllers",
        ));
    } else {
        let worse = controllers
            .iter()
            .filter(|controller| controller.verdict.level() > Level::Healthy)
            .count();
        if worse > 0 {
            findings.push(Finding::degraded(
                format!(
                    "{worse} of its {} domain controllers need attention",
                    controllers.len()
                ),
                "see each below",
            ));
        }
    }
    if without_policy_hints > 0 {
        let (what, act) = (
            "policy hints are required, and not known to",
            "update it, or set policy_hints to when-available: `writebackctl reason directory-misconfigured`",
        );
        findings.push(if without_policy_hints == usable.len() {
            Finding::down(
                format!("{what} any domain controller: resets are refused"),
                act,
            )
        } else {
            Finding::degraded(
                format!("{what} {without_policy_hints} of {}", usable.len()),
                act,
            )
        });
    }
    if let Some(age) = anchors_age.filter(|age| *age > ANCHORS_WITHIN) {
        findings.push(Finding::degraded(
            format!(
                "its anchors were last read {} ago: people are searched for without the index",
                ago(age)
            ),
            "see the resolvers' logs: they say why they cannot read the domain's changes",
        ));
    }
    Verdict::new(findings)
}
