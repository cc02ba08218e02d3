//! Same source and id, same operation: whatever else is said, wherever and whenever it is sent.

use e2e::{Event, World, fresh_password};
use futures_util::future::join_all;
use operation::Reason;

use crate::people;

const ELSEWHERE: &str = "https://other-cloud.example.com/directory";

#[tokio::test]
async fn twins_at_both_replicas_are_one_operation() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::TWINS)?;
        let mut old = forest.start_with_fresh_password(person).await?;
        for _ in 0..5 {
            let new = fresh_password();
            let event = world.door.prepare(&Event::reset(person, &new))?;
            let replicas = world.door.urls();
            assert!(replicas.len() > 1, "one intake has no twin");
            let twins = replicas
                .iter()
                .cycle()
                .take(8)
                .map(|replica| world.door.send_to(replica, &event));
            let mut ids = Vec::new();
            for answer in join_all(twins).await {
                let answer = answer?;
                answer.expect_applied()?;
                ids.push(answer.operation_id()?.to_owned());
            }
            ids.dedup();
            assert_eq!(ids.len(), 1, "{ids:?}");
            forest.prove(person, &old, &new).await?;
            old = new;
        }

        // the same id with something else in it: the first one's result, and nothing written
        let (first, other) = (fresh_password(), fresh_password());
        let event = Event::reset(person, &first);
        let told = world.door.send(&event).await?;
        told.expect_applied()?;
        let id = world.door.prepare(&event)?["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let somebody_else = forest.named(people::UNKNOWN);
        for differing in [
            Event::reset(person, &other),
            Event::change(person, &first, &other),
            Event::unlock(&somebody_else),
        ] {
            let again = world.door.send(&differing.with_id(&id)).await?;
            again.expect_applied()?;
            assert_eq!(again.operation_id()?, told.operation_id()?);
            assert_eq!(again.text("kind"), "reset");
        }
        forest.prove(person, &other, &first).await?;

        // the same id of another source is another event
        let elsewhere = Event::reset(person, &other)
            .with_id(&id)
            .from_source(ELSEWHERE);
        let answer = world.door.send(&elsewhere).await?;
        answer.expect_applied()?;
        assert_ne!(answer.operation_id()?, told.operation_id()?);
        forest.prove(person, &first, &other).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_repeated_too() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let nobody = world.forest()?.named(people::UNKNOWN);
    let event = world.door.prepare(&Event::unlock(&nobody))?;
    let mut ids = Vec::new();
    for replica in world.door.urls() {
        let answer = world.door.send_to(replica, &event).await?;
        answer.expect_refused(404, Reason::UserNotFound)?;
        ids.push(answer.operation_id()?.to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    Ok(())
}
