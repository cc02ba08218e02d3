//! The service account: each refused bind counts towards its lockout, and a lockout stops the forest.

use directory::{Directory, DirectoryConfig, DirectoryError, Opens, PasswordInUse};
use operation::Reason;
use scripted_directory::{
    Act, Answer, DomainController, On, Received, ResultCode, SERVICE_PASSWORD, windows,
};

use crate::{Forest, NEW, SHORT_TIME_OUT, refused, reset};

#[tokio::test]
async fn each_cause_of_a_refusal_is_told() {
    for (data, why) in [
        ("52e", "wrong password"),
        ("525", "no such account"),
        ("530", "hour"),
        ("531", "workstation"),
        ("532", "expired"),
        ("533", "disabled"),
        ("568", "too many groups"),
        ("701", "account has expired"),
        ("773", "must change"),
        ("775", "locked"),
    ] {
        let forest = Forest::new();
        let answer = Answer::new(ResultCode::InvalidCredentials, &windows::bind_refused(data));
        let script = forest.script().always(On::Bind, Act::Answer(answer));
        let controller = forest.start(script).await;
        let directory = forest.directory(&[&controller]);
        let explained = refused(forest.write(&directory, &reset(NEW)).await);
        assert_eq!(explained.reason, Reason::DirectoryMisconfigured, "{data}");
        assert!(explained.detail.contains(why), "{data}: {explained}");
        assert!(!explained.transient, "{data}");
        assert_eq!(controller.binds(), 1, "{data}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_by_all_together() {
    let forest = Forest::new();
    let other = || forest.script().service_password("Another-Passw0rd");
    let controllers = [
        forest.start(other()).await,
        forest.start(other()).await,
        forest.start(other()).await,
    ];
    let [a, b, c] = &controllers;
    let directory = forest.directory(&[a, b, c]);
    let write = reset(NEW);
    let together = (0..12).map(|_| forest.write(&directory, &write));
    for outcome in futures_util::future::join_all(together).await {
        let explained = refused(outcome);
        assert_eq!(explained.reason, Reason::DirectoryMisconfigured);
        assert!(explained.detail.contains("wrong password"), "{explained}");
    }
    // nor does anything that comes after
    for _ in 0..3 {
        refused(forest.write(&directory, &write).await);
        let read = directory.read_account(forest.ana.guid).await;
        assert!(matches!(read, Err(DirectoryError::Misconfigured { .. })));
        assert!(directory.probe().await.is_err());
        for (_, probed) in directory.probe_each().await {
            assert!(probed.is_err());
        }
    }
    let binds: usize = controllers.iter().map(DomainController::binds).sum();
    assert_eq!(binds, 1, "each counts towards the lockout");
}

#[tokio::test]
async fn a_sign_in_that_is_never_answered_holds_up_no_other() {
    let forest = Forest::new();
    let silence = Act::Silence { carried_out: false };
    let frozen = forest
        .start(forest.script().always(On::Bind, silence))
        .await;
    let controller = forest.start(forest.script()).await;
    let directory = forest.directory_within(&[&frozen, &controller], SHORT_TIME_OUT);
    let probed = directory.probe_each().await;
    assert!(
        probed[0].1.is_err() && probed[1].1.is_ok(),
        "each is told of by itself: {probed:?}"
    );

    let directory = forest.directory_within(&[&frozen, &controller], SHORT_TIME_OUT);
    let write = reset(NEW);
    let together = (0..4).map(|_| forest.write(&directory, &write));
    for outcome in futures_util::future::join_all(together).await {
        assert_eq!(outcome.unwrap().domain_controller, controller.url());
    }
}

#[tokio::test]
async fn a_controller_too_busy_to_bind_is_no_refusal() {
    let forest = Forest::new();
    let busy = Act::Answer(Answer::new(ResultCode::Busy, windows::BUSY));
    let script = forest.script().once(On::Bind, busy);
    let controller = forest.start(script).await;
    let directory = forest.directory(&[&controller]);
    let explained = refused(forest.write(&directory, &reset(NEW)).await);
    assert!(explained.transient);
    forest.write(&directory, &reset(NEW)).await.unwrap();
}

/// RFC 4513 5.1.2: a bind without a password is anonymous, and succeeds.
#[tokio::test]
async fn no_password_opens_nothing() {
    let forest = Forest::new();
    let controller = forest.start(forest.script()).await;
    let directory = forest.directory(&[&controller]);
    let name = forest.ana.user_principal_name();
    for (name, password) in [(name.as_str(), ""), ("", "Old-Passw0rd"), ("", "")] {
        let opens = directory.opens(name, &password.into()).await;
        assert_eq!(opens, Ok(Opens::No));
    }
    let anonymous = controller.count(|received| {
        matches!(received, Received::Bind { name, without_password } if *without_password || name.is_empty())
    });
    assert_eq!(anonymous, 0);
    let without = Directory::new(DirectoryConfig {
        endpoints: vec![controller.url()],
        topology: directory::Topology::default(),
        ca_pem: forest.authority.pem(),
        account: scripted_directory::SERVICE_ACCOUNT.to_owned(),
        password: "".into(),
        connections: 1,
        operation_timeout: SHORT_TIME_OUT,
    });
    assert!(without.is_err());
}

#[tokio::test]
async fn a_person_s_refused_bind_is_understood() {
    let mut forest = Forest::new();
    let cases = [
        ("525", Opens::Unknown(0x525)),
        ("52e", Opens::No),
        ("532", Opens::YesButMustChange),
        ("530", Opens::YesButKeptOut),
        ("531", Opens::YesButKeptOut),
        ("533", Opens::YesButKeptOut),
        ("701", Opens::YesButKeptOut),
        ("773", Opens::YesButMustChange),
        ("775", Opens::Locked),
    ];
    for (data, expected) in cases {
        forest.ana.locked = false;
        let answer = Answer::new(ResultCode::InvalidCredentials, &windows::bind_refused(data));
        let controllers = [
            forest
                .start(forest.script().always(On::Bind, Act::Answer(answer)))
                .await,
            forest.start(forest.script()).await,
        ];
        let directory = forest.directory(&[&controllers[0], &controllers[1]]);
        let name = forest.ana.user_principal_name();
        let opens = directory.opens(&name, &"Old-Passw0rd".into()).await;
        assert_eq!(opens, Ok(expected), "{data}");
        assert_eq!(controllers[1].binds(), 0, "tried once: {data}");
    }
}

const NEXT: &str = "Next-Service-Passw0rd";

/// The old password, until the directory knows the new one; then the new one, and no longer the old one.
#[tokio::test]
async fn the_password_is_changed_and_no_operation_notices() {
    let forest = Forest::new();
    let controller = forest.start(forest.script()).await;
    let directory = forest.directory(&[&controller]);
    let first = || SERVICE_PASSWORD.into();
    let write = async |password: &str| {
        forest.write(&directory, &reset(password)).await.unwrap();
        assert_eq!(forest.password_at(&controller), password);
    };
    assert_eq!(directory.password_in_use(), None);
    directory
        .renew_passwords(first(), Some(NEXT.into()))
        .unwrap();
    write("Passw0rd-1").await;
    assert_eq!(directory.password_in_use(), Some(PasswordInUse::First));
    assert_eq!(controller.binds(), 1);

    controller.set_service_password(NEXT);
    write("Passw0rd-2").await;
    assert_eq!(controller.binds(), 1, "a connection that is there goes on");
    for (binds, password) in [(3, "Passw0rd-3"), (4, "Passw0rd-4")] {
        controller.hang_up();
        // a read may be repeated freely, so it is what finds out
        directory.read_account(forest.ana.guid).await.unwrap();
        write(password).await;
        assert_eq!(controller.binds(), binds, "the old one is tried once");
        assert_eq!(directory.password_in_use(), Some(PasswordInUse::Next));
    }

    // the files follow: no bind is needed for that
    directory.renew_passwords(NEXT.into(), None).unwrap();
    assert_eq!(directory.password_in_use(), Some(PasswordInUse::First));
    controller.hang_up();
    directory.read_account(forest.ana.guid).await.unwrap();
    write("Passw0rd-5").await;
    assert_eq!(controller.binds(), 5);
}

/// Each wrong password counts towards the lockout, so each is tried once, however many ask.
#[tokio::test]
async fn two_wrong_passwords_are_tried_once_each_until_one_is_new() {
    let forest = Forest::new();
    let script = forest.script().service_password("Nobody-Knows-It-1");
    let controller = forest.start(script).await;
    let directory = forest.directory(&[&controller]);
    directory
        .renew_passwords(SERVICE_PASSWORD.into(), Some(NEXT.into()))
        .unwrap();
    let write = reset(NEW);
    let all = async || {
        let together = (0..12).map(|_| forest.write(&directory, &write));
        for outcome in futures_util::future::join_all(together).await {
            let explained = refused(outcome);
            assert!(explained.detail.contains("wrong password"), "{explained}");
        }
    };
    all().await;
    assert_eq!(controller.binds(), 2);
    // the same again, in whichever order, is no reason to try
    directory
        .renew_passwords(NEXT.into(), Some(SERVICE_PASSWORD.into()))
        .unwrap();
    all().await;
    assert_eq!(controller.binds(), 2);
    directory
        .renew_passwords(NEXT.into(), Some("Another-Passw0rd".into()))
        .unwrap();
    all().await;
    assert_eq!(controller.binds(), 3, "a new one is tried, and it alone");
    assert_eq!(directory.password_in_use(), None);

    directory
        .renew_passwords("Nobody-Knows-It-1".into(), Some(NEXT.into()))
        .unwrap();
    forest.write(&directory, &write).await.unwrap();
    assert_eq!(controller.binds(), 4, "at once, without a rest");
}

/// Whatever else is wrong with the account, another password does not mend it.
#[tokio::test]
async fn only_a_wrong_password_makes_the_other_one_tried() {
    for data in ["532", "533", "701", "773", "775"] {
        let forest = Forest::new();
        let answer = Answer::new(ResultCode::InvalidCredentials, &windows::bind_refused(data));
        let script = forest.script().always(On::Bind, Act::Answer(answer));
        let controller = forest.start(script).await;
        let directory = forest.directory(&[&controller]);
        directory
            .renew_passwords(SERVICE_PASSWORD.into(), Some(NEXT.into()))
            .unwrap();
        refused(forest.write(&directory, &reset(NEW)).await);
        assert_eq!(controller.binds(), 1, "{data}");
    }
}

#[tokio::test]
async fn an_empty_password_is_never_taken() {
    let forest = Forest::new();
    let controller = forest.start(forest.script()).await;
    let directory = forest.directory(&[&controller]);
    let first = || SERVICE_PASSWORD.into();
    directory.renew_passwords("".into(), None).unwrap_err();
    directory
        .renew_passwords(first(), Some("".into()))
        .unwrap_err();
    forest.write(&directory, &reset(NEW)).await.unwrap();
}
