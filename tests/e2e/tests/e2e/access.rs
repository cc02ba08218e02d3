//! Who is let in, and to what.

use e2e::{Event, Issuer, World, fresh_password};
use operation::Reason;
use reqwest::Method;
use serde_json::json;
use time::Duration;

use crate::people;

#[tokio::test]
async fn only_a_token_of_the_issuer_for_this_audience_and_time_opens() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let issuer = Issuer::of_the_lab(world.door.token())?;
    // without an event: whoever is let in is told what is wrong with the event
    let with = |token: String| {
        let request = world
            .door
            .request(Method::POST, "/v1/events")
            .bearer_auth(token)
            .body("{}");
        world.door.answer(request)
    };
    assert_eq!(with(issuer.token(&json!({}))?).await?.status, 415);
    for (why, token) in [
        ("expired", issuer.expired(Duration::HOUR)?),
        (
            "from another issuer",
            issuer.token(&json!({ "iss": "https://else.example" }))?,
        ),
        (
            "for another audience",
            issuer.token(&json!({ "aud": "https://else.example" }))?,
        ),
        (
            "not valid yet",
            issuer.token(&json!({ "nbf": 4_102_444_800_u32 }))?,
        ),
        ("without an expiry", issuer.token(&json!({ "exp": null }))?),
        ("an ID token", issuer.token_of_type("JWT", &json!({}))?),
        ("signed by nobody", issuer.unsigned()),
        (
            "signed with the public key",
            issuer.signed_with_the_public_key()?,
        ),
        ("signed by somebody else", issuer.forged()?),
        ("not a token", "a.b.c".to_owned()),
    ] {
        let answer = with(token).await?;
        assert_eq!(answer.status, 401, "{why}: {}", answer.body);
        answer.expect_problem()?;
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert!(
            challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""),
            "{why}: {challenge}"
        );
    }
    // RFC 6750 3.1: who sent no token at all is told no error code
    for request in [
        world.door.request(Method::POST, "/v1/events"),
        world
            .door
            .request(Method::POST, "/v1/events")
            .basic_auth("lab", Some("lab")),
        world
            .door
            .request(Method::POST, "/v1/events")
            .bearer_auth(""),
        world.door.request(Method::GET, "/v1/operations/x"),
    ] {
        let answer = world.door.answer(request).await?;
        assert_eq!(answer.status, 401, "{}", answer.body);
        answer.expect_problem()?;
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"writeback\"")
        );
    }
    Ok(())
}

#[tokio::test]
async fn every_kind_and_every_look_needs_its_own_scope() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let person = world.forest()?.named(people::UNKNOWN);
    let events = [
        ("password.reset", Event::reset(&person, &fresh_password())),
        (
            "password.change",
            Event::change(&person, "old", &fresh_password()),
        ),
        ("account.unlock", Event::unlock(&person)),
    ];
    let scopes = [
        "password.reset",
        "password.change",
        "account.unlock",
        "operations.read",
    ];
    for (needed, event) in events {
        for scope in scopes {
            let token = world.door.token_for(scope)?;
            let answer = world.door.send_with_token(&event, token).await?;
            if scope == needed {
                assert_eq!(answer.status, 404, "{scope}: {}", answer.body);
                continue;
            }
            assert_eq!(answer.status, 403, "{scope}: {}", answer.body);
            answer.expect_problem()?;
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            assert!(
                challenge.contains("error=\"insufficient_scope\"")
                    && challenge.contains(&format!("scope=\"{needed}\"")),
                "{challenge}"
            );
        }
    }
    let unknown = format!("/v1/operations/{}", uuid::Uuid::now_v7());
    for scope in scopes {
        let request = world
            .door
            .request(Method::GET, &unknown)
            .bearer_auth(world.door.token_for(scope)?);
        let answer = world.door.answer(request).await?;
        let expected = if scope == "operations.read" { 404 } else { 403 };
        assert_eq!(answer.status, expected, "{scope}: {}", answer.body);
        answer.expect_problem()?;
    }
    Ok(())
}

#[tokio::test]
async fn one_person_is_not_reset_without_end() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let person = forest.person(people::THROTTLED)?;
    forest.start_with_fresh_password(person).await?;
    let issuer = Issuer::of_the_lab(world.door.token())?;
    // not on the list of those that are not throttled
    let token = issuer.token(&json!({ "sub": "portal", "client_id": "portal" }))?;
    // five an hour unless configured otherwise; a lab that is used again has had some
    let mut throttled = None;
    let mut last = String::new();
    for _ in 0..6 {
        let new = fresh_password();
        let answer = world
            .door
            .send_with_token(&Event::reset(person, &new), &token)
            .await?;
        if answer.status == 429 {
            throttled = Some((answer, new));
            break;
        }
        answer.expect_applied()?;
        last = new;
    }
    let (answer, refused) = throttled.expect("six resets within an hour");
    answer.expect_problem()?;
    let wait: u32 = answer.header("retry-after").unwrap_or_default().parse()?;
    assert!((1..=3600).contains(&wait), "{wait}");
    if !last.is_empty() {
        forest.prove(person, &refused, &last).await?;
    }
    // nobody else waits for them, and they themselves may still change it
    let current = forest.start_with_fresh_password(person).await?;
    let new = fresh_password();
    let change = Event::change(person, &current, &new);
    world
        .door
        .send_with_token(&change, &token)
        .await?
        .expect_applied()?;
    forest.prove(person, &current, &new).await
}

#[tokio::test]
async fn an_event_sent_again_under_another_type_tells_nothing_without_the_first_one_s_scope()
-> anyhow::Result<()> {
    let world = World::enter().await?;
    let nobody = world.forest()?.named(people::UNKNOWN);
    let id = uuid::Uuid::new_v4().to_string();
    let first = Event::reset(&nobody, &fresh_password()).with_id(&id);
    world
        .door
        .send(&first)
        .await?
        .expect_refused(404, Reason::UserNotFound)?;
    let again = Event::unlock(&nobody).with_id(&id);
    let token = world.door.token_for("account.unlock")?;
    let answer = world.door.send_with_token(&again, token).await?;
    assert_eq!(answer.status, 403, "{}", answer.body);
    Ok(())
}
