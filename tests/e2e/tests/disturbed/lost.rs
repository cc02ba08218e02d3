//! An operation is admitted and its message never published, as by an intake that is killed in between; in the end it
//! turns up all the same.

use std::{
    iter,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use e2e::{Answer, Broker, DomainController, Event, World, audit::as_service, fresh_password};
use lab::Lab;
use operation::Reason;
use prost::Message as _;
use proto::v1::{self, admission_client::AdmissionClient, admit_response};
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{ALONE, people};

/// More than the forest's writers take at a time.
const MANY: usize = 24;
/// Long before what waits for the lost operation may go on.
const OTHERS_WITHIN: Duration = Duration::from_secs(5);
/// For any policy.
const TOO_SHORT: &str = "Short1!";
const DEADLINE: Duration = Duration::from_mins(3);

fn text(event: &Value, member: &str) -> anyhow::Result<String> {
    let text = event.get(member).and_then(Value::as_str);
    Ok(text.with_context(|| format!("no {member}"))?.to_owned())
}

/// What an intake does with an event, up to its admission.
pub(crate) async fn admit(
    world: &World,
    event: &Event,
    person: &str,
) -> anyhow::Result<v1::Request> {
    let sent = world.door.prepare(event)?;
    let operation = v1::Operation {
        id: uuid::Uuid::now_v7().to_string(),
        kind: v1::Kind::Reset.into(),
        user: Some(v1::UserReference {
            user_principal_name: Some(person.to_owned()),
            ..v1::UserReference::default()
        }),
        initiator: Some(v1::Initiator {
            kind: v1::InitiatorKind::User.into(),
            id: None,
        }),
        event_source: text(&sent, "source")?,
        event_id: text(&sent, "id")?,
        unlock: true,
        deadline: proto::to_micros(OffsetDateTime::now_utc() + DEADLINE),
        ..v1::Operation::default()
    };
    let asked = v1::AdmitRequest {
        operation: Some(operation.clone()),
        content_digest: vec![0; 32],
        caller: "test".to_owned(),
        service: "intake-1".to_owned(),
        unthrottled: true,
        sealed_for: Vec::new(),
    };
    let channel = as_service(&Lab::load()?.audit.grpc, Some("intake")).await?;
    let answer = AdmissionClient::new(channel).admit(asked).await?;
    let Some(admit_response::Answer::Admitted(admitted)) = answer.into_inner().answer else {
        anyhow::bail!("not admitted");
    };
    let sealed = sent.pointer("/data/sealedPassword").context("no seal")?;
    Ok(v1::Request {
        operation: Some(v1::Operation {
            admitted_at: admitted.admitted_at,
            ..operation
        }),
        sealed_password: sealed.to_string(),
        after: admitted.after,
        ..v1::Request::default()
    })
}

pub(crate) async fn publish(request: &v1::Request) -> anyhow::Result<()> {
    let message = json!({
        "properties": { "delivery_mode": 2 },
        "routing_key": "writeback.requests",
        "payload": STANDARD.encode(request.encode_to_vec()),
        "payload_encoding": "base64",
    });
    let exchange = "exchanges/writeback/writeback.requests/publish";
    let broker = Broker::of_the_lab()?;
    let published = broker.ask(Method::POST, exchange, &message).await?;
    ensure!(published == json!({ "routed": true }), "not routed");
    Ok(())
}

/// One after the other's admission; their ids.
async fn send_many(
    world: &World,
    forest: &DomainController,
    person: &str,
    passwords: &[String],
) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    for password in passwords {
        let event = Event::reset(person, password)
            .sealed_to(forest.id())
            .within(DEADLINE);
        let answer: Answer = world.door.send_without_waiting(&event).await?;
        ids.push(answer.operation_id()?.to_owned());
    }
    Ok(ids)
}

#[tokio::test]
async fn what_waits_for_a_lost_operation_is_in_nobody_s_way_and_goes_on_without_it()
-> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forests.first().context("no forest")?;
    let (person, other) = (
        forest.person(people::UNDER_WAY.start)?,
        forest.person(people::AFTERWARDS.start)?,
    );
    let old = forest.start_with_fresh_password(person).await?;
    let others_old = forest.start_with_fresh_password(other).await?;
    let admit_only = async |person, password| {
        let event = Event::reset(person, password)
            .sealed_to(forest.id())
            .within(DEADLINE);
        admit(&world, &event, person).await
    };
    let never = fresh_password();
    let lost = admit_only(person, &never).await?;

    // whose later operation comes to nothing, so that the account does not tell the lost ones that they are late
    let third = forest.person(people::UNDER_WAY.start + 1)?;
    let thirds_old = forest.start_with_fresh_password(third).await?;
    let thirds_never = fresh_password();
    let thirds_lost = [
        admit_only(third, &thirds_never).await?,
        // and another, which what is sent then waits for
        admit_only(third, &thirds_never).await?,
    ];
    let too_short = [TOO_SHORT.to_owned()];
    let thirds_waiting = send_many(&world, forest, third, &too_short).await?;

    let passwords: Vec<String> = (0..MANY).map(|_| fresh_password()).collect();
    let waiting = send_many(&world, forest, person, &passwords).await?;
    let others = fresh_password();
    let began = Instant::now();
    let answer = world.door.send(&Event::reset(other, &others)).await?;
    answer.expect_applied()?;
    let took = began.elapsed();
    ensure!(took < OTHERS_WITHIN, "somebody else waited for {took:?}");
    forest.prove(other, &others_old, &others).await?;
    let first = waiting.first().context("none waits")?;
    let answer = world.door.operation(first).await?;
    ensure!(answer.text("status") == "pending", "{}", answer.body);

    for id in &waiting {
        let ended = world.door.ended_operation(id).await?;
        ensure!(ended.text("status") == "applied", "{}", ended.body);
    }
    let newest = passwords.last().context("no password")?;
    forest.prove(person, &old, newest).await?;

    let in_vain = thirds_waiting.first().context("none waits")?;
    let ended = world.door.ended_operation(in_vain).await?;
    let reason = Reason::PasswordPolicy.code();
    ensure!(ended.text("reason") == reason, "{}", ended.body);

    for late in iter::once(&lost).chain(&thirds_lost) {
        publish(late).await?;
        let operation = late.operation.as_ref().context("no operation")?;
        let ended = world.door.ended_operation(&operation.id).await?;
        ensure!(
            ended.text("status") == "refused" && ended.text("reason") == Reason::Superseded.code(),
            "{}",
            ended.body
        );
    }
    forest.prove(person, &never, newest).await?;
    forest.prove(third, &thirds_never, &thirds_old).await
}
