//! A domain controller that is away, busy or the wrong one: nothing was written there, and the next
//! one is asked.

use operation::Reason;
use scripted_directory::{Act, Answer, On, ResultCode, Script, windows};
use time::Duration;
use tokio::{net::TcpListener, time::Instant};

use crate::{Forest, NEW, SHORT_TIME_OUT, TIME_OUT, refused, reset};

/// Where nobody listens.
async fn nowhere() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    format!("ldaps://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_refused_connection_wrote_nothing() {
    let forest = Forest::new();
    let directory = forest.directory_at(vec![nowhere().await], TIME_OUT);
    let explained = refused(forest.write(&directory, &reset(NEW)).await);
    assert_eq!(explained.reason, Reason::ForestUnavailable);
    assert!(explained.transient);
}

#[tokio::test]
async fn after_a_refused_connection_the_next_is_asked() {
    let forest = Forest::new();
    let controller = forest.start(forest.script()).await;
    let endpoints = vec![nowhere().await, controller.url()];
    let directory = forest.directory_at(endpoints, TIME_OUT);
    let receipt = forest.write(&directory, &reset(NEW)).await.unwrap();
    assert_eq!(receipt.domain_controller, controller.url());
    assert_eq!(controller.modifies(), 1);
}

/// Whatever goes wrong before the modify is sent, or is answered with "not by me", leads to the next.
#[tokio::test]
async fn the_next_is_asked() {
    let answer = |code, text| Act::Answer(Answer::new(code, text));
    let carried_out = false;
    let cases = [
        (On::Connection, Act::Close { carried_out }, 0),
        (On::Connection, Act::Silence { carried_out }, 0),
        (On::Bind, Act::Close { carried_out }, 0),
        (On::Bind, Act::Silence { carried_out }, 0),
        (On::Bind, answer(ResultCode::Busy, windows::BUSY), 0),
        (On::RootDse, Act::Close { carried_out }, 0),
        (On::RootDse, Act::Silence { carried_out }, 0),
        (On::RootDse, answer(ResultCode::Unavailable, ""), 0),
        (On::Modify, answer(ResultCode::Busy, windows::BUSY), 1),
        (
            On::Modify,
            answer(ResultCode::Unavailable, windows::UNAVAILABLE),
            1,
        ),
        (On::Modify, answer(ResultCode::Other, windows::OTHER), 1),
        (
            On::Modify,
            answer(
                ResultCode::UnavailableCriticalExtension,
                windows::UNKNOWN_CONTROL,
            ),
            1,
        ),
    ];
    for (on, act, sent) in cases {
        let name = format!("{on:?} {act:?}");
        let forest = Forest::new();
        let first = forest.start(forest.script().always(on, act)).await;
        let second = forest.start(forest.script()).await;
        let directory = forest.directory_within(&[&first, &second], SHORT_TIME_OUT);
        let outcome = forest.write(&directory, &reset(NEW)).await;
        let receipt = outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(receipt.domain_controller, second.url(), "{name}");
        assert_eq!((first.modifies(), second.modifies()), (sent, 1), "{name}");
        assert_eq!(forest.password_at(&first), "Old-Passw0rd", "{name}");
    }
}

#[tokio::test]
async fn a_referral_is_not_followed_to_a_stranger() {
    let forest = Forest::new();
    let stranger = forest.start(forest.script()).await;
    let hosts = [
        "ldap://dc9.evil.example.org/".to_owned(),
        stranger.url(),
        format!("ldap://127.0.0.1:{}", stranger.port()),
    ];
    for host in hosts {
        let read_only = Act::Answer(Answer::referral(&host));
        let first = forest
            .start(
                forest
                    .script()
                    .always(On::Modify, read_only.clone())
                    .always(On::Search, read_only),
            )
            .await;
        let directory = forest.directory(&[&first]);
        let explained = refused(forest.write(&directory, &reset(NEW)).await);
        assert_eq!(explained.reason, Reason::DirectoryMisconfigured, "{host}");
        // of a read by GUID it says that the object is in another domain
        let read = directory.read_account(forest.ana.guid).await;
        assert!(matches!(read, Ok(None)), "{read:?}");

        let second = forest.start(forest.script()).await;
        let directory = forest.directory(&[&first, &second]);
        let receipt = forest.write(&directory, &reset(NEW)).await.unwrap();
        assert_eq!(receipt.domain_controller, second.url());
    }
    assert_eq!(stranger.connections(), 0);
}

#[tokio::test]
async fn reads_go_on_at_the_next() {
    let carried_out = false;
    for act in [
        Act::Close { carried_out },
        Act::Silence { carried_out },
        Act::Answer(Answer::new(ResultCode::Busy, windows::BUSY)),
    ] {
        let forest = Forest::new();
        let first = forest.start(forest.script().always(On::Search, act)).await;
        let second = forest.start(forest.script()).await;
        let directory = forest.directory_within(&[&first, &second], SHORT_TIME_OUT);
        let account = directory.read_account(forest.ana.guid).await;
        assert_eq!(account.unwrap().unwrap().domain_controller, second.url());
    }
}

#[tokio::test]
async fn a_connection_that_died_idle_is_replaced_unnoticed() {
    let forest = Forest::new();
    let controller = forest.start(forest.script()).await;
    let directory = forest.directory(&[&controller]);
    forest.write(&directory, &reset(NEW)).await.unwrap();
    controller.hang_up();
    // a read may be repeated freely, so it is what finds out
    let read = directory.read_account(forest.ana.guid).await;
    assert!(matches!(read, Ok(Some(_))), "{read:?}");
    let again = reset("New-Passw0rd-2");
    let outcome = forest.write(&directory, &again).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!((controller.modifies(), controller.connections()), (2, 2));
}

#[tokio::test]
async fn what_cannot_end_in_time_is_not_begun() {
    let forest = Forest::new();
    let controller = forest.start(forest.script()).await;
    let directory = forest.directory(&[&controller]);
    let deadline = Instant::now() + TIME_OUT / 2;
    let outcome = directory
        .write(forest.ana.guid, &reset(NEW), deadline)
        .await;
    assert_eq!(refused(outcome).reason, Reason::DeadlineExceeded);
    assert_eq!(controller.modifies(), 0);
}

#[tokio::test]
async fn times_are_told_by_the_controller_s_clock() {
    for ahead in [Duration::hours(1), -Duration::minutes(7)] {
        let forest = Forest::new();
        let script: Script = forest.script().clock_ahead(ahead);
        let controller = forest.start(script).await;
        let directory = forest.directory(&[&controller]);
        let began = controller.now();
        let receipt = forest.write(&directory, &reset(NEW)).await.unwrap();
        let ended = controller.now();
        let set = controller.person(forest.ana.guid).unwrap().pwd_last_set;
        let set = set.unwrap();
        assert!((began..=ended).contains(&set));
        assert!(
            (receipt.began..=receipt.ended).contains(&set),
            "{receipt:?}"
        );
        // `currentTime` is cut to the second
        let slack = Duration::seconds(2);
        assert!(receipt.began > began - slack && receipt.ended < ended + slack);
    }
}
