//! What is carried home: each proved by real sign-ins in both forests.

use anyhow::ensure;
use e2e::{Event, SignIn, World, fresh_password};

use crate::people;

#[tokio::test]
async fn a_reset_by_the_person_replaces_the_password() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::RESET_BY_USER)?;
        let old = forest.start_with_fresh_password(person).await?;
        let new = fresh_password();
        let answer = world.door.send(&Event::reset(person, &new)).await?;
        answer.expect_applied()?;
        assert_eq!(answer.text("forest"), forest.id());
        forest.prove(person, &old, &new).await?;
        // Samba has policy hints from 4.24 on; what was not enforced is said
        let notes = answer.body["notes"].to_string();
        ensure!(
            notes.contains("history was not checked: the domain controller does not know"),
            "{notes}"
        );
        let operation = world.door.operation(answer.operation_id()?).await?;
        let steps = operation.body["steps"].to_string();
        ensure!(steps.contains(", without policy hints"), "{steps}");
    }
    Ok(())
}

#[tokio::test]
async fn a_reset_may_be_sealed_to_one_forest_only() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::SEALED_TO_ONE_FOREST)?;
        let old = forest.start_with_fresh_password(person).await?;
        let new = fresh_password();
        let event = Event::reset(person, &new).sealed_to(forest.id());
        world.door.send(&event).await?.expect_applied()?;
        forest.prove(person, &old, &new).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_reset_by_an_administrator_can_force_a_change() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::RESET_BY_ADMINISTRATOR)?;
        let old = forest.start_with_fresh_password(person).await?;
        let new = fresh_password();
        let event = Event::reset(person, &new)
            .by_administrator()
            .must_change_at_next_sign_in();
        let answer = world.door.send(&event).await?;
        answer.expect_applied()?;
        let notes = answer.body["notes"].to_string();
        ensure!(
            notes.contains("resets by administrators are sent without policy hints"),
            "{notes}"
        );
        assert_eq!(forest.sign_in(person, &new).await?, SignIn::MustChange);
        ensure!(
            matches!(forest.sign_in(person, &old).await?, SignIn::Refused(_)),
            "the old password is not simply wrong"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_change_with_the_current_password_replaces_it() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::CHANGE)?;
        let old = forest.start_with_fresh_password(person).await?;
        let new = fresh_password();
        let event = Event::change(person, &old, &new);
        world.door.send(&event).await?.expect_applied()?;
        forest.prove(person, &old, &new).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_unlock_lets_a_locked_person_in_with_their_password() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::UNLOCK)?;
        let password = forest.start_with_fresh_password(person).await?;
        forest.lock(person, &password).await?;
        world
            .door
            .send(&Event::unlock(person))
            .await?
            .expect_applied()?;
        assert_eq!(forest.sign_in(person, &password).await?, SignIn::Opens);
    }
    Ok(())
}

#[tokio::test]
async fn a_reset_clears_a_lockout() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::RESET_UNLOCKS)?;
        let old = forest.start_with_fresh_password(person).await?;
        forest.lock(person, &old).await?;
        let new = fresh_password();
        world
            .door
            .send(&Event::reset(person, &new))
            .await?
            .expect_applied()?;
        forest.prove(person, &old, &new).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_same_event_twice_is_one_operation() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let person = forest.person(people::DUPLICATE)?;
    let old = forest.start_with_fresh_password(person).await?;
    let new = fresh_password();
    let event = world.door.prepare(&Event::reset(person, &new))?;
    let first = world.door.send_json(&event).await?;
    let second = world.door.send_json(&event).await?;
    first.expect_applied()?;
    second.expect_applied()?;
    assert_eq!(first.operation_id()?, second.operation_id()?);
    forest.prove(person, &old, &new).await
}

#[tokio::test]
async fn whoever_does_not_wait_finds_the_outcome_later() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::ASYNCHRONOUS)?;
        let old = forest.start_with_fresh_password(person).await?;
        let new = fresh_password();
        let event = Event::reset(person, &new);
        let answer = world.door.send_without_waiting(&event).await?;
        assert_eq!(answer.status, 202, "{}", answer.body);
        let id = answer.operation_id()?;
        let location = answer.location().unwrap_or_default();
        ensure!(
            location.ends_with(&format!("/v1/operations/{id}")),
            "the location is {location:?}"
        );
        let ended = world.door.ended_operation(id).await?;
        ended.expect_applied()?;
        assert_eq!(ended.text("forest"), forest.id());
        forest.prove(person, &old, &new).await?;
    }
    Ok(())
}
