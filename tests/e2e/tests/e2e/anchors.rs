//! People whose anchor is not their `objectGUID`, as after a migration: found whatever becomes of them.

use std::time::Duration;

use anyhow::ensure;
use e2e::{DomainController, Event, Person, World, fresh_password, source_anchor, until};
use operation::Reason;
use uuid::Uuid;

const PEOPLE: &str = "People";
/// What is promised to be known by then, though nobody was missing.
const NEWS_WITHIN: Duration = Duration::from_mins(1);

fn login(what: &str) -> String {
    let unique = Uuid::new_v4().simple().to_string();
    format!("{what}-{}", unique.get(..8).unwrap_or_default())
}

fn by(anchor: Uuid, password: &str) -> Event {
    Event::reset("", password).by_source_anchor(&source_anchor(anchor))
}

/// A reset by this anchor reaches this person.
async fn reaches(
    world: &World,
    forest: &DomainController,
    anchor: Uuid,
    person: &mut Person,
) -> anyhow::Result<()> {
    let new = fresh_password();
    let answer = world.door.send(&by(anchor, &new)).await?;
    answer.expect_applied()?;
    assert_eq!(answer.text("forest"), forest.id());
    forest
        .prove(&person.user_principal_name, &person.password, &new)
        .await?;
    person.password = new;
    Ok(())
}

/// The resolver itself says so: the writer would notice too, but it is not to be troubled.
async fn reaches_nobody(world: &World, anchor: Uuid) -> anyhow::Result<()> {
    let answer = world.door.send(&by(anchor, &fresh_password())).await?;
    answer.expect_refused(404, Reason::UserNotFound)?;
    let operation = world.door.ended_operation(answer.operation_id()?).await?;
    let steps = operation.body.get("steps").map(ToString::to_string);
    let steps = steps.unwrap_or_default();
    ensure!(
        steps.contains("ended") && !steps.contains("routed"),
        "not ended by the resolver: {steps}"
    );
    Ok(())
}

#[tokio::test]
async fn who_came_a_moment_ago_is_found() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let anchor = Uuid::new_v4();
        reaches_nobody(&world, anchor).await?;
        let newcomer = login("newcomer");
        let mut person = forest.hire(&newcomer, PEOPLE, Some(anchor)).await?;
        // by either resolver
        reaches(&world, forest, anchor, &mut person).await?;
        reaches(&world, forest, anchor, &mut person).await?;
        forest.dismiss(&person).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_or_cleared_anchor_is_the_only_one_that_counts() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let [first, second] = [Uuid::new_v4(), Uuid::new_v4()];
        let mut person = forest.hire(&login("changer"), PEOPLE, Some(first)).await?;
        reaches(&world, forest, first, &mut person).await?;
        // with a consistency GUID of another value, the objectGUID is no anchor
        reaches_nobody(&world, person.object).await?;

        forest.set_consistency_guid(&person, Some(second)).await?;
        reaches_nobody(&world, first).await?;
        reaches(&world, forest, second, &mut person).await?;

        forest.set_consistency_guid(&person, None).await?;
        reaches_nobody(&world, second).await?;
        let object = person.object;
        reaches(&world, forest, object, &mut person).await?;
        forest.dismiss(&person).await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_name_and_another_unit_change_nothing() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let anchor = Uuid::new_v4();
        let mut person = forest.hire(&login("mover"), PEOPLE, Some(anchor)).await?;
        reaches(&world, forest, anchor, &mut person).await?;
        forest.rename(&person, &login("renamed"), PEOPLE).await?;
        reaches(&world, forest, anchor, &mut person).await?;
        let unit = login("Unit");
        forest.found_unit(&unit).await?;
        forest.rename(&person, &login("moved"), &unit).await?;
        reaches(&world, forest, anchor, &mut person).await?;
        forest.dismiss(&person).await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_left_is_nobody_until_made_again() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let (anchor, login) = (Uuid::new_v4(), login("leaver"));
        let mut person = forest.hire(&login, PEOPLE, Some(anchor)).await?;
        reaches(&world, forest, anchor, &mut person).await?;
        forest.dismiss(&person).await?;
        reaches_nobody(&world, anchor).await?;

        let mut again = forest.hire(&login, PEOPLE, Some(anchor)).await?;
        assert_ne!(again.object, person.object);
        reaches(&world, forest, anchor, &mut again).await?;
        forest.dismiss(&again).await?;
    }
    Ok(())
}

#[tokio::test]
async fn two_with_one_anchor_are_ambiguous() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let anchor = Uuid::new_v4();
    let mut one = forest.hire(&login("twin"), PEOPLE, Some(anchor)).await?;
    reaches(&world, forest, anchor, &mut one).await?;
    let two = forest.hire(&login("twin"), PEOPLE, Some(anchor)).await?;
    // nobody is missing, so nothing hurries: the usual reading of changes tells of the second
    until("the twins are told apart", NEWS_WITHIN, || async {
        let answer = world
            .door
            .send(&Event::unlock("").by_source_anchor(&source_anchor(anchor)))
            .await?;
        if answer.status == 409 {
            answer.expect_refused(409, Reason::UserAmbiguous)?;
            return Ok(Some(()));
        }
        answer.expect_applied()?;
        Ok(None)
    })
    .await?;
    forest.dismiss(&two).await?;
    reaches(&world, forest, anchor, &mut one).await?;
    forest.dismiss(&one).await
}
