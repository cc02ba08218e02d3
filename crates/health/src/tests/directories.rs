//! Domain controllers and domains.

use super::world::*;
use Level::{Degraded, Down, Healthy};
use Place::{Controller, Corp, Domain};
use proto::v1::{self, Breaker, Contact};

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
    expect(
        at_one,
        Controller,
        Degraded,
        "does not answer writer-corp-1: no answer",
        Degraded,
    );
    let at_writers = |status: &mut v1::StatusResponse| silent(status, "writer-corp");
    expect(
        at_writers,
        Controller,
        Down,
        "does not answer writer-corp-1, writer-corp-2: no answer",
        Degraded,
    );
    let at_resolvers = |status: &mut v1::StatusResponse| silent(status, "resolver");
    expect(
        at_resolvers,
        Controller,
        Degraded,
        "does not answer resolver-1, resolver-2",
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
            controller.asked_age_ms = Some(150_001);
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
    let fine: [Change; 6] = [
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
                forest.policy_hints_required = true;
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
    let none = expect(without("dc"), Domain, Down, "resets are refused", Degraded);
    assert_eq!(corp(&none).domains[0].without_policy_hints, 2);
    let mut not_required = well();
    controllers(&mut not_required, "", |controller| {
        controller.policy_hints = Some(false);
    });
    let report = judge(&not_required);
    assert_eq!(corp(&report).domains[0].without_policy_hints, 0);
}

#[test]
fn a_clock_is_known_while_its_domain_controller_lets_somebody_in() {
    let first = |status: &v1::StatusResponse| {
        let report = judge(status);
        let controller = &corp(&report).domains[0].controllers[0];
        (controller.host().to_owned(), controller.clock_skew_ms())
    };
    let mut status = well();
    let host = "dc1.corp.example.com".to_owned();
    assert_eq!(first(&status), (host.clone(), Some(-200)));
    controllers(&mut status, "", |dc| fail(dc, Contact::Silent));
    assert_eq!(first(&status), (host, None));
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
