//! A world with which all is well, and ways to make it ill.

use proto::v1::{self, Breaker, Contact};

pub(super) use crate::*;

pub(super) const NOW: i64 = 1_800_000_000_000_000;
pub(super) const DAY: i64 = 86_400_000_000;

pub(super) fn pulse(
    kind: ServiceKind,
    instance: &str,
    forests: Vec<v1::ForestHealth>,
) -> v1::HeardHeartbeat {
    v1::HeardHeartbeat {
        heartbeat: Some(v1::Heartbeat {
            kind: kind.into(),
            instance: instance.to_owned(),
            version: "0.1.0".to_owned(),
            started_at: NOW - DAY,
            sent_at: NOW,
            interval_ms: 5_000,
            goodbye: false,
            gates: vec![v1::ReadinessGate {
                what: "broker".to_owned(),
                open: true,
            }],
            forests,
            certificates: vec![v1::ServiceCertificate {
                section: if kind == ServiceKind::Audit {
                    "audit"
                } else {
                    "ledger"
                }
                .to_owned(),
                certificate_begins_at: Some(NOW - 300 * DAY),
                certificate_expires_at: Some(NOW + 300 * DAY),
                authority_expires_at: Some(NOW + 3_000 * DAY),
            }],
        }),
        age_ms: 2_000,
    }
}

pub(super) fn controller(forest: &str, number: usize) -> v1::ControllerHealth {
    v1::ControllerHealth {
        endpoint: format!("ldaps://dc{number}.{forest}.example.com:636"),
        asked_age_ms: Some(1_000),
        contact: Contact::Bound.into(),
        breaker: Breaker::Closed.into(),
        policy_hints: Some(true),
        clock_skew_ms: Some(-200),
        writable: Some(true),
        synchronized: Some(true),
        certificate_expires_at: Some(NOW + 300 * DAY),
        latency_us: Some(1_500),
        ..v1::ControllerHealth::default()
    }
}

pub(super) fn domain(forest: &str) -> v1::DomainHealth {
    v1::DomainHealth {
        domain: format!("{forest}.example.com"),
        controllers: vec![controller(forest, 1), controller(forest, 2)],
        anchors_age_ms: None,
    }
}

pub(super) fn keys(forest: &str) -> Vec<v1::SealingKeyHealth> {
    ["old", "new"]
        .map(|age| v1::SealingKeyHealth {
            kid: format!("{forest}-{age}"),
            made_at: Some(NOW - 90 * DAY),
        })
        .into()
}

pub(super) fn of_writer(forest: &str) -> v1::ForestHealth {
    v1::ForestHealth {
        forest: forest.to_owned(),
        domains: vec![domain(forest)],
        queue: Some(v1::QueueHealth {
            waiting: Some(0),
            ..v1::QueueHealth::default()
        }),
        rights: Some(v1::RightsHealth {
            last_applied_age_ms: Some(10_000),
            ..v1::RightsHealth::default()
        }),
        keys: keys(forest),
        policy_hints_required: false,
    }
}

pub(super) fn of_resolver(forest: &str) -> v1::ForestHealth {
    let mut known = domain(forest);
    known.anchors_age_ms = Some(9_000);
    v1::ForestHealth {
        forest: forest.to_owned(),
        domains: vec![known],
        ..v1::ForestHealth::default()
    }
}

pub(super) fn of_intake(forest: &str) -> v1::ForestHealth {
    v1::ForestHealth {
        forest: forest.to_owned(),
        keys: keys(forest),
        ..v1::ForestHealth::default()
    }
}

pub(super) const FORESTS: [&str; 2] = ["corp", "emea"];

/// Two of each, two forests, two domain controllers each.
pub(super) fn well() -> v1::StatusResponse {
    let mut heard = Vec::new();
    for number in 1..=2 {
        let both = |of: fn(&str) -> v1::ForestHealth| FORESTS.map(of).into();
        let name = |kind: &str| format!("{kind}-{number}");
        heard.push(pulse(ServiceKind::Intake, &name("intake"), both(of_intake)));
        heard.push(pulse(
            ServiceKind::Resolver,
            &name("resolver"),
            both(of_resolver),
        ));
        heard.push(pulse(ServiceKind::Audit, &name("audit"), Vec::new()));
        for forest in FORESTS {
            let name = format!("writer-{forest}-{number}");
            heard.push(pulse(ServiceKind::Writer, &name, vec![of_writer(forest)]));
        }
    }
    v1::StatusResponse {
        at: NOW,
        replica: "audit-1".to_owned(),
        listening_ms: Some(600_000),
        heard,
        ledger: Some(v1::LedgerHealth {
            counted_age_ms: Some(3_000),
            window_ms: 900_000,
            forests: FORESTS
                .map(|forest| v1::ForestLedger {
                    forest: forest.to_owned(),
                    ..v1::ForestLedger::default()
                })
                .into(),
            settings: Some(v1::SettingsValues {
                writeback: true,
                unlock_without_reset: true,
                ..v1::SettingsValues::default()
            }),
            chain: Some(v1::ChainHealth::default()),
            ..v1::LedgerHealth::default()
        }),
    }
}

