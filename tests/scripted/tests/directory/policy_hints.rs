//! The control that makes a reset obey the history.

use directory::{PasswordWrite, PolicyHints};
use operation::Reason;
use scripted_directory::{
    Act, Answer, DomainController, On, Policy, Received, ResultCode, SentControl, windows,
};
use time::{Duration, OffsetDateTime};

use crate::{Forest, NEW, change, hinted_reset, refused};

/// The controls of the last modify.
fn controls(controller: &DomainController) -> Vec<SentControl> {
    let received = controller.received().into_iter().rev();
    let mut modifies = received.filter_map(|received| match received {
        Received::Modify { controls, .. } => Some(controls),
        _ => None,
    });
    modifies.next().unwrap()
}

fn critical(oid: &str) -> SentControl {
    SentControl {
        oid: oid.to_owned(),
        critical: true,
        value: Some(vec![0x30, 0x03, 0x02, 0x01, 0x01]),
    }
}

#[tokio::test]
async fn are_sent_critical_in_the_newest_form_known() {
    let forest = Forest::new();
    let scripts = [
        (forest.script(), Some(windows::POLICY_HINTS)),
        (
            forest.script().without_control(windows::POLICY_HINTS),
            Some(windows::POLICY_HINTS_DEPRECATED),
        ),
        (
            forest
                .script()
                .without_control(windows::POLICY_HINTS)
                .without_control(windows::POLICY_HINTS_DEPRECATED),
            None,
        ),
    ];
    for (script, expected) in scripts {
        let controller = forest.start(script).await;
        let directory = forest.directory(&[&controller]);
        let write = hinted_reset(NEW, PolicyHints::WhenAvailable);
        let receipt = forest.write(&directory, &write).await.unwrap();
        assert_eq!(receipt.policy_hints, expected);
        let sent: Vec<SentControl> = expected.into_iter().map(critical).collect();
        assert_eq!(controls(&controller), sent);
    }
}

#[tokio::test]
async fn history_and_age_bind_a_reset_only_with_them() {
    let mut forest = Forest::new();
    forest.ana.history = vec!["Used-Passw0rd".to_owned()];
    let young = Policy {
        minimum_age: Duration::days(1),
        ..Policy::default()
    };
    let mut fresh = Forest::new();
    fresh.ana.pwd_last_set = Some(OffsetDateTime::now_utc() - Duration::hours(2));
    let history = forest.start(forest.script()).await;
    let age = fresh.start(fresh.script().policy(young)).await;
    for (forest, controller, new, rule) in [
        (&forest, &history, "Used-Passw0rd", "history"),
        (&fresh, &age, NEW, "minimum-age"),
    ] {
        let directory = forest.directory(&[controller]);
        for hints in [PolicyHints::Required, PolicyHints::WhenAvailable] {
            let explained = refused(forest.write(&directory, &hinted_reset(new, hints)).await);
            assert_eq!(explained.reason, Reason::PasswordPolicy);
            let rules: Vec<&str> = explained
                .violations
                .iter()
                .map(|v| v.rule.as_str())
                .collect();
            assert_eq!(rules, [rule]);
            assert_eq!(forest.password_at(controller), "Old-Passw0rd");
        }
        let write = hinted_reset(new, PolicyHints::Never);
        let receipt = forest.write(&directory, &write).await.unwrap();
        assert_eq!(receipt.policy_hints, None);
        assert_eq!(controls(controller), []);
        assert_eq!(forest.password_at(controller), new);
    }
}

#[tokio::test]
async fn a_change_and_an_unlock_need_none() {
    let forest = Forest::new();
    let controller = forest.start(forest.script()).await;
    let directory = forest.directory(&[&controller]);
    for write in [PasswordWrite::Unlock, change("Old-Passw0rd", NEW)] {
        let receipt = forest.write(&directory, &write).await.unwrap();
        assert_eq!(receipt.policy_hints, None);
        assert_eq!(controls(&controller), []);
    }
}

#[tokio::test]
async fn required_but_unknown_writes_nothing() {
    let forest = Forest::new();
    let old = || {
        forest
            .script()
            .without_control(windows::POLICY_HINTS)
            .without_control(windows::POLICY_HINTS_DEPRECATED)
    };
    let (first, second) = (forest.start(old()).await, forest.start(old()).await);
    let directory = forest.directory(&[&first, &second]);
    let write = hinted_reset(NEW, PolicyHints::Required);
    let explained = refused(forest.write(&directory, &write).await);
    assert_eq!(explained.reason, Reason::DirectoryMisconfigured);
    assert!(
        explained.detail.contains("policy hints are required"),
        "{explained}"
    );
    assert!(!explained.transient, "waiting does not teach it");
    assert_eq!(first.modifies() + second.modifies(), 0);

    // a newer domain controller of the same domain will do
    let newer = forest.start(forest.script()).await;
    let directory = forest.directory(&[&first, &newer]);
    let receipt = forest.write(&directory, &write).await.unwrap();
    assert_eq!(receipt.domain_controller, newer.url());
    assert_eq!(first.modifies(), 0);
}

#[tokio::test]
async fn a_controller_that_forgot_them_refuses() {
    let forest = Forest::new();
    let forgot = Answer::new(
        ResultCode::UnavailableCriticalExtension,
        windows::UNKNOWN_CONTROL,
    );
    let controller = forest
        .start(forest.script().once(On::Modify, Act::Answer(forgot)))
        .await;
    let directory = forest.directory(&[&controller]);
    let write = hinted_reset(NEW, PolicyHints::WhenAvailable);
    let explained = refused(forest.write(&directory, &write).await);
    assert_eq!(explained.reason, Reason::DirectoryMisconfigured);
    assert_eq!(controller.modifies(), 1);
    assert_eq!(forest.password_at(&controller), "Old-Passw0rd");
}
