//! Several domain controllers: one that does not answer is left alone until it does, one that is read-only is not written
//! to, and a referral leads to one we know.

use directory::{BreakerState, ControllerChoice, Directory, DirectoryConfig, Topology};
use operation::Reason;
use scripted_directory::{Act, Answer, DomainController, On, SERVICE_ACCOUNT, SERVICE_PASSWORD};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

use crate::{Forest, NEW, SHORT_TIME_OUT, TIME_OUT, refused, reset, until};

fn listed(
    forest: &Forest,
    controllers: &[&DomainController],
    referral_hosts: &[&DomainController],
    time_out: Duration,
) -> Arc<Directory> {
    Directory::new(DirectoryConfig {
        endpoints: controllers.iter().map(|dc| dc.url()).collect(),
        topology: Topology {
            choice: ControllerChoice::Listed,
            referral_hosts: referral_hosts
                .iter()
                .map(|dc| format!("127.0.0.1:{}", dc.port()))
                .collect(),
            ..Topology::default()
        },
        ca_pem: forest.authority.pem(),
        account: SERVICE_ACCOUNT.to_owned(),
        password: SERVICE_PASSWORD.into(),
        connections: 4,
        operation_timeout: time_out,
    })
    .unwrap()
}

fn breaker(directory: &Directory, controller: &DomainController) -> BreakerState {
    let known = directory.controllers();
    let found = known
        .iter()
        .find(|known| known.endpoint == controller.url());
    found.unwrap().breaker
}

#[tokio::test]
async fn one_that_is_silent_costs_time_once_and_is_asked_again_when_it_answers() {
    let forest = Forest::new();
    let silence = Act::Silence { carried_out: false };
    let first = forest
        .start(forest.script().always(On::Connection, silence))
        .await;
    let second = forest.start(forest.script()).await;
    let directory = listed(&forest, &[&first, &second], &[], SHORT_TIME_OUT);
    forest.write(&directory, &reset(NEW)).await.unwrap();
    assert_ne!(breaker(&directory, &first), BreakerState::Closed);

    let began = Instant::now();
    for number in 0..20 {
        let receipt = forest
            .write(&directory, &reset(&format!("New-Passw0rd-{number}")))
            .await
            .unwrap();
        assert_eq!(receipt.domain_controller, second.url());
    }
    assert!(began.elapsed() < SHORT_TIME_OUT, "{:?}", began.elapsed());

    first.be_ordinary();
    until("the first answers a probe", || {
        breaker(&directory, &first) == BreakerState::Closed
    })
    .await;
    let receipt = forest.write(&directory, &reset(NEW)).await.unwrap();
    assert_eq!(receipt.domain_controller, first.url());
}

#[tokio::test]
async fn nothing_is_sent_to_one_that_is_left_alone() {
    let forest = Forest::new();
    let silence = Act::Silence { carried_out: false };
    let only = forest
        .start(forest.script().always(On::Connection, silence))
        .await;
    let directory = listed(&forest, &[&only], &[], TIME_OUT);
    assert!(directory.read_account(forest.ana.guid).await.is_err());
    let connections = only.connections();
    let began = Instant::now();
    for _ in 0..20 {
        let explained = refused(forest.write(&directory, &reset(NEW)).await);
        assert_eq!(explained.reason, Reason::ForestUnavailable);
        assert!(explained.transient);
    }
    assert!(began.elapsed() < TIME_OUT, "{:?}", began.elapsed());
    // but for the probe
    assert!(only.connections() <= connections + 1);
}

#[tokio::test]
async fn a_read_only_one_is_read_from_and_not_written_to() {
    let forest = Forest::new();
    let first = forest.start(forest.script().read_only()).await;
    let second = forest.start(forest.script()).await;
    let directory = listed(&forest, &[&first, &second], &[], TIME_OUT);
    let receipt = forest.write(&directory, &reset(NEW)).await.unwrap();
    assert_eq!(receipt.domain_controller, second.url());
    assert_eq!(first.modifies(), 0);
    let account = directory.read_account(forest.ana.guid).await.unwrap();
    assert_eq!(account.unwrap().domain_controller, second.url());
    let known = directory.controllers();
    let writable: Vec<_> = known.iter().map(|known| known.writable).collect();
    assert_eq!(writable, [Some(false), Some(true)]);
    assert_eq!(directory.perhaps_written_at(), [second.url()]);

    let alone = listed(&forest, &[&first], &[], TIME_OUT);
    let explained = refused(forest.write(&alone, &reset(NEW)).await);
    assert_eq!(explained.reason, Reason::DirectoryMisconfigured);
    assert!(explained.detail.contains("read-only"), "{explained}");
}

#[tokio::test]
async fn a_referral_is_followed_once_to_a_host_on_the_list() {
    let forest = Forest::new();
    let third = forest.start(forest.script()).await;
    let to_third = Act::Answer(Answer::referral(&third.url()));
    let second = forest.start(forest.script()).await;
    let to_second = Act::Answer(Answer::referral(&second.url()));
    let first = forest
        .start(forest.script().always(On::Modify, to_second))
        .await;

    let directory = listed(&forest, &[&first], &[&second, &third], TIME_OUT);
    let receipt = forest.write(&directory, &reset(NEW)).await.unwrap();
    assert_eq!(receipt.domain_controller, second.url());
    assert_eq!((first.modifies(), second.modifies()), (1, 1));
    assert_eq!(
        directory.perhaps_written_at(),
        [first.url(), second.url(), third.url()]
    );

    second.from_now(On::Modify, to_third);
    let explained = refused(forest.write(&directory, &reset(NEW)).await);
    assert_eq!(explained.reason, Reason::DirectoryMisconfigured);
    assert!(
        explained.detail.contains("only one referral"),
        "{explained}"
    );
    assert_eq!((second.modifies(), third.modifies()), (2, 0));
}

#[tokio::test]
async fn what_is_known_of_each_is_told_without_asking() {
    let forest = Forest::new();
    let only = forest
        .start(forest.script().clock_ahead(time::Duration::hours(1)))
        .await;
    let directory = listed(&forest, &[&only], &[], TIME_OUT);
    let before = directory.controllers();
    assert_eq!(before[0].writable, None);
    assert!(!before[0].is_reachable());
    forest.write(&directory, &reset(NEW)).await.unwrap();
    let known = directory.controllers();
    let known = known.first().unwrap();
    assert_eq!(known.host_name.as_deref(), Some("dc1.corp.example.com"));
    assert!(known.is_reachable() && known.writable == Some(true));
    assert_eq!(known.controller_level, Some(10));
    assert!(known.latency.is_some() && known.policy_hints.is_some());
    let offset = known.clock_offset.unwrap();
    assert!((offset - time::Duration::hours(1)).abs() < time::Duration::seconds(2));
}
