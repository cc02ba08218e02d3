//! The modify was received and no answer came: nobody may say what happened, nor send it again.

use std::time::Duration;

use directory::{LateAnswer, Opens, PasswordWrite, PolicyHints, WriteError};
use operation::Reason;
use scripted_directory::{Act, DomainController, On, Script};
use tokio::time::Instant;

use crate::{Forest, NEW, SHORT_TIME_OUT, change, hinted_reset, reset, unknown, until};

/// Plays the act on the modify, and tells what is in the account after.
async fn lose(forest: &Forest, script: Script) -> String {
    let first = forest.start(script).await;
    let second = forest.start(forest.script()).await;
    let directory = forest.directory_within(&[&first, &second], SHORT_TIME_OUT);
    let problem = unknown(forest.write(&directory, &reset(NEW)).await);
    assert!(problem.starts_with(&first.url()), "{problem}");
    assert_eq!(
        (first.modifies(), second.modifies()),
        (1, 0),
        "sent once, to one"
    );
    forest.password_at(&first)
}

#[tokio::test]
async fn the_connection_closes_after_the_modify() {
    let forest = Forest::new();
    for (carried_out, password) in [(true, NEW), (false, "Old-Passw0rd")] {
        let script = forest.script().once(On::Modify, Act::Close { carried_out });
        assert_eq!(lose(&forest, script).await, password);
    }
}

#[tokio::test]
async fn the_controller_freezes_after_the_modify() {
    let forest = Forest::new();
    for (carried_out, password) in [(true, NEW), (false, "Old-Passw0rd")] {
        let began = Instant::now();
        let act = Act::Silence { carried_out };
        assert_eq!(
            lose(&forest, forest.script().once(On::Modify, act)).await,
            password
        );
        assert!(began.elapsed() >= SHORT_TIME_OUT);
    }
}

#[tokio::test]
async fn a_late_modify_is_carried_out_though_we_left() {
    let forest = Forest::new();
    let act = Act::Late(2 * SHORT_TIME_OUT);
    let controller = forest.start(forest.script().once(On::Modify, act)).await;
    let directory = forest.directory_within(&[&controller], SHORT_TIME_OUT);
    unknown(forest.write(&directory, &reset(NEW)).await);
    assert_eq!(forest.password_at(&controller), "Old-Passw0rd");
    until("the late write", || forest.password_at(&controller) == NEW).await;
    assert_eq!(controller.modifies(), 1);
}

#[tokio::test]
async fn what_was_lost_can_be_read_at_the_same_controller() {
    let forest = Forest::new();
    let act = Act::Close { carried_out: true };
    let controller = forest.start(forest.script().once(On::Modify, act)).await;
    let directory = forest.directory(&[&controller]);
    let before = directory.read_account(forest.ana.guid).await;
    let before = before.unwrap().unwrap();
    let problem = unknown(forest.write(&directory, &reset(NEW)).await);
    assert!(problem.contains("lost"), "{problem}");
    let after = directory
        .read_account_at(forest.ana.guid, &before.domain_controller)
        .await;
    assert_ne!(after.unwrap().unwrap().pwd_last_set, before.pwd_last_set);
    let opens = directory
        .opens_at(before.bind_name(), &NEW.into(), &before.domain_controller)
        .await;
    assert_eq!(opens, Ok(Opens::Yes));
    assert_eq!(controller.modifies(), 1);
}

#[tokio::test]
async fn how_it_was_sent_is_told_with_the_doubt() {
    let forest = Forest::new();
    let act = Act::Close { carried_out: true };
    let controller = forest.start(forest.script().once(On::Modify, act)).await;
    let directory = forest.directory(&[&controller]);
    let write = hinted_reset(NEW, PolicyHints::WhenAvailable);
    let Err(directory::WriteError::Unknown { policy_hints, .. }) =
        forest.write(&directory, &write).await
    else {
        panic!("known");
    };
    assert_eq!(policy_hints, Some("1.2.840.113556.1.4.2239"));
}

#[tokio::test]
async fn a_slow_answer_is_waited_for() {
    let forest = Forest::new();
    let act = Act::Late(Duration::from_millis(300));
    let controller = forest.start(forest.script().once(On::Modify, act)).await;
    let directory = forest.directory(&[&controller]);
    forest.write(&directory, &reset(NEW)).await.unwrap();
    assert_eq!(controller.modifies(), 1);
}

/// Plays the act on the modify, and what is left of it then.
async fn leave(
    forest: &Forest,
    write: &PasswordWrite,
    act: Act,
) -> (DomainController, Option<Box<LateAnswer>>) {
    let controller = forest.start(forest.script().once(On::Modify, act)).await;
    let directory = forest.directory_within(&[&controller], SHORT_TIME_OUT);
    match forest.write(&directory, write).await {
        Err(WriteError::Unknown { late, .. }) => (controller, late),
        other => panic!("not unknown: {other:?}"),
    }
}

#[tokio::test]
async fn an_answer_that_comes_late_is_heard() {
    let forest = Forest::new();
    let late = || Act::Late(2 * SHORT_TIME_OUT);
    let (controller, answer) = leave(&forest, &reset(NEW), late()).await;
    assert_eq!(forest.password_at(&controller), "Old-Passw0rd");
    let receipt = answer.unwrap().come().await.unwrap().unwrap();
    assert_eq!(forest.password_at(&controller), NEW);
    assert_eq!(receipt.domain_controller, controller.url());
    let set = controller.person(forest.ana.guid).unwrap().pwd_last_set;
    let between = receipt.began..=receipt.ended;
    assert!(between.contains(&set.unwrap()), "{between:?}, not {set:?}");
    let length = receipt.ended - receipt.began;
    assert!(
        length < SHORT_TIME_OUT / 10,
        "{length}, and others may have set it"
    );

    let refused = change("Old-Passw0rd", "short");
    let (controller, answer) = leave(&forest, &refused, late()).await;
    let explained = answer.unwrap().come().await.unwrap().unwrap_err();
    assert_eq!(explained.reason, Reason::PasswordPolicy);
    assert!(!explained.violations.is_empty());
    assert_eq!(forest.password_at(&controller), "Old-Passw0rd");
}

#[tokio::test]
async fn no_answer_is_waited_for_on_a_lost_connection() {
    let forest = Forest::new();
    let carried_out = false;
    let (_controller, answer) = leave(&forest, &reset(NEW), Act::Close { carried_out }).await;
    assert!(answer.is_none());
    let (controller, answer) = leave(&forest, &reset(NEW), Act::Silence { carried_out }).await;
    let mut answer = answer.unwrap();
    let nothing_yet = tokio::time::timeout(SHORT_TIME_OUT / 10, answer.come()).await;
    assert!(nothing_yet.is_err());
    controller.hang_up();
    assert!(answer.come().await.is_none());
    assert!(answer.come().await.is_none());
}
