//! What the directory's rules forbid: the true reason, and nothing written.

use anyhow::ensure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{Answer, Event, SignIn, World, fresh_password};
use operation::Reason;
use serde_json::Value;

use crate::people;

#[tokio::test]
async fn a_wrong_current_password_is_told() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::WRONG_CURRENT_PASSWORD)?;
        let right = forest.start_with_fresh_password(person).await?;
        let new = fresh_password();
        let event = Event::change(person, &fresh_password(), &new);
        let answer = world.door.send(&event).await?;
        answer.expect_refused(422, Reason::IncorrectPassword)?;
        assert_eq!(answer.text("eventId"), "33007");
        assert_eq!(answer.text("actor"), "person");
        forest.prove(person, &new, &right).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_password_that_breaks_the_policy_is_told_which_rule() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::AGAINST_POLICY)?;
        let old = forest.start_with_fresh_password(person).await?;
        for (event, refused, rules, told) in [
            (
                Event::reset(person, "Ab1!"),
                "Ab1!",
                &["length"][..],
                "8 characters",
            ),
            (
                Event::reset(person, "onlylowercase"),
                "onlylowercase",
                &["complexity"],
                "three of",
            ),
            (
                Event::change(person, &old, "ab1"),
                "ab1",
                &["length", "complexity"],
                "8 characters",
            ),
        ] {
            let answer = world.door.send(&event).await?;
            answer.expect_refused(422, Reason::PasswordPolicy)?;
            assert_eq!(answer.text("eventId"), "33008");
            assert_eq!(answer.text("actor"), "person");
            expect_violations(&answer, rules, told);
            forest.prove(person, refused, &old).await?;
        }
        // the lab's forests remember 24
        let answer = world.door.send(&Event::change(person, &old, &old)).await?;
        answer.expect_refused(422, Reason::PasswordPolicy)?;
        expect_violations(&answer, &["history"], "used before");
        ensure!(
            forest.opens(person, &old).await?,
            "the password was changed"
        );
    }
    Ok(())
}

fn expect_violations(answer: &Answer, rules: &[&str], told: &str) {
    let violations = answer.body.get("violations").and_then(Value::as_array);
    let member = |name: &'static str| {
        violations
            .into_iter()
            .flatten()
            .filter_map(move |violation| violation.get(name).and_then(Value::as_str))
    };
    assert!(member("rule").eq(rules.iter().copied()), "{}", answer.body);
    assert!(
        member("message").any(|message| message.contains(told)),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_disabled_account_is_told() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.named(people::DISABLED);
        for event in [
            Event::reset(&person, &fresh_password()),
            Event::reset(&person, &fresh_password()).by_administrator(),
        ] {
            world
                .door
                .send(&event)
                .await?
                .expect_refused(422, Reason::AccountDisabled)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_protected_account_is_left_alone() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.named(people::PROTECTED);
        let old = forest.start_with_fresh_password(&person).await?;
        let new = fresh_password();
        world
            .door
            .send(&Event::reset(&person, &new))
            .await?
            .expect_refused(422, Reason::ProtectedAccount)?;
        forest.prove(&person, &new, &old).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_account_out_of_scope_is_left_alone() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.named(people::OUT_OF_SCOPE);
        let old = forest.start_with_fresh_password(&person).await?;
        let new = fresh_password();
        world
            .door
            .send(&Event::reset(&person, &new))
            .await?
            .expect_refused(422, Reason::OutOfScope)?;
        forest.prove(&person, &new, &old).await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_cannot_change_their_password_is_told() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.named(people::CANNOT_CHANGE);
        let old = forest.start_with_fresh_password(&person).await?;
        let new = fresh_password();
        world
            .door
            .send(&Event::change(&person, &old, &new))
            .await?
            .expect_refused(422, Reason::CannotChangePassword)?;
        forest.prove(&person, &new, &old).await?;
    }
    Ok(())
}

#[tokio::test]
async fn one_anchor_in_two_forests_is_ambiguous() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let anchor = STANDARD.encode(people::IN_BOTH_FORESTS.to_bytes_le());
    let event = Event::reset("", &fresh_password()).by_source_anchor(&anchor);
    world
        .door
        .send(&event)
        .await?
        .expect_refused(409, Reason::UserAmbiguous)
}

#[tokio::test]
async fn an_unknown_person_is_not_found() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let event = Event::reset(&forest.named(people::UNKNOWN), &fresh_password());
        world
            .door
            .send(&event)
            .await?
            .expect_refused(404, Reason::UserNotFound)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_seal_about_somebody_else_is_invalid() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::SEALED_ABOUT_ANOTHER)?;
        let old = forest.start_with_fresh_password(person).await?;
        let new = fresh_password();
        let event = Event::reset(person, &new).sealed_about(forest.person(people::SOMEBODY_ELSE)?);
        world
            .door
            .send(&event)
            .await?
            .expect_refused(422, Reason::SealInvalid)?;
        forest.prove(person, &new, &old).await?;
        assert_ne!(
            forest
                .sign_in(forest.person(people::SOMEBODY_ELSE)?, &new)
                .await?,
            SignIn::Opens
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_accounts_writeback_signs_in_with_are_left_alone() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        for login in ["svc-writeback", "svc-writeback-read"] {
            let account = forest.named(login);
            for event in [
                Event::reset(&account, &fresh_password()),
                Event::reset(&account, &fresh_password()).by_administrator(),
                Event::unlock(&account),
            ] {
                world
                    .door
                    .send(&event)
                    .await?
                    .expect_refused(422, Reason::ProtectedAccount)?;
            }
        }
    }
    Ok(())
}
