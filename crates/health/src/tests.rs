//! A well world, and what each thing that can be wrong with it makes of the verdicts.

mod certificates;
mod directories;
mod outcomes;
mod world;

use proto::v1;

use Level::{Degraded, Down, Healthy};
use Place::{Broker, Corp, Ledger, Service};
use world::*;

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
    assert_eq!(corp.figures.keys.as_ref().unwrap().len(), 2);
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
            heard.heartbeat.as_mut().unwrap().started_at = NOW - 1;
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
    assert_eq!(corp(&report).figures.keys, None, "not known is not none");
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
                forest.keys.retain(|key| !key.kid.ends_with(kid));
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
    let none = expect(
        unpublished,
        Corp,
        Down,
        "publishes no sealing key",
        Degraded,
    );
    assert_eq!(corp(&none).figures.keys, Some(Vec::new()));
    let ending = |status: &mut v1::StatusResponse| {
        forests(status, "intake", |forest| {
            if forest.forest == "corp" {
                forest.keys[1].made_at = Some(NOW - 190 * DAY);
            }
        });
    };
    let overdue = expect(
        ending,
        Corp,
        Degraded,
        "should have been replaced 10 days ago",
        Degraded,
    );
    assert_eq!(corp(&overdue).figures.newest_key_days_left(), Some(-10));
    let mut ageless = well();
    forests(&mut ageless, "intake", |forest| {
        forest.keys[1].made_at = None;
    });
    let report = judge(&ageless);
    assert_eq!(corp(&report).figures.newest_key_days_left(), None);
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
    let off_in_corp = |status: &mut v1::StatusResponse| {
        let ledger = status.ledger.as_mut().unwrap();
        let settings = ledger.settings.as_mut().unwrap();
        settings.forests.push(v1::ForestSettings {
            forest: "corp".to_owned(),
            writeback: false,
            unlock_without_reset: true,
            changed_by: "Ana Lima".to_owned(),
            ..v1::ForestSettings::default()
        });
    };
    expect(
        off_in_corp,
        Corp,
        Degraded,
        "switched off in this forest, by Ana Lima",
        Degraded,
    );
    let broken = ledger(|ledger| ledger.chain.as_mut().unwrap().problem = "entry 7".to_owned());
    expect(
        broken,
        Ledger,
        Degraded,
        "the chain is broken: entry 7",
        Degraded,
    );
    let found = ledger(|ledger| {
        let chain = ledger.chain.as_mut().unwrap();
        (chain.verified_age_ms, chain.verified_findings) = (Some(61_000), 2);
    });
    let says = "the last verification, 61 s ago, had findings";
    expect(found, Ledger, Degraded, says, Degraded);
    let missed = ledger(|ledger| {
        let chain = ledger.chain.as_mut().unwrap();
        (chain.verified_age_ms, chain.verified_missed) = (Some(1), 1);
    });
    expect(
        missed,
        Ledger,
        Degraded,
        "put back to an earlier state",
        Degraded,
    );
    let mut intact = well();
    ledger(|ledger| {
        let chain = ledger.chain.as_mut().unwrap();
        (chain.verified_age_ms, chain.verified_intact) = (Some(1), true);
    })(&mut intact);
    assert_eq!(judge(&intact).level, Healthy);
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
        "nothing has been heard of an operation for 61 s",
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
