//! What Windows says, and what we make of it.

use directory::PasswordWrite;
use operation::Reason::{self, *};
use scripted_directory::{
    Act, Answer, On, Policy, Received, ResultCode as Code, ResultCode, windows as w,
};
use time::Duration;

use crate::{Forest, NEW, change, refused, reset};

struct Row {
    write: PasswordWrite,
    result: ResultCode,
    text: &'static str,
    reason: Reason,
    /// Whether the same may succeed later.
    transient: bool,
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn each_answer_of_windows_has_its_reason() {
    let row = |write: PasswordWrite, result, text, reason, transient| Row {
        write,
        result,
        text,
        reason,
        transient,
    };
    let rst = || reset(NEW);
    let chg = || change("Old-Passw0rd", NEW);
    let table = [
        row(
            chg(),
            Code::ConstraintViolation,
            w::CHANGE_BREAKS_POLICY,
            PasswordPolicy,
            false,
        ),
        row(
            rst(),
            Code::UnwillingToPerform,
            w::RESET_BREAKS_POLICY,
            PasswordPolicy,
            false,
        ),
        row(
            chg(),
            Code::ConstraintViolation,
            w::WRONG_CURRENT_PASSWORD,
            IncorrectPassword,
            false,
        ),
        row(
            chg(),
            Code::ConstraintViolation,
            w::LOCKED,
            AccountLocked,
            false,
        ),
        row(
            chg(),
            Code::ConstraintViolation,
            w::MAY_NOT_CHANGE,
            CannotChangePassword,
            false,
        ),
        row(
            rst(),
            Code::InsufficientAccessRights,
            w::NO_RIGHT,
            AccessDenied,
            false,
        ),
        row(
            rst(),
            Code::InsufficientAccessRights,
            w::NO_RIGHT_ON_ATTRIBUTE,
            AccessDenied,
            false,
        ),
        row(
            PasswordWrite::Unlock,
            Code::InsufficientAccessRights,
            w::NO_RIGHT_ON_ATTRIBUTE,
            AccessDenied,
            false,
        ),
        row(
            rst(),
            Code::UnwillingToPerform,
            w::NOT_ENCRYPTED,
            DirectoryMisconfigured,
            false,
        ),
        row(
            rst(),
            Code::ConstraintViolation,
            w::NOT_QUOTED,
            DirectoryError,
            false,
        ),
        row(
            rst(),
            Code::ConstraintViolation,
            w::MANY_VALUES,
            DirectoryError,
            false,
        ),
        row(
            rst(),
            Code::UnavailableCriticalExtension,
            w::UNKNOWN_CONTROL,
            DirectoryMisconfigured,
            false,
        ),
        row(rst(), Code::NoSuchObject, w::GONE, UserNotFound, false),
        row(
            rst(),
            Code::Referral,
            w::REFERRAL,
            DirectoryMisconfigured,
            false,
        ),
        row(
            rst(),
            Code::StrongerAuthRequired,
            w::SIGNING_NEEDED,
            DirectoryMisconfigured,
            false,
        ),
        row(
            rst(),
            Code::ConfidentialityRequired,
            w::CONFIDENTIALITY_NEEDED,
            DirectoryMisconfigured,
            false,
        ),
        row(rst(), Code::Busy, w::BUSY, ForestUnavailable, true),
        row(
            rst(),
            Code::Unavailable,
            w::UNAVAILABLE,
            ForestUnavailable,
            true,
        ),
        row(rst(), Code::TimeLimitExceeded, "", ForestUnavailable, true),
        row(rst(), Code::AdminLimitExceeded, "", ForestUnavailable, true),
        row(rst(), Code::Other, w::OTHER, ForestUnavailable, true),
        row(
            rst(),
            Code::OperationsError,
            w::NOT_BOUND,
            DirectoryError,
            false,
        ),
    ];
    let forest = Forest::new();
    let controller = forest.start(forest.script()).await;
    let directory = forest.directory(&[&controller]);
    for row in table {
        let sent_before = controller.modifies();
        controller.be_ordinary();
        controller.from_now(On::Modify, Act::Answer(Answer::new(row.result, row.text)));
        let explained = refused(forest.write(&directory, &row.write).await);
        let name = format!("{:?} {:?}", row.result, row.text);
        assert_eq!(explained.reason, row.reason, "{name}: {explained}");
        assert_eq!(explained.transient, row.transient, "{name}");
        assert!(!explained.detail.contains("DSID"), "{name}: {explained}");
        assert_eq!(controller.modifies(), sent_before + 1, "sent once: {name}");
    }
}

#[tokio::test]
async fn a_reset_is_one_modify_by_guid_and_opens_the_account() {
    let forest = Forest::new();
    let controller = forest.start(forest.script()).await;
    let directory = forest.directory(&[&controller]);
    let write = PasswordWrite::Reset {
        new: "Größe-Straße-9".into(),
        unlock: true,
        must_change: true,
        policy_hints: directory::PolicyHints::Never,
    };
    forest.write(&directory, &write).await.unwrap();
    let modify = Received::Modify {
        object: format!("<GUID={}>", forest.ana.guid),
        changes: ["unicodePwd", "lockoutTime", "pwdLastSet"]
            .map(|attribute| format!("replace {attribute}"))
            .to_vec(),
        controls: Vec::new(),
    };
    assert_eq!(controller.received().last(), Some(&modify));
    assert_eq!(forest.password_at(&controller), "Größe-Straße-9");
    let name = forest.ana.user_principal_name();
    let opens = directory.opens(&name, &"Größe-Straße-9".into()).await;
    assert_eq!(opens, Ok(directory::Opens::YesButMustChange));
    let opens = directory.opens(&name, &"Old-Passw0rd".into()).await;
    assert_eq!(opens, Ok(directory::Opens::No));
}

#[tokio::test]
async fn a_wrong_current_password_is_tried_once() {
    let forest = Forest::new();
    let controllers = [
        forest.start(forest.script()).await,
        forest.start(forest.script()).await,
    ];
    let directory = forest.directory(&[&controllers[0], &controllers[1]]);
    let explained = refused(forest.write(&directory, &change("Wr0ng-one", NEW)).await);
    assert_eq!(explained.reason, IncorrectPassword);
    let tried = controllers
        .each_ref()
        .map(|controller| controller.person(forest.ana.guid).unwrap().wrong_passwords);
    assert_eq!(tried, [1, 0]);
}

#[tokio::test]
async fn a_change_obeys_the_history_and_the_age() {
    let mut forest = Forest::new();
    forest.ana.history = vec!["Used-Passw0rd".to_owned()];
    let controller = forest.start(forest.script()).await;
    let directory = forest.directory(&[&controller]);
    for (current, new, reason) in [
        ("Old-Passw0rd", "Used-Passw0rd", PasswordPolicy),
        ("Old-Passw0rd", "Old-Passw0rd", PasswordPolicy),
        ("Old-Passw0rd", "short", PasswordPolicy),
        ("Wr0ng-one", NEW, IncorrectPassword),
    ] {
        let explained = refused(forest.write(&directory, &change(current, new)).await);
        assert_eq!(explained.reason, reason, "{new}");
    }
    let write = change("Old-Passw0rd", NEW);
    forest.write(&directory, &write).await.unwrap();
    assert_eq!(forest.password_at(&controller), NEW);

    let strict = Policy {
        minimum_age: Duration::days(1),
        ..Policy::default()
    };
    forest.ana.pwd_last_set = Some(time::OffsetDateTime::now_utc() - Duration::hours(2));
    let young = forest.start(forest.script().policy(strict)).await;
    let directory = forest.directory(&[&young]);
    let explained = refused(forest.write(&directory, &write).await);
    assert_eq!(explained.reason, PasswordPolicy);
}

#[tokio::test]
async fn the_missing_right_is_named() {
    let mut forest = Forest::new();
    forest.ana.lockout_time_writable = false;
    let controller = forest.start(forest.script()).await;
    let directory = forest.directory(&[&controller]);
    for write in [reset(NEW), PasswordWrite::Unlock] {
        let explained = refused(forest.write(&directory, &write).await);
        assert_eq!(explained.reason, AccessDenied);
        let named = explained.detail.starts_with("missing right: lockoutTime");
        assert!(named, "{explained}");
    }
    assert_eq!(forest.password_at(&controller), "Old-Passw0rd");
}

#[tokio::test]
async fn a_deleted_account_is_gone() {
    let forest = Forest::new();
    let controller = forest.start(scripted_directory::Script::default()).await;
    let directory = forest.directory(&[&controller]);
    assert_eq!(directory.read_account(forest.ana.guid).await, Ok(None));
    let explained = refused(forest.write(&directory, &reset(NEW)).await);
    assert_eq!(explained.reason, UserNotFound);
}

#[tokio::test]
async fn of_too_many_namesakes_some_are_told() {
    let forest = Forest::new();
    let mut script = scripted_directory::Script::default();
    for number in 0..40 {
        script = script.person(&scripted_directory::Person::new("ana", number));
    }
    let controller = forest.start(script).await;
    let directory = forest.directory(&[&controller]);
    let name = forest.ana.user_principal_name().parse().unwrap();
    let found = directory
        .find(
            &"corp.example.com".parse().unwrap(),
            &directory::Identifier::UserPrincipalName(name),
        )
        .await
        .unwrap();
    // what matters to the caller: more than one
    assert_eq!(found.len(), 32);
}
