//! Several events in one request: all are admitted, or none.

use e2e::{Event, World, fresh_password};
use serde_json::{Value, json};

use crate::people;

fn operations(body: &Value) -> Vec<(String, String)> {
    body["operations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|operation| {
            let text = |name: &str| operation[name].as_str().unwrap_or_default().to_owned();
            (text("id"), text("location"))
        })
        .collect()
}

#[tokio::test]
async fn a_batch_is_carried_out_one_by_one() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let mut people = Vec::new();
    let mut events = Vec::new();
    for forest in &world.forests {
        let person = forest.person(people::BATCHED)?;
        let (old, new) = (
            forest.start_with_fresh_password(person).await?,
            fresh_password(),
        );
        events.push(world.door.prepare(&Event::reset(person, &new))?);
        people.push((forest, person, old, new));
    }
    // the first once more, and one that will be refused
    events.push(events[0].clone());
    let nobody = people[0].0.named(people::UNKNOWN);
    events.push(world.door.prepare(&Event::unlock(&nobody))?);

    let answer = world.door.send_batch(&events).await?;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let operations = operations(&answer.body);
    assert_eq!(operations.len(), 4, "{}", answer.body);
    for (id, location) in &operations {
        assert_eq!(*location, format!("/v1/operations/{id}"));
    }
    assert_eq!(
        operations[0], operations[2],
        "a duplicate is the same operation"
    );
    for ((forest, person, old, new), (id, _)) in people.iter().zip(&operations) {
        let ended = world.door.ended_operation(id).await?;
        ended.expect_applied()?;
        assert_eq!(ended.text("forest"), forest.id());
        forest.prove(person, old, new).await?;
    }
    let ended = world.door.ended_operation(&operations[3].0).await?;
    assert_eq!(ended.text("reason"), "user-not-found");

    let again = world.door.send_batch(&events).await?;
    assert_eq!(
        again.body, answer.body,
        "the same batch is the same operations"
    );

    // the last of a batch wins
    let (forest, person, _, before) = &people[0];
    let passwords: Vec<String> = (0..8).map(|_| fresh_password()).collect();
    let resets: Vec<Value> = passwords
        .iter()
        .map(|new| world.door.prepare(&Event::reset(person, new)))
        .collect::<Result<_, _>>()?;
    let answer = world.door.send_batch(&resets).await?;
    for (id, _) in self::operations(&answer.body) {
        let ended = world.door.ended_operation(&id).await?;
        ended.expect_applied()?;
    }
    forest.prove(person, before, &passwords[7]).await
}

#[tokio::test]
async fn an_empty_batch_is_nothing_to_do() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let answer = world.door.send_batch(&[]).await?;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.body, json!({ "operations": [] }));
    Ok(())
}

#[tokio::test]
async fn one_bad_event_keeps_the_whole_batch_out() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let person = forest.person(people::UNTOUCHED)?;
    let good = world
        .door
        .prepare(&Event::reset(person, &fresh_password()))?;
    let fine = world
        .door
        .prepare(&Event::unlock(&forest.named(people::UNKNOWN)))?;
    let mut bad = fine.clone();
    bad["data"]["user"]["userPrincipalName"] = json!(["ana"]);
    let answer = world
        .door
        .send_batch(&[good.clone(), fine.clone(), bad])
        .await?;
    answer.expect_malformed("[2].data.user.userPrincipalName")?;

    let answer = world
        .door
        .send_batch(&[good.clone(), json!("not an event")])
        .await?;
    answer.expect_malformed("[1]")?;

    let mut unknown = fine.clone();
    unknown["type"] = json!("dev.writeback.account.delete");
    let answer = world.door.send_batch(&[good.clone(), unknown]).await?;
    answer.expect_malformed("[1].type")?;

    let request = world
        .door
        .request(reqwest::Method::POST, "/v1/events")
        .bearer_auth(world.door.token_for("password.reset")?)
        .header("content-type", "application/cloudevents-batch+json")
        .body(json!([good, fine]).to_string());
    let answer = world.door.answer(request).await?;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(
        answer.text("detail").starts_with("[1]: "),
        "{}",
        answer.body
    );

    // none of it was admitted: sent alone, an event ends its own first operation now
    let alone = world.door.send_json(&fine).await?;
    assert_eq!(alone.status, 404, "{}", alone.body);
    let shown = world.door.operation(alone.operation_id()?).await?;
    let admitted = shown.text("acceptedAt").to_owned();
    let rfc3339 = &time::format_description::well_known::Rfc3339;
    let admitted = time::OffsetDateTime::parse(&admitted, rfc3339)?;
    let ago = time::OffsetDateTime::now_utc() - admitted;
    assert!(
        ago <= time::Duration::try_from(alone.took)? + time::Duration::SECOND,
        "{ago}"
    );
    Ok(())
}

#[tokio::test]
async fn an_object_is_no_batch_and_an_array_no_event() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let event = world
        .door
        .prepare(&Event::unlock("nobody@corp.example.com"))?;
    for (content_type, body) in [
        ("application/cloudevents-batch+json", event.clone()),
        ("application/cloudevents+json", json!([event])),
    ] {
        let request = world
            .door
            .post()
            .header("content-type", content_type)
            .body(body.to_string());
        world.door.answer(request).await?.expect_malformed("body")?;
    }
    Ok(())
}
