//! What nobody should send: each is told what is wrong with it, and harms nothing.

use anyhow::{Context, ensure};
use e2e::{Event, Services, World, fresh_password};
use serde_json::{Value, json};

use crate::people;

/// What is wrong anywhere that a text is expected.
fn no_text() -> Vec<Value> {
    vec![
        json!(7),
        json!(true),
        json!([]),
        json!({}),
        json!(["a"]),
        json!(1e300),
    ]
}

/// A text with what no identifier holds in the middle of it.
fn broken_by(text: &str) -> Vec<Value> {
    let (head, tail) = text.split_at(text.len() / 2);
    [
        "\0",
        "\n",
        "\r",
        "\u{85}",
        "\u{2028}",
        "\u{2029}",
        "\u{1b}[2J",
        "\u{7f}",
    ]
    .map(|character| json!(format!("{head}{character}{tail}")))
    .to_vec()
}

/// Where in an event, and what must not stand there.
type Table = Vec<(&'static str, Vec<Value>)>;

fn attributes() -> Table {
    vec![
        (
            "/specversion",
            vec![json!(null), json!(""), json!("0.3"), json!("1"), json!(1.0)],
        ),
        (
            "/id",
            [
                no_text(),
                broken_by("a-b"),
                vec![json!(null), json!(""), json!("x".repeat(513))],
            ]
            .concat(),
        ),
        (
            "/source",
            [
                no_text(),
                broken_by("/cloud"),
                vec![
                    json!(null),
                    json!(""),
                    json!("two words"),
                    json!("x".repeat(1025)),
                ],
            ]
            .concat(),
        ),
        (
            "/type",
            [
                no_text(),
                vec![
                    json!(null),
                    json!(""),
                    json!("reset"),
                    json!("dev.writeback.password.reset "),
                    json!("DEV.WRITEBACK.PASSWORD.RESET"),
                    json!("dev.writeback.account.delete"),
                    json!("dev.writeback.password.reset\u{0}"),
                ],
            ]
            .concat(),
        ),
        (
            "/time",
            [
                no_text(),
                vec![json!("yesterday"), json!("2026-11-21 12:00")],
            ]
            .concat(),
        ),
        ("/subject", [no_text(), vec![json!("")]].concat()),
        (
            "/datacontenttype",
            [no_text(), vec![json!("application/xml"), json!("")]].concat(),
        ),
        (
            "/data",
            vec![json!(null), json!("text"), json!([]), json!(7)],
        ),
        ("/data_base64", vec![json!("e30="), json!(7)]),
        (
            "/data/user",
            vec![
                json!(null),
                json!("ana"),
                json!([]),
                json!({}),
                json!({ "domain": "corp.example.com" }),
                json!({ "sourceAnchor": null, "mail": "ana@corp.example.com" }),
            ],
        ),
    ]
}

fn identifiers() -> Table {
    let anchor = "AAAAAAAAAAAAAAAAAAAAAA==";
    let sid = "S-1-5-21-1-2-3-1104";
    let upn = "nobody@corp.example.com";
    vec![
        (
            "/data/user/sourceAnchor",
            [
                no_text(),
                broken_by(anchor),
                vec![
                    json!(""),
                    json!("AAAA"),
                    json!("not base64!"),
                    json!("AAAAAAAAAAAAAAAAAAAAAA"), // 16 bytes without padding
                    json!("AAAAAAAAAAAAAAAAAAAAAB=="), // bits beyond the 16 bytes
                    json!("AAAAAAAAAAAAAAAAAAAA"),   // 15 bytes
                    json!("AAAAAAAAAAAAAAAAAAAAAAA="), // 17 bytes
                    json!("_-AAAAAAAAAAAAAAAAAAAA=="), // the other alphabet
                    json!("00000000-0000-0000-0000-000000000000"),
                    json!("A".repeat(100_000)),
                ],
            ]
            .concat(),
        ),
        (
            "/data/user/securityIdentifier",
            [
                no_text(),
                broken_by(sid),
                vec![
                    json!(""),
                    json!("S-1"),
                    json!("S-1-5"),
                    json!("S-1-5-"),
                    json!("S-1-5-21-x"),
                    json!("S-1-5-21--1"),
                    json!("S-1-5-21-+1"),
                    json!("S-1-5-021-1"),
                    json!("S-1-5-21-4294967296"),
                    json!("S-1-281474976710656-1"),
                    json!("S-2-5-21-1"),
                    json!("s-1-5-21-1"),
                    json!(format!("S-1-5{}", "-1".repeat(16))),
                    json!(format!("S-1-5{}", "-1".repeat(50_000))),
                ],
            ]
            .concat(),
        ),
        (
            "/data/user/userPrincipalName",
            [
                no_text(),
                broken_by(upn),
                vec![
                    json!(""),
                    json!("ana"),
                    json!("@corp.example.com"),
                    json!("ana@"),
                    json!(format!("{}@corp.example.com", "x".repeat(1024))),
                    json!(format!("{}@corp.example.com", "x".repeat(100_000))),
                ],
            ]
            .concat(),
        ),
        (
            "/data/user/domain",
            [
                no_text(),
                broken_by("corp.example.com"),
                vec![
                    json!(""),
                    json!("."),
                    json!("corp..com"),
                    json!("corp.example.com."),
                    json!("corp example"),
                    json!("*"),
                    json!("corp.example.com/x"),
                    json!("DC=corp,DC=example,DC=com"),
                    json!("cörp.example.com"),
                    json!("x".repeat(64)),
                    json!("x.".repeat(150) + "x"),
                ],
            ]
            .concat(),
        ),
    ]
}

fn request() -> Table {
    vec![
        (
            "/data/initiator",
            vec![json!(null), json!("user"), json!([]), json!(7)],
        ),
        (
            "/data/initiator/kind",
            [
                no_text(),
                vec![json!(null), json!(""), json!("User"), json!("robot")],
            ]
            .concat(),
        ),
        (
            "/data/initiator/id",
            [no_text(), broken_by("opaque"), vec![json!("x".repeat(257))]].concat(),
        ),
        (
            "/data/unlock",
            vec![json!("yes"), json!("true"), json!(1), json!([]), json!({})],
        ),
        (
            "/data/mustChangeAtNextSignIn",
            vec![json!("no"), json!(0), json!(true), json!([])],
        ),
        (
            "/data/sealedPassword",
            vec![
                json!(null),
                json!(7),
                json!(true),
                json!([]),
                json!({}),
                json!(""),
                json!("x"),
            ],
        ),
    ]
}

/// What would mean something else if it were ignored.
fn misspelt() -> Table {
    let soon = json!("2026-11-21T12:00:00Z");
    vec![
        ("/expiryTime", vec![soon.clone()]),
        ("/expirytimes", vec![soon]),
        ("/Tenant", vec![json!("a")]),
        ("/data/Unlock", vec![json!(false)]),
        ("/data/unlok", vec![json!(false)]),
        ("/data/mustChangeAtNextSignin", vec![json!(true)]),
        ("/data/user/Domain", vec![json!("corp.example.com")]),
        ("/data/initiator/Kind", vec![json!("administrator")]),
    ]
}

/// Sets a member that may not be there yet.
fn set(event: &mut Value, pointer: &str, value: Value) -> anyhow::Result<()> {
    let (parent, name) = pointer.rsplit_once('/').context("not a pointer")?;
    let parent = event.pointer_mut(parent).context("no such parent")?;
    parent[name] = value;
    Ok(())
}

#[tokio::test]
async fn every_wrong_value_is_named_and_harms_nothing() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let stopped_by_others = world.forests.last().map_or("", |forest| forest.id());
    let services = Services::now(&[stopped_by_others])?;
    let person = forest.person(people::UNTOUCHED)?;
    let new = fresh_password();

    for (pointer, values) in [attributes(), identifiers(), request(), misspelt()].concat() {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        for value in values {
            let mut event = world.door.prepare(&Event::reset(person, &new))?;
            set(&mut event, pointer, value.clone())?;
            let shown: String = value.to_string().chars().take(80).collect();
            let answer = world.door.send_json(&event).await?;
            answer
                .expect_malformed(&field)
                .map_err(|error| error.context(format!("{pointer}: {shown}")))?;
            ensure!(
                answer.body.to_string().len() < 1000,
                "{field}: it is repeated"
            );
        }
    }
    // a password where none belongs
    let mut unlock = world.door.prepare(&Event::unlock(person))?;
    unlock["data"]["sealedPassword"] =
        world.door.prepare(&Event::reset(person, &new))?["data"]["sealedPassword"].clone();
    world
        .door
        .send_json(&unlock)
        .await?
        .expect_malformed("data.sealedPassword")?;

    assert!(
        !forest.opens(person, &new).await?,
        "{person} was written to"
    );
    services.expect_unharmed().await
}
