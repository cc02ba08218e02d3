//! What does not get past the door.

use e2e::{Event, World, fresh_password};
use serde_json::json;

use crate::people;

/// More than the 256 KiB a body may have.
const TOO_MUCH: usize = 256 * 1024 + 1;

#[tokio::test]
async fn a_wrong_token_is_not_let_in() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let person = forest.person(people::WRONG_TOKEN)?;
    let old = forest.start_with_fresh_password(person).await?;
    let new = fresh_password();
    let event = Event::reset(person, &new);
    let answer = world.door.send_with_token(&event, "not.a.token").await?;
    assert_eq!(answer.status, 401, "{}", answer.body);
    assert!(answer.headers.contains_key("www-authenticate"));
    forest.prove(person, &new, &old).await
}

#[tokio::test]
async fn a_token_without_the_scope_is_not_enough() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let person = forest.person(people::MISSING_SCOPE)?;
    let old = forest.start_with_fresh_password(person).await?;
    let new = fresh_password();
    let event = Event::reset(person, &new);
    let token = world.door.token_for("operations.read")?;
    let answer = world.door.send_with_token(&event, token).await?;
    assert_eq!(answer.status, 403, "{}", answer.body);
    forest.prove(person, &new, &old).await
}

#[tokio::test]
async fn malformed_json_is_a_bad_request() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let answer = world.door.send_raw("{\"specversion\": ").await?;
    assert_eq!(answer.status, 400, "{}", answer.body);
    Ok(())
}

#[tokio::test]
async fn an_unknown_type_is_a_bad_request() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let person = world.forest()?.person(people::UNKNOWN_TYPE)?;
    let mut event = world.door.prepare(&Event::unlock(person))?;
    if let Some(members) = event.as_object_mut() {
        members.insert("type".to_owned(), json!("dev.writeback.account.delete"));
    }
    let answer = world.door.send_json(&event).await?;
    assert_eq!(answer.status, 400, "{}", answer.body);
    Ok(())
}

#[tokio::test]
async fn an_oversized_body_is_too_large() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let answer = world.door.send_raw(vec![b' '; TOO_MUCH]).await?;
    assert_eq!(answer.status, 413, "{}", answer.body);
    Ok(())
}
