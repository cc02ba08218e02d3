//! Lockouts, and passwords that must be changed.

use anyhow::ensure;
use e2e::{Event, SignIn, World, fresh_password};
use operation::Reason;
use serde_json::json;

use crate::people;

#[tokio::test]
async fn a_lockout_stays_where_it_was_asked_to() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::LOCKED_OR_NOT)?;
        let old = forest.start_with_fresh_password(person).await?;

        // not locked: nothing to do is no failure, and nothing to keep no obstacle
        let unlocked = world.door.send(&Event::unlock(person)).await?;
        unlocked.expect_applied()?;
        assert_eq!(
            unlocked.body["notes"],
            json!(["the account was not locked"])
        );
        let first = fresh_password();
        let keeping = Event::reset(person, &first).keeping_a_lockout();
        world.door.send(&keeping).await?.expect_applied()?;
        forest.prove(person, &old, &first).await?;

        forest.lock(person, &first).await?;
        let second = fresh_password();
        for event in [
            Event::reset(person, &second).keeping_a_lockout(),
            Event::reset(person, &second)
                .keeping_a_lockout()
                .by_administrator(),
            Event::change(person, &first, &second),
        ] {
            let answer = world.door.send(&event).await?;
            answer.expect_refused(422, Reason::AccountLocked)?;
            assert_eq!(answer.text("actor"), "administrator");
        }
        // still locked, and once it is not, with the password it had
        assert_eq!(forest.sign_in(person, &first).await?, SignIn::Locked);
        world
            .door
            .send(&Event::unlock(person))
            .await?
            .expect_applied()?;
        forest.prove(person, &second, &first).await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_must_change_changes_and_gets_in() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::FORCED_TO_CHANGE)?;
        forest.start_with_fresh_password(person).await?;

        let handed_out = fresh_password();
        let event = Event::reset(person, &handed_out)
            .by_administrator()
            .must_change_at_next_sign_in();
        world.door.send(&event).await?.expect_applied()?;
        assert_eq!(
            forest.sign_in(person, &handed_out).await?,
            SignIn::MustChange
        );
        let own = fresh_password();
        let wrong = Event::change(person, &own, &fresh_password());
        world
            .door
            .send(&wrong)
            .await?
            .expect_refused(422, Reason::IncorrectPassword)?;
        let change = Event::change(person, &handed_out, &own);
        world.door.send(&change).await?.expect_applied()?;
        forest.prove(person, &handed_out, &own).await?;

        // nor does it take a valid account; what it is good for, the directory decides
        forest.expire_account(person).await?;
        assert_eq!(
            forest.sign_in(person, &own).await?,
            SignIn::Refused("701".to_owned()) // MS-ERREF: ERROR_ACCOUNT_EXPIRED
        );
        let renewed = fresh_password();
        let change = Event::change(person, &own, &renewed);
        let answer = world.door.send(&change).await;
        forest.extend_account(person).await?;
        answer?.expect_applied()?;
        forest.prove(person, &own, &renewed).await?;
    }
    Ok(())
}

#[tokio::test]
async fn only_an_administrators_reset_can_ask_for_a_change() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let person = forest.person(people::UNTOUCHED)?;
    let new = fresh_password();
    for event in [
        Event::reset(person, &new).must_change_at_next_sign_in(),
        Event::change(person, "old", &new).must_change_at_next_sign_in(),
        Event::change(person, "old", &new)
            .by_administrator()
            .must_change_at_next_sign_in(),
        Event::unlock(person)
            .by_administrator()
            .must_change_at_next_sign_in(),
    ] {
        world
            .door
            .send(&event)
            .await?
            .expect_malformed("data.mustChangeAtNextSignIn")?;
    }
    world
        .door
        .send(&Event::unlock(person).keeping_a_lockout())
        .await?
        .expect_malformed("data.unlock")?;
    ensure!(
        !forest.opens(person, &new).await?,
        "{person} was written to"
    );
    Ok(())
}
