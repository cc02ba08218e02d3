//! Newer wins, however those who ask call the person.

use anyhow::Context as _;
use e2e::{DomainController, Event, World, fresh_password};
use futures_util::future::try_join_all;

use crate::people;

/// It went wrong in two of five before accounts were claimed.
const ROUNDS: usize = 6;

/// Two at once, each through any replica, and nothing in what they say tells that they mean the same person.
async fn at_once(world: &World, forest: &DomainController, person: &str) -> anyhow::Result<()> {
    let identifiers = forest.identifiers(person).await?;
    let sid = identifiers.security_identifier.context("no SID")?;
    for round in 0..ROUNDS {
        let (by_name, otherwise) = (fresh_password(), fresh_password());
        let named = Event::reset(person, &by_name);
        let other = Event::reset(person, &otherwise);
        let other = if round % 2 == 0 {
            other
                .without("userPrincipalName")
                .naming("securityIdentifier", &sid)
        } else {
            other.by_source_anchor(&identifiers.source_anchor)
        };
        let (named, other) = tokio::try_join!(
            world.door.send_without_waiting(&named),
            world.door.send_without_waiting(&other)
        )?;
        let resets = [
            (named.operation_id()?.to_owned(), by_name),
            (other.operation_id()?.to_owned(), otherwise),
        ];
        world.newest_holds(forest, person, &resets).await?;
    }
    Ok(())
}

#[tokio::test]
async fn of_two_that_come_at_once_the_newer_one_holds() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let all = people::AT_ONCE.map(|number| {
        let world = &world;
        async move {
            let person = forest.person(number)?;
            let held = at_once(world, forest, person).await;
            held.context(person.to_owned())
        }
    });
    try_join_all(all).await?;
    Ok(())
}
