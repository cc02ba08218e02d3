//! The addresses of the door, and the modes in which an event may come.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{Answer, Event, World, fresh_password};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::people;

/// The event in binary mode: attributes as headers, data as the body.
fn binary(world: &World, event: &Value, content_type: &str) -> RequestBuilder {
    let attribute = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    world
        .door
        .post()
        .header("content-type", content_type)
        .header("ce-specversion", "1.0")
        .header("ce-id", attribute("id"))
        .header("ce-source", attribute("source"))
        .header("ce-type", attribute("type"))
        .body(event["data"].to_string())
}

#[tokio::test]
async fn an_event_comes_in_every_mode() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let structured = |content_type: &str, event: &Value| {
        world
            .door
            .post()
            .header("content-type", content_type)
            .body(event.to_string())
    };
    for forest in &world.forests {
        let person = forest.person(people::MODES)?;
        let mut old = forest.start_with_fresh_password(person).await?;
        for mode in [
            "binary",
            "binary with a charset",
            "binary with another JSON type",
            "structured with a charset",
            "structured with encoded data",
            "structured with extensions",
        ] {
            let new = fresh_password();
            let mut event = world.door.prepare(&Event::reset(person, &new))?;
            let request = match mode {
                "binary" => binary(&world, &event, "application/json"),
                "binary with a charset" => {
                    binary(&world, &event, "application/json; charset=UTF-8")
                }
                "binary with another JSON type" => {
                    binary(&world, &event, "application/vnd.portal+json")
                }
                "structured with a charset" => {
                    structured("application/cloudevents+json; charset=utf-8", &event)
                }
                "structured with encoded data" => {
                    let data = STANDARD.encode(event["data"].to_string());
                    event["data_base64"] = json!(data);
                    if let Some(members) = event.as_object_mut() {
                        members.remove("data");
                    }
                    structured("Application/CloudEvents+JSON", &event)
                }
                _ => {
                    event["traceparent"] =
                        json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
                    event["partition"] = json!(7);
                    event["subject"] = json!(person);
                    event["time"] = json!("2026-11-21T12:00:00.5+01:00");
                    event["data"]["somethingNew"] = json!({ "is": ["ignored"] });
                    structured("application/cloudevents+json", &event)
                }
            };
            let answer = world.door.answer(request).await?;
            answer
                .expect_applied()
                .map_err(|error| error.context(mode))?;
            forest.prove(person, &old, &new).await?;
            old = new;
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_event_in_json_is_not_supported() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let event = world
        .door
        .prepare(&Event::unlock(world.forest()?.person(people::UNTOUCHED)?))?;
    for content_type in [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/cloudevents+avro",
        "application/cloudevents+json; charset=utf-16",
        "application/json; charset=latin1",
        "json",
        "",
    ] {
        let answer = world
            .door
            .answer(binary(&world, &event, content_type))
            .await?;
        assert_eq!(answer.status, 415, "{content_type}: {}", answer.body);
        answer.expect_problem()?;
    }
    let coded = binary(&world, &event, "application/json").header("content-encoding", "gzip");
    assert_eq!(world.door.answer(coded).await?.status, 415);
    let bare = world.door.post().body(event.to_string());
    assert_eq!(world.door.answer(bare).await?.status, 415);
    Ok(())
}

#[tokio::test]
async fn a_header_of_an_event_is_named() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let event = world
        .door
        .prepare(&Event::unlock(world.forest()?.person(people::UNTOUCHED)?))?;
    let plain = world
        .door
        .post()
        .header("content-type", "application/json")
        .body(event["data"].to_string());
    world
        .door
        .answer(plain)
        .await?
        .expect_malformed("ce-specversion")?;
    for (name, value) in [
        ("ce-id", "%00"),
        ("ce-id", "%"),
        ("ce-id", "a"), // beside the one that is there
        ("ce-time", "yesterday"),
        ("ce-expirytime", "tomorrow"),
        ("ce-subject", "%ff"),
    ] {
        let request = binary(&world, &event, "application/json").header(name, value);
        world.door.answer(request).await?.expect_malformed(name)?;
    }
    Ok(())
}

/// Exactly these members.
fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names
}

async fn get(world: &World, path: &str) -> anyhow::Result<Answer> {
    let request = world
        .door
        .request(Method::GET, path)
        .bearer_auth(world.door.token());
    world.door.answer(request).await
}

