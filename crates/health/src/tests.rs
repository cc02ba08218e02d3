//! A well world, and what each thing that can be wrong with it makes of the verdicts.

use proto::v1::{self, Breaker, Contact};

use super::*;

const NOW: i64 = 1_800_000_000_000_000;
const DAY: i64 = 86_400_000_000;

fn pulse(kind: ServiceKind, instance: &str, forests: Vec<v1::ForestHealth>) -> v1::HeardHeartbeat {
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
        }),
        age_ms: 2_000,
    }
}

fn controller(forest: &str, number: usize) -> v1::ControllerHealth {
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

fn domain(forest: &str) -> v1::DomainHealth {
    v1::DomainHealth {
        domain: format!("{forest}.example.com"),
        controllers: vec![controller(forest, 1), controller(forest, 2)],
        anchors_age_ms: None,
    }
}

fn keys(forest: &str) -> Vec<v1::SealingKeyHealth> {
    ["old", "new"]
        .map(|age| v1::SealingKeyHealth {
            kid: format!("{forest}-{age}"),
            expires_at: Some(NOW + 90 * DAY),
            made_at: None,
        })
        .into()
}

fn of_writer(forest: &str) -> v1::ForestHealth {
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

fn of_resolver(forest: &str) -> v1::ForestHealth {
    let mut known = domain(forest);
    known.anchors_age_ms = Some(9_000);
    v1::ForestHealth {
        forest: forest.to_owned(),
        domains: vec![known],
        ..v1::ForestHealth::default()
    }
}

fn of_intake(forest: &str) -> v1::ForestHealth {
    v1::ForestHealth {
        forest: forest.to_owned(),
        keys: keys(forest),
        ..v1::ForestHealth::default()
    }
}

const FORESTS: [&str; 2] = ["corp", "emea"];

/// Two of each, two forests, two domain controllers each.
fn well() -> v1::StatusResponse {
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
fn each(status: &mut v1::StatusResponse, name: &str, change: impl Fn(&mut v1::HeardHeartbeat)) {
    let mut changed = 0;
    for heard in &mut status.heard {
        if heard.heartbeat.as_ref().unwrap().instance.starts_with(name) {
            change(heard);
            changed += 1;
        }
    }
    assert!(changed > 0, "nobody is called {name}");
}

fn forests(status: &mut v1::StatusResponse, name: &str, change: impl Fn(&mut v1::ForestHealth)) {
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
fn controllers(
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

fn silent(name: &str) -> impl Fn(&mut v1::StatusResponse) {
    move |status| each(status, name, |heard| heard.age_ms = 40_000)
}

fn gone(name: &str) -> impl Fn(&mut v1::StatusResponse) {
    move |status| {
        status
            .heard
            .retain(|heard| !heard.heartbeat.as_ref().unwrap().instance.starts_with(name));
    }
}

fn fail(controller: &mut v1::ControllerHealth, contact: Contact) {
    controller.contact = contact.into();
    controller.problem = "no answer".to_owned();
}

fn ledger(change: impl Fn(&mut v1::LedgerHealth)) -> impl Fn(&mut v1::StatusResponse) {
    move |status| change(status.ledger.as_mut().unwrap())
}

fn of_corp(change: impl Fn(&mut v1::ForestLedger)) -> impl Fn(&mut v1::StatusResponse) {
    ledger(move |ledger| {
        let mut forests = ledger.forests.iter_mut();
        change(forests.find(|forest| forest.forest == "corp").unwrap());
    })
}

/// Where a finding is looked for.
#[derive(Debug, Clone, Copy)]
enum Place {
    Broker,
    Ledger,
    Service(ServiceKind),
    Corp,
    Domain,
    /// The first domain controller of corp.
    Controller,
}

fn corp(report: &Report) -> &ForestReport {
    report
        .forests
        .iter()
        .find(|forest| forest.id == "corp")
        .unwrap()
}

fn at(report: &Report, place: Place) -> &Verdict {
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
fn verdicts(report: &Report) -> Vec<&Verdict> {
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
fn expect(
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

use Level::{Degraded, Down, Healthy};
use Place::{Broker, Controller, Corp, Domain, Ledger, Service};

#[test]
fn a_well_world_is_healthy_and_nothing_is_said_of_it() {
    let report = judge(&well());
    assert_eq!(report.level, Healthy);
    assert!(
        verdicts(&report)
            .iter()
            .all(|verdict| verdict.findings().is_empty())
    );
    assert_eq!(report.forests.len(), 2);
    let corp = corp(&report);
    assert_eq!((corp.writers.alive(), corp.writers.instances.len()), (2, 2));
    assert_eq!(corp.domains[0].controllers.len(), 2);
    assert_eq!(corp.domains[0].controllers[0].bound, 4);
    assert_eq!(corp.figures.keys.len(), 2);
}

#[test]
fn a_service_that_fell_silent_is_missed() {
    for kind in [
        ServiceKind::Intake,
        ServiceKind::Resolver,
        ServiceKind::Audit,
    ] {
        let name = kind_name(kind);
        let one = format!("{name}-1");
        let says = format!("{one} (silent for 40 s)");
        expect(silent(&one), Service(kind), Degraded, &says, Degraded);
        expect(silent(name), Service(kind), Down, "lives", Down);
        expect(gone(name), Service(kind), Down, "is heard", Down);
    }
}

#[test]
fn one_that_is_late_is_not_missed_yet() {
    let mut status = well();
    each(&mut status, "writer", |heard| heard.age_ms = 16_000);
    assert_eq!(judge(&status).level, Healthy);
    each(&mut status, "writer-corp-1", |heard| heard.age_ms = 16_001);
    assert_eq!(judge(&status).level, Degraded);
}

#[test]
fn nobody_can_ask_not_to_be_missed() {
    let mut status = well();
    each(&mut status, "writer-corp", |heard| {
        heard.age_ms = 60_000;
        heard.heartbeat.as_mut().unwrap().interval_ms = u32::MAX;
    });
    assert_eq!(corp(&judge(&status)).level(), Down);
}

#[test]
fn a_forest_without_writers_is_down_and_the_other_is_not() {
    expect(
        silent("writer-corp-2"),
        Corp,
        Degraded,
        "writer-corp-2 (silent",
        Degraded,
    );
    expect(
        silent("writer-corp"),
        Corp,
        Down,
        "no writer of corp lives",
        Degraded,
    );
    expect(
        gone("writer-corp"),
        Corp,
        Down,
        "no writer of corp is heard",
        Degraded,
    );
    let mut status = well();
    gone("writer")(&mut status);
    let report = judge(&status);
    assert_eq!(report.forests.len(), 2, "the resolvers know them");
    assert_eq!(report.level, Down, "no forest is left");
}

#[test]
fn what_cannot_work_without_what_it_has_not_got() {
    let close = |heard: &mut v1::HeardHeartbeat| {
        heard.heartbeat.as_mut().unwrap().gates[0].open = false;
    };
    let intake = Service(ServiceKind::Intake);
    expect(
        |status| each(status, "intake-1", close),
        intake,
        Degraded,
        "intake-1 has no broker",
        Degraded,
    );
    expect(
        |status| each(status, "intake", close),
        intake,
        Down,
        "intake-2 has no broker",
        Down,
    );
    let starting = |status: &mut v1::StatusResponse| {
        each(status, "intake", close);
        each(status, "intake", |heard| {
            heard.heartbeat.as_mut().unwrap().started_at = NOW - 1
        });
    };
    expect(starting, intake, Degraded, "not ready", Degraded);
}

#[test]
fn a_replica_that_has_just_begun_to_listen_jumps_to_no_conclusion() {
    let begun = |status: &mut v1::StatusResponse| {
        status.listening_ms = Some(3_000);
        gone("writer-corp")(status);
    };
    expect(begun, Corp, Degraded, "only begun to listen", Degraded);
    // what it was told is true all the same
    let begun = |status: &mut v1::StatusResponse| {
        status.listening_ms = Some(3_000);
        silent("writer-corp")(status);
    };
    expect(begun, Corp, Down, "no writer of corp lives", Degraded);
}

#[test]
fn without_a_broker_nothing_is_known_and_the_broker_is_to_blame() {
    let deaf = |status: &mut v1::StatusResponse| {
        status.listening_ms = None;
        each(status, "", |heard| heard.age_ms = 300_000);
    };
    let report = expect(
        deaf,
        Broker,
        Down,
        "audit-1 has no connection to the message broker",
        Down,
    );
    for service in &report.services {
        assert_eq!(service.verdict.level(), Degraded, "{service:?}");
    }
    assert_eq!(corp(&report).level(), Degraded, "{:?}", corp(&report));
}

#[test]
fn a_domain_controller_that_does_not_answer() {
    let first = |contact: Contact| {
        move |status: &mut v1::StatusResponse, name: &str| {
            controllers(status, name, |controller| {
                if controller.endpoint.contains("dc1") {
                    fail(controller, contact);
                }
            });
        }
    };
    let (silent, refused) = (first(Contact::Silent), first(Contact::Refused));
    let everywhere = |status: &mut v1::StatusResponse| silent(status, "");
    expect(
        everywhere,
        Controller,
        Down,
        "it answers nobody: no answer",
        Degraded,
    );
    expect(
        everywhere,
        Domain,
        Degraded,
        "1 of its 2 domain controllers",
        Degraded,
    );
    expect(
        everywhere,
        Corp,
        Degraded,
        "corp.example.com needs attention",
        Degraded,
    );
    let at_one = |status: &mut v1::StatusResponse| silent(status, "writer-corp-1");
    expect(at_one, Controller, Degraded, "not writer-corp-1", Degraded);
    let at_writers = |status: &mut v1::StatusResponse| silent(status, "writer-corp");
    expect(
        at_writers,
        Controller,
        Down,
        "not writer-corp-1, not writer-corp-2",
        Degraded,
    );
    let at_resolvers = |status: &mut v1::StatusResponse| silent(status, "resolver");
    expect(
        at_resolvers,
        Controller,
        Degraded,
        "not resolver-1",
        Degraded,
    );
    let refusing = |status: &mut v1::StatusResponse| refused(status, "");
    expect(
        refusing,
        Controller,
        Down,
        "it lets nobody in: no answer",
        Degraded,
    );
}

#[test]
fn a_forest_none_of_whose_domain_controllers_answers_is_down() {
    let all = |status: &mut v1::StatusResponse| {
        controllers(status, "", |controller| fail(controller, Contact::Silent));
    };
    expect(
        all,
        Domain,
        Down,
        "none of its domain controllers",
        Degraded,
    );
    let report = expect(
        all,
        Corp,
        Down,
        "corp.example.com cannot be worked with",
        Degraded,
    );
    let alone = report.clone().of_forest("corp").unwrap();
    assert_eq!((alone.level, alone.forests.len()), (Down, 1));
    assert_eq!(report.clone().of_forest("emea").unwrap().level, Healthy);
    assert_eq!(report.of_forest("apac"), None);
    let mut both = well();
    forests(&mut both, "", |forest| {
        let domains = forest.domains.iter_mut();
        for controller in domains.flat_map(|domain| &mut domain.controllers) {
            fail(controller, Contact::Silent);
        }
    });
    assert_eq!(judge(&both).level, Down, "no forest is left");
}

#[test]
fn one_of_two_domains_does_not_take_the_forest_down() {
    let wrong = |status: &mut v1::StatusResponse| {
        forests(status, "", |forest| {
            if forest.forest == "corp" && !forest.domains.is_empty() {
                let mut child = domain("child.corp");
                for controller in &mut child.controllers {
                    fail(controller, Contact::Silent);
                }
                forest.domains.push(child);
            }
        });
    };
    expect(
        wrong,
        Corp,
        Degraded,
        "child.corp.example.com cannot be worked with",
        Degraded,
    );
}

#[test]
fn what_was_seen_too_long_ago_is_not_seen() {
    let stuck = |status: &mut v1::StatusResponse| {
        controllers(status, "", |controller| {
            controller.asked_age_ms = Some(60_001)
        });
    };
    expect(
        stuck,
        Domain,
        Down,
        "none of its domain controllers",
        Degraded,
    );
    let unasked = |status: &mut v1::StatusResponse| {
        forests(status, "", |forest| {
            for domain in forest
                .domains
                .iter_mut()
                .filter(|_| forest.forest == "corp")
            {
                domain.controllers.clear();
            }
        });
    };
    expect(unasked, Domain, Degraded, "not asked yet", Degraded);
}

#[test]
fn what_an_answering_domain_controller_says_of_itself() {
    type Change = fn(&mut v1::ControllerHealth);
    let cases: [(Change, &str); 6] = [
        (
            |dc| dc.clock_skew_ms = Some(61_000),
            "its clock is 61 s ahead of ours",
        ),
        (
            |dc| dc.clock_skew_ms = Some(-3_600_000),
            "its clock is 60 min behind ours",
        ),
        (|dc| dc.synchronized = Some(false), "has not caught up"),
        (
            |dc| dc.breaker = Breaker::Open.into(),
            "others are asked first",
        ),
        (
            |dc| dc.breaker = Breaker::HalfOpen.into(),
            "others are asked first",
        ),
        (
            |dc| dc.certificate_expires_at = Some(NOW + 30 * DAY - 1),
            "ends in 29 days",
        ),
    ];
    for (change, says) in cases {
        let wrong = |status: &mut v1::StatusResponse| controllers(status, "", change);
        expect(wrong, Controller, Degraded, says, Degraded);
        expect(wrong, Domain, Degraded, "2 of its 2", Degraded);
    }
    type Fine = fn(&mut v1::ControllerHealth);
    let fine: [Fine; 6] = [
        |dc| dc.clock_skew_ms = Some(60_000),
        |dc| dc.clock_skew_ms = None,
        |dc| dc.synchronized = None,
        |dc| dc.certificate_expires_at = Some(NOW + 30 * DAY),
        |dc| dc.breaker = Breaker::Unspecified.into(),
        |dc| (dc.policy_hints, dc.writable) = (Some(false), None),
    ];
    for change in fine {
        let mut status = well();
        controllers(&mut status, "", change);
        assert_eq!(judge(&status).level, Healthy);
    }
}

#[test]
fn a_domain_that_can_only_be_read_is_down() {
    let wrong = |status: &mut v1::StatusResponse| {
        controllers(status, "", |controller| controller.writable = Some(false));
    };
    expect(wrong, Domain, Down, "can be written to", Degraded);
}

#[test]
fn policy_hints_matter_where_they_are_required() {
    let without = |which: &'static str| {
        move |status: &mut v1::StatusResponse| {
            forests(status, "writer-corp", |forest| {
                forest.policy_hints_required = true
            });
            controllers(status, "", |controller| {
                if controller.endpoint.contains(which) {
                    controller.policy_hints = Some(false);
                }
            });
        }
    };
    expect(
        without("dc1"),
        Domain,
        Degraded,
        "not known to 1 of 2",
        Degraded,
    );
    expect(without("dc"), Domain, Down, "resets are refused", Degraded);
}

#[test]
fn an_index_of_anchors_that_is_not_read_any_more() {
    let old = |status: &mut v1::StatusResponse| {
        forests(status, "resolver-1", |forest| {
            for domain in forest
                .domains
                .iter_mut()
                .filter(|_| forest.forest == "corp")
            {
                domain.anchors_age_ms = Some(61_000);
            }
        });
    };
    expect(
        old,
        Domain,
        Degraded,
        "anchors were last read 61 s ago",
        Degraded,
    );
}

#[test]
fn rights_count_as_lost_until_a_later_success() {
    let denied = |ago: u64| {
        move |status: &mut v1::StatusResponse| {
            forests(status, "writer-corp-1", |forest| {
                forest.rights = Some(v1::RightsHealth {
                    last_denied_age_ms: Some(ago),
                    denied_right: "Reset Password".to_owned(),
                    ..v1::RightsHealth::default()
                });
            });
        }
    };
    expect(
        denied(9_000),
        Corp,
        Degraded,
        "for want of Reset Password, 9 s ago",
        Degraded,
    );
    let mut status = well();
    denied(11_000)(&mut status); // the other writer had a success 10 s ago
    assert_eq!(judge(&status).level, Healthy);
    let missing = |status: &mut v1::StatusResponse| {
        forests(status, "writer-corp", |forest| {
            forest.rights.as_mut().unwrap().missing = vec!["lockoutTime".to_owned()];
        });
    };
    expect(missing, Corp, Degraded, "lacks lockoutTime", Degraded);
}

#[test]
fn what_is_sealed_to_must_be_what_can_be_opened() {
    let drop_key = |name: &'static str, kid: &'static str| {
        move |status: &mut v1::StatusResponse| {
            forests(status, name, |forest| {
                forest.keys.retain(|key| !key.kid.ends_with(kid))
            });
        }
    };
    expect(
        drop_key("writer-corp-1", "new"),
        Corp,
        Degraded,
        "cannot be opened by writer-corp-1",
        Degraded,
    );
    expect(
        drop_key("writer-corp", "old"),
        Corp,
        Degraded,
        "corp-old cannot be opened",
        Degraded,
    );
    expect(
        drop_key("writer-corp", "new"),
        Corp,
        Down,
        "corp-new cannot be opened",
        Degraded,
    );
    let unpublished = |status: &mut v1::StatusResponse| {
        each(status, "intake", |heard| {
            let forests = &mut heard.heartbeat.as_mut().unwrap().forests;
            forests.retain(|forest| forest.forest != "corp");
        });
    };
    expect(
        unpublished,
        Corp,
        Down,
        "publishes no sealing key",
        Degraded,
    );
    let ending = |status: &mut v1::StatusResponse| {
        forests(status, "intake", |forest| {
            if forest.forest == "corp" {
                forest.keys[1].expires_at = Some(NOW + 13 * DAY);
            }
        });
    };
    expect(ending, Corp, Degraded, "ends in 13 days", Degraded);
}

#[test]
fn work_that_waits_and_work_that_fails() {
    let old = of_corp(|corp| (corp.pending, corp.oldest_pending_age_ms) = (7, Some(61_000)));
    expect(
        old,
        Corp,
        Degraded,
        "7 pending, the oldest for 61 s",
        Degraded,
    );
    expect(
        of_corp(|corp| corp.failed_since = 5),
        Corp,
        Degraded,
        "5 operations failed",
        Degraded,
    );
    let mut status = well();
    of_corp(|corp| {
        corp.failed_since = 4;
        (corp.pending, corp.oldest_pending_age_ms) = (900, Some(60_000));
    })(&mut status);
    assert_eq!(judge(&status).level, Healthy);
}

#[test]
fn the_ledger() {
    expect(
        ledger(|ledger| ledger.problem = "the database does not answer".to_owned()),
        Ledger,
        Down,
        "nothing is admitted",
        Down,
    );
    expect(
        ledger(|ledger| ledger.counted_age_ms = Some(31_000)),
        Ledger,
        Degraded,
        "last counted 31 s ago",
        Degraded,
    );
    expect(
        ledger(|ledger| ledger.counted_age_ms = None),
        Ledger,
        Degraded,
        "not counted yet",
        Degraded,
    );
    let off = ledger(|ledger| {
        let settings = ledger.settings.as_mut().unwrap();
        settings.writeback = false;
        settings.changed_by = "Ana Lima".to_owned();
    });
    expect(off, Ledger, Degraded, "switched off, by Ana Lima", Degraded);
    let broken = ledger(|ledger| ledger.chain.as_mut().unwrap().problem = "entry 7".to_owned());
    expect(
        broken,
        Ledger,
        Degraded,
        "the chain is broken: entry 7",
        Degraded,
    );
    let found = ledger(|ledger| ledger.chain.as_mut().unwrap().verified_age_ms = Some(1));
    expect(found, Ledger, Degraded, "had findings", Degraded);
    let unresolved = ledger(|ledger| {
        ledger.forests.push(v1::ForestLedger {
            oldest_pending_age_ms: Some(61_000),
            ..v1::ForestLedger::default()
        });
    });
    expect(
        unresolved,
        Ledger,
        Degraded,
        "waited 61 s for a resolver",
        Degraded,
    );
    expect(
        |status| status.ledger = None,
        Ledger,
        Down,
        "says nothing",
        Down,
    );
}

#[test]
fn an_answer_that_says_nothing_is_no_good_news() {
    let report = judge(&v1::StatusResponse::default());
    assert_eq!(report.level, Down);
    assert!(report.forests.is_empty());
}

#[test]
fn the_worst_is_said_first() {
    let mut status = well();
    silent("writer-corp")(&mut status);
    of_corp(|corp| corp.failed_since = 9)(&mut status);
    let report = judge(&status);
    let levels: Vec<Level> = corp(&report)
        .verdict
        .findings()
        .iter()
        .map(|f| f.level)
        .collect();
    assert!(
        levels.len() > 1 && levels.is_sorted_by(|one, next| one >= next),
        "{levels:?}"
    );
}
