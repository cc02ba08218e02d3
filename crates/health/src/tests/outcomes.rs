//! Operations as a whole, and what the silence of one forest means to the others.

use super::world::*;
use Level::{Degraded, Down, Healthy};
use Place::{Corp, Outcomes};
use proto::v1::{self, Contact};

fn ended(forest: &str, status: v1::Status, count: u64, age_ms: u64) -> v1::EndedOperations {
    let reason = match status {
        v1::Status::Failed => "forest-unavailable",
        v1::Status::Refused => "user-not-found",
        _ => "",
    };
    v1::EndedOperations {
        forest: forest.to_owned(),
        status: status.into(),
        reason: reason.to_owned(),
        count,
        last_age_ms: age_ms,
    }
}

/// These ended, the last so many in a row without anybody being answered.
fn with(
    all: Vec<v1::EndedOperations>,
    in_a_row: u64,
    age_ms: u64,
) -> impl Fn(&mut v1::StatusResponse) {
    ledger(move |ledger| {
        ledger.ended.clone_from(&all);
        ledger.failed_in_a_row = in_a_row;
        ledger.last_failed_age_ms = (in_a_row > 0).then_some(age_ms);
    })
}

#[test]
fn what_ends_without_a_forest_is_told_by_reason() {
    let some = with(
        vec![
            ended("corp", v1::Status::Applied, 7, 0),
            ended("", v1::Status::Failed, 24, 60_000),
            ended("", v1::Status::Refused, 2, 1_000),
        ],
        1,
        60_000,
    );
    let report = expect(
        some,
        Outcomes,
        Degraded,
        "24 operations failed or expired before their forest was known: forest-unavailable 24",
        Degraded,
    );
    assert_eq!(report.outcomes.without_forest.len(), 2);
    assert_eq!(corp(&report).level(), Healthy);
    assert!(
        report.outcomes.verdict.findings()[0]
            .act
            .contains("without --forest")
    );
}

#[test]
fn a_few_that_failed_and_what_is_long_over_are_only_shown() {
    for (failed, age) in [(4, 1_000), (24, 60_001)] {
        let mut status = well();
        with(
            vec![ended("", v1::Status::Failed, failed, age)],
            failed,
            age,
        )(&mut status);
        let report = judge(&status);
        assert_eq!(report.level, Healthy, "{failed} {age}");
        assert_eq!(report.outcomes.without_forest[0].count, failed);
    }
    let mut status = well();
    with(vec![ended("", v1::Status::Refused, 99, 0)], 0, 0)(&mut status);
    assert_eq!(
        judge(&status).level,
        Healthy,
        "an unknown name is an answer"
    );
}

#[test]
fn when_nobody_is_helped_any_more_it_is_down_whatever_was_done_before() {
    let all = || {
        vec![
            ended("corp", v1::Status::Applied, 7, 300_000),
            ended("", v1::Status::Failed, 44, 2_000),
        ]
    };
    let says = "nobody is helped: the last 44 operations";
    let report = expect(with(all(), 44, 2_000), Outcomes, Down, says, Down);
    let of_emea = report.of_forest("emea").unwrap();
    assert_eq!(of_emea.level, Down, "its people are refused as well");
}

#[test]
fn what_fails_in_one_forest_is_that_forests_while_another_is_well() {
    let all = || vec![ended("corp", v1::Status::Failed, 44, 2_000)];
    let mut status = well();
    with(all(), 44, 2_000)(&mut status);
    of_corp(|corp| corp.failed_since = 44)(&mut status);
    assert_eq!(judge(&status).level, Degraded);
    let alone = |status: &mut v1::StatusResponse| {
        with(all(), 44, 2_000)(status);
        of_corp(|corp| corp.failed_since = 44)(status);
        each(status, "", |heard| {
            let forests = &mut heard.heartbeat.as_mut().unwrap().forests;
            forests.retain(|forest| forest.forest == "corp");
        });
        gone("writer-emea")(status);
    };
    let mut status = well();
    alone(&mut status);
    let report = judge(&status);
    assert_eq!((report.forests.len(), report.level), (1, Down));
}

#[test]
fn a_silent_forest_says_whom_else_it_harms() {
    let says = "people of other forests are told forest-unavailable as well";
    let silent = |name: &'static str| {
        move |status: &mut v1::StatusResponse| {
            controllers(status, name, |one| fail(one, Contact::Silent));
        }
    };
    expect(silent(""), Corp, Degraded, says, Degraded);
    expect(silent("resolver"), Corp, Degraded, says, Degraded);
    let said = |wrong: &dyn Fn(&mut v1::StatusResponse)| {
        let mut status = well();
        wrong(&mut status);
        let report = judge(&status);
        let mut findings = corp(&report).verdict.findings().iter();
        findings.any(|finding| finding.what.contains(says))
    };
    assert!(
        !said(&silent("writer")),
        "resolvers reach it: others are found"
    );
    assert!(!said(&silent("resolver-1")), "one resolver reaches it");
    let alone = |status: &mut v1::StatusResponse| {
        silent("")(status);
        gone("writer-emea")(status);
        each(status, "", |heard| {
            let forests = &mut heard.heartbeat.as_mut().unwrap().forests;
            forests.retain(|forest| forest.forest == "corp");
        });
    };
    assert!(!said(&alone), "there is no other forest");
}
