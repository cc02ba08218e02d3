//! The resolver remembers where people are: it may spare a look, and never reaches the wrong one.

use anyhow::{bail, ensure};
use e2e::{DomainController, Event, Person, World, fresh_password};
use operation::Reason;
use uuid::Uuid;

const PEOPLE: &str = "People";
/// There are several resolvers, and each remembers for itself.
const TRIES: usize = 20;

/// Until every resolver has been asked, and one has answered from memory.
async fn is_remembered(
    world: &World,
    forest: &DomainController,
    person: &mut Person,
) -> anyhow::Result<()> {
    for _ in 0..TRIES {
        let new = fresh_password();
        let event = Event::reset(&person.user_principal_name, &new).sealed_to(forest.id());
        let answer = world.door.send(&event).await?;
        answer.expect_applied()?;
        person.password = new;
        let steps = answer.body.get("steps").map(ToString::to_string);
        if steps.is_some_and(|steps| steps.contains("as before")) {
            return Ok(());
        }
    }
    bail!("nobody remembers {}", person.user_principal_name);
}

/// Each resolver, whatever it remembers, refuses with this reason, and the password stays what it was.
async fn is_refused(
    world: &World,
    forest: &DomainController,
    name: &str,
    status: u16,
    reason: Reason,
) -> anyhow::Result<()> {
    for _ in 0..TRIES / 4 {
        let event = Event::reset(name, &fresh_password()).sealed_to(forest.id());
        let answer = world.door.send(&event).await?;
        answer.expect_refused(status, reason)?;
    }
    Ok(())
}

fn login(who: &str) -> String {
    let unique = Uuid::new_v4().simple().to_string();
    format!("{who}-{}", unique.get(..8).unwrap_or_default())
}

#[tokio::test]
async fn who_was_moved_renamed_disabled_or_replaced_meanwhile_is_not_mistaken() -> anyhow::Result<()>
{
    let world = World::enter().await?;
    for forest in &world.forests {
        let mut person = forest.hire(&login("known"), PEOPLE, None).await?;
        let name = person.user_principal_name.clone();
        is_remembered(&world, forest, &mut person).await?;
        let unit = login("Unit");
        forest.found_unit(&unit).await?;
        forest.rename(&person, &login("other"), &unit).await?;
        is_remembered(&world, forest, &mut person).await?;

        forest
            .rename(&person, &login("other"), "Contractors")
            .await?;
        is_refused(&world, forest, &name, 422, Reason::OutOfScope).await?;
        forest.rename(&person, &login("other"), PEOPLE).await?;
        is_remembered(&world, forest, &mut person).await?;

        forest.set(&person, "userAccountControl", "514").await?;
        is_refused(&world, forest, &name, 422, Reason::AccountDisabled).await?;
        forest.set(&person, "userAccountControl", "512").await?;
        is_remembered(&world, forest, &mut person).await?;
        ensure!(
            forest.opens(&name, &person.password).await?,
            "{name} was written to"
        );

        forest.dismiss(&person).await?;
        is_refused(&world, forest, &name, 404, Reason::UserNotFound).await?;
        let mut again = forest.hire(&login("again"), PEOPLE, None).await?;
        forest.set_user_principal_name(&mut again, &name).await?;
        is_remembered(&world, forest, &mut again).await?;
        // and again, while it is remembered
        forest.dismiss(&again).await?;
        let mut third = forest.hire(&login("third"), PEOPLE, None).await?;
        forest.set_user_principal_name(&mut third, &name).await?;
        for _ in 0..TRIES / 4 {
            let new = fresh_password();
            let event = Event::reset(&name, &new).sealed_to(forest.id());
            world.door.send(&event).await?.expect_applied()?;
            forest.prove(&name, &third.password, &new).await?;
            third.password = new;
        }
        forest.dismiss(&third).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_name_that_passed_to_a_computer_reaches_neither() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let mut person = forest.hire(&login("before"), PEOPLE, None).await?;
        // no login of anybody's: a directory keeps those for who has them
        let name = forest.named(&login("role"));
        forest.set_user_principal_name(&mut person, &name).await?;
        is_remembered(&world, forest, &mut person).await?;
        let former = forest.named(&login("former"));
        forest.set_user_principal_name(&mut person, &former).await?;
        let account = login("PC");
        let computer = forest
            .make(
                &account,
                &["computer"],
                &[
                    ("sAMAccountName", format!("{account}$").as_str()),
                    ("userPrincipalName", &name),
                    ("userAccountControl", "4096"),
                ],
            )
            .await?;
        let object = Uuid::from_slice_le(&computer.object_guid)?;
        let before = forest.password_set_at(object).await?;
        is_refused(&world, forest, &name, 404, Reason::UserNotFound).await?;
        ensure!(
            forest.password_set_at(object).await? == before,
            "the computer was written to"
        );
        ensure!(
            forest.opens(&former, &person.password).await?,
            "who bore the name before was written to"
        );
        forest.dismiss(&person).await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_takes_over_a_name_is_reached_by_it_at_once() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let mut leaver = forest.hire(&login("leaver"), PEOPLE, None).await?;
        let mut heir = forest.hire(&login("heir"), PEOPLE, None).await?;
        // no login of anybody's: a directory keeps those for who has them
        let name = forest.named(&login("role"));
        forest.set_user_principal_name(&mut leaver, &name).await?;

        is_remembered(&world, forest, &mut leaver).await?;

        let other = forest.named(&login("former"));
        forest.set_user_principal_name(&mut leaver, &other).await?;
        forest.set_user_principal_name(&mut heir, &name).await?;
        for _ in 0..TRIES / 4 {
            let new = fresh_password();
            let event = Event::reset(&name, &new).sealed_to(forest.id());
            world.door.send(&event).await?.expect_applied()?;
            forest.prove(&name, &heir.password, &new).await?;
            heir.password = new;
        }
        ensure!(
            forest.opens(&other, &leaver.password).await?,
            "the password of who bore the name before was changed"
        );
    }
    Ok(())
}
