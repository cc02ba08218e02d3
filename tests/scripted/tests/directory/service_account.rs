//! The service account: each refused bind counts towards its lockout, and a lockout stops the forest.

use directory::{Directory, DirectoryConfig, DirectoryError, Opens};
use operation::Reason;
use scripted_directory::{Act, Answer, DomainController, On, Received, ResultCode, windows};

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
        ("533", Opens::Unknown(0x533)),
        ("701", Opens::Unknown(0x701)),
        ("773", Opens::YesButMustChange),
        ("775", Opens::Unknown(0x775)),
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