#[tokio::test]
async fn an_operation_is_shown_as_it_ended() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let shape = [
        "acceptedAt",
        "completedAt",
        "forest",
        "id",
        "kind",
        "reason",
        "status",
        "steps",
    ];

    let event = Event::unlock(forest.person(people::MODES)?);
    let answer = world.door.send(&event).await?;
    answer.expect_applied()?;
    let shown = world.door.ended_operation(answer.operation_id()?).await?;
    assert_eq!(shown.status, 200);
    // the ledger and the answer tell the same story
    assert_eq!(shown.body["notes"], json!(["the account was not locked"]));
    for body in [&answer.body, &shown.body] {
        for name in shape {
            assert!(members(body).contains(&name), "{name} in {body}");
        }
        assert_eq!(body["kind"], "unlock");
        assert_eq!(body["status"], "applied");
        assert_eq!(body["forest"], forest.id());
        assert_eq!(body["reason"], Value::Null);
        assert_eq!(body["notes"], shown.body["notes"]);
        let steps = body["steps"].as_array().cloned().unwrap_or_default();
        assert!(steps.len() > 1, "{body}");
        for step in &steps {
            assert_eq!(members(step), ["at", "detail", "service", "step"]);
        }
        assert_eq!(body["steps"], shown.body["steps"]);
        assert_eq!(body["completedAt"], shown.body["completedAt"]);
        for moment in ["acceptedAt", "completedAt"] {
            let text = body[moment].as_str().unwrap_or_default();
            let rfc3339 = &time::format_description::well_known::Rfc3339;
            time::OffsetDateTime::parse(text, rfc3339)?;
            assert!(text.ends_with('Z'), "{text}");
        }
    }

    let names: Vec<_> = (0..4)
        .map(|step| shown.body["steps"][step]["step"].as_str())
        .collect();
    assert_eq!(
        names,
        ["accepted", "routed", "written", "ended"].map(Some),
        "{}",
        shown.body
    );

    let nobody = Event::unlock(&forest.named(people::UNKNOWN));
    let refused = world.door.send(&nobody).await?;
    let shown = world.door.ended_operation(refused.operation_id()?).await?;
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert_eq!(shown.body["status"], "refused");
    assert_eq!(shown.body["reason"], "user-not-found");
    assert_eq!(shown.body["eventId"], "33002");
    assert_eq!(shown.body["forest"], Value::Null);
    for name in ["detail", "actor", "violations", "eventId"] {
        assert_eq!(shown.body[name], refused.body[name], "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn an_operation_nobody_knows_is_not_found() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let unknown = get(&world, &format!("/v1/operations/{}", uuid::Uuid::now_v7())).await?;
    assert_eq!(unknown.status, 404, "{}", unknown.body);
    unknown.expect_problem()?;
    for malformed in [
        "7",
        "not-a-uuid",
        "%00",
        "%ff",
        "%27%20or%201=1",
        &"f".repeat(4000),
    ] {
        get(&world, &format!("/v1/operations/{malformed}"))
            .await?
            .expect_malformed("id")?;
    }
    Ok(())
}

#[tokio::test]
async fn the_sealing_keys_are_public() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let request = world.door.request(Method::GET, "/.well-known/jwks.json");
    let answer = world.door.answer(request).await?;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/jwk-set+json")
    );
    let keys = answer.body["keys"].as_array().cloned().unwrap_or_default();
    for forest in &world.forests {
        assert!(keys.iter().any(|key| key["forest"] == forest.id()));
    }
    for key in keys {
        assert_eq!(key["use"], "enc");
        assert!(
            ["RSA-OAEP-256", "ECDH-ES+A256KW"].contains(&key["alg"].as_str().unwrap_or_default())
        );
        assert!(key["kid"].as_str().is_some_and(|kid| !kid.is_empty()));
        // RFC 7518 6.3.2: what only a private key has
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth"] {
            assert!(key.get(private).is_none(), "{private}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_description_is_that_of_this_door() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let request = world.door.request(Method::GET, "/openapi.json");
    let document = world.door.answer(request).await?;
    assert_eq!(document.status, 200);
    assert_eq!(document.header("content-type"), Some("application/json"));
    let document = document.body;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(
        members(&document["paths"]),
        [
            "/.well-known/jwks.json",
            "/openapi.json",
            "/v1/events",
            "/v1/operations/{id}"
        ]
    );
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            // the methods it tells of are the methods there are
            let address = path.replace("{id}", &uuid::Uuid::nil().to_string());
            let method = Method::from_bytes(method.to_uppercase().as_bytes())?;
            let answer = world
                .door
                .answer(world.door.request(method.clone(), &address))
                .await?;
            assert_ne!(answer.status, 405, "{method} {path}");
            assert!(
                operation["responses"]
                    .get(answer.status.to_string())
                    .is_some(),
                "{method} {path} answers {}",
                answer.status
            );
            let responses = operation["responses"].as_object().into_iter().flatten();
            for (status, response) in responses {
                assert!(response["description"].is_string(), "{path} {status}");
            }
            ids.push(operation["operationId"].clone());
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 4, "{ids:?}");
    Ok(())
}

#[tokio::test]
async fn other_methods_and_addresses_are_told_apart() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for (method, path, allowed) in [
        (Method::GET, "/v1/events", "POST"),
        (Method::PUT, "/v1/events", "POST"),
        (Method::OPTIONS, "/v1/events", "POST"),
        (Method::DELETE, "/v1/operations/x", "GET, HEAD"),
        (Method::POST, "/.well-known/jwks.json", "GET, HEAD"),
        (Method::PATCH, "/openapi.json", "GET, HEAD"),
    ] {
        let request = world
            .door
            .request(method.clone(), path)
            .bearer_auth(world.door.token());
        let answer = world.door.answer(request).await?;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        assert_eq!(answer.headers.get_all("allow").iter().count(), 1);
        answer.expect_problem()?;
    }
    for path in [
        "/",
        "/v1",
        "/v1/event",
        "/v1/events/",
        "/v1/operations",
        "/v2/events",
        "/livez",
        "/readyz",
        "/metrics",
        "/%2e%2e/livez",
    ] {
        let answer = get(&world, path).await?;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        answer.expect_problem()?;
    }
    Ok(())
}

#[tokio::test]
async fn health_and_metrics_are_on_the_admin_port() -> anyhow::Result<()> {
    let lab = lab::Lab::load()?;
    let _ = World::enter().await?; // installs the cryptographic provider
    for service in lab
        .services
        .iter()
        .filter(|service| service.name.starts_with("intake-"))
    {
        for path in ["/livez", "/readyz", "/metrics"] {
            let answer = reqwest::get(format!("{}{path}", service.admin)).await?;
            assert_eq!(answer.status(), 200, "{} {path}", service.name);
        }
        let events = reqwest::get(format!("{}/v1/events", service.admin)).await?;
        assert_eq!(events.status(), 404);
    }
    Ok(())
}