/// Those whose name begins so.
pub(super) fn each(
    status: &mut v1::StatusResponse,
    name: &str,
    change: impl Fn(&mut v1::HeardHeartbeat),
) {
    let mut changed = 0;
    for heard in &mut status.heard {
        if heard.heartbeat.as_ref().unwrap().instance.starts_with(name) {
            change(heard);
            changed += 1;
        }
    }
    assert!(changed > 0, "nobody is called {name}");
}

pub(super) fn forests(
    status: &mut v1::StatusResponse,
    name: &str,
    change: impl Fn(&mut v1::ForestHealth),
) {
    each(status, name, |heard| {
        heard
            .heartbeat
            .as_mut()
            .unwrap()
            .forests
            .iter_mut()
            .for_each(&change);
    });
}

/// At every domain controller that those know, of corp alone.
pub(super) fn controllers(
    status: &mut v1::StatusResponse,
    name: &str,
    change: impl Fn(&mut v1::ControllerHealth),
) {
    forests(status, name, |forest| {
        if forest.forest == "corp" {
            let domains = forest.domains.iter_mut();
            domains
                .flat_map(|domain| &mut domain.controllers)
                .for_each(&change);
        }
    });
}

/// Of those whose name begins so, what they show and believe.
pub(super) fn certificates(
    name: &str,
    change: impl Fn(&mut v1::ServiceCertificate),
) -> impl Fn(&mut v1::StatusResponse) {
    move |status| {
        each(status, name, |heard| {
            let certificates = &mut heard.heartbeat.as_mut().unwrap().certificates;
            certificates.iter_mut().for_each(&change);
        });
    }
}

pub(super) fn silent(name: &str) -> impl Fn(&mut v1::StatusResponse) {
    move |status| each(status, name, |heard| heard.age_ms = 40_000)
}

pub(super) fn gone(name: &str) -> impl Fn(&mut v1::StatusResponse) {
    move |status| {
        status
            .heard
            .retain(|heard| !heard.heartbeat.as_ref().unwrap().instance.starts_with(name));
    }
}

pub(super) fn fail(controller: &mut v1::ControllerHealth, contact: Contact) {
    controller.contact = contact.into();
    controller.problem = "no answer".to_owned();
}

pub(super) fn ledger(change: impl Fn(&mut v1::LedgerHealth)) -> impl Fn(&mut v1::StatusResponse) {
    move |status| change(status.ledger.as_mut().unwrap())
}

pub(super) fn of_corp(change: impl Fn(&mut v1::ForestLedger)) -> impl Fn(&mut v1::StatusResponse) {
    ledger(move |ledger| {
        let mut forests = ledger.forests.iter_mut();
        change(forests.find(|forest| forest.forest == "corp").unwrap());
    })
}

/// Where a finding is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Broker,
    Ledger,
    Service(ServiceKind),
    Corp,
    Domain,
    /// The first domain controller of corp.
    Controller,
}

pub(super) fn corp(report: &Report) -> &ForestReport {
    report
        .forests
        .iter()
        .find(|forest| forest.id == "corp")
        .unwrap()
}

pub(super) fn at(report: &Report, place: Place) -> &Verdict {
    let of_kind = |kind| report.services.iter().find(|service| service.kind == kind);
    match place {
        Place::Broker => &report.broker,
        Place::Ledger => &report.ledger,
        Place::Service(kind) => &of_kind(kind).unwrap().verdict,
        Place::Corp => &corp(report).verdict,
        Place::Domain => &corp(report).domains[0].verdict,
        Place::Controller => &corp(report).domains[0].controllers[0].verdict,
    }
}

/// Every verdict there is.
pub(super) fn verdicts(report: &Report) -> Vec<&Verdict> {
    let mut all = vec![&report.broker, &report.ledger];
    all.extend(report.services.iter().map(|service| &service.verdict));
    for forest in &report.forests {
        all.push(&forest.verdict);
        for domain in &forest.domains {
            all.push(&domain.verdict);
            all.extend(domain.controllers.iter().map(|one| &one.verdict));
        }
    }
    all
}

/// With this wrong, the place has a finding of this level that says this, the whole is of that level,
/// and the other forest is healthy if only corp is ill.
pub(super) fn expect(
    wrong: impl Fn(&mut v1::StatusResponse),
    place: Place,
    level: Level,
    says: &str,
    whole: Level,
) -> Report {
    let mut status = well();
    wrong(&mut status);
    let report = judge(&status);
    let found = at(&report, place)
        .findings()
        .iter()
        .any(|finding| finding.level == level && finding.what.contains(says));
    assert!(
        found,
        "{place:?} {level:?} {says:?}: {:#?}",
        at(&report, place)
    );
    assert_eq!(report.level, whole, "{says}: {:#?}", verdicts(&report));
    for finding in verdicts(&report).into_iter().flat_map(Verdict::findings) {
        assert!(!finding.act.is_empty() && !finding.what.is_empty());
    }
    if matches!(place, Place::Corp | Place::Domain | Place::Controller) {
        let emea = report.forests.iter().find(|forest| forest.id == "emea");
        assert_eq!(emea.unwrap().level(), Level::Healthy, "walls: {says}");
    }
    report
}
