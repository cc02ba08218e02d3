//! Sealed passwords that are none, or that belong to something else.

use anyhow::{Context, ensure};
use e2e::{DomainController, Event, HandMade, Services, World, fresh_password};
use operation::Reason;
use serde_json::{Value, json};

use crate::people;

struct Scene<'a> {
    world: &'a World,
    forest: &'a DomainController,
    new: String,
}

impl Scene<'_> {
    fn reset(&self) -> anyhow::Result<Event> {
        Ok(Event::reset(
            self.forest.person(people::UNTOUCHED)?,
            &self.new,
        ))
    }

    /// Sealed by hand, with nothing wrong.
    fn sealed(&self, event: &Event) -> anyhow::Result<HandMade> {
        HandMade::new(self.world.door.key_set(), self.forest.id(), &event.claims())
    }

    fn event_with(&self, event: &Event, sealed: Value) -> anyhow::Result<Value> {
        let mut json = self.world.door.prepare(event)?;
        json["data"]["sealedPassword"] = sealed;
        Ok(json)
    }

    async fn expect_malformed(&self, what: &str, sealed: Value) -> anyhow::Result<()> {
        let event = self.event_with(&self.reset()?, sealed)?;
        let answer = self.world.door.send_json(&event).await?;
        answer
            .expect_malformed("data.sealedPassword")
            .map_err(|error| error.context(what.to_owned()))?;
        self.expect_silence(&answer.body)
    }

    async fn expect_invalid(&self, what: &str, event: &Event, sealed: Value) -> anyhow::Result<()> {
        let event = self.event_with(event, sealed)?;
        let answer = self.world.door.send_json(&event).await?;
        answer
            .expect_refused(422, Reason::SealInvalid)
            .map_err(|error| error.context(what.to_owned()))?;
        ensure!(
            answer.text("detail").contains("sealedPassword"),
            "{what}: {}",
            answer.body
        );
        let shown = self.world.door.operation(answer.operation_id()?).await?;
        ensure!(
            shown.text("status") == "refused" && shown.text("reason") == "seal-invalid",
            "{what}: {}",
            shown.body
        );
        self.expect_silence(&shown.body)
    }

    fn expect_silence(&self, body: &Value) -> anyhow::Result<()> {
        ensure!(
            !body.to_string().contains(&self.new),
            "the password is repeated"
        );
        Ok(())
    }
}

/// Turns one bit of Base64url text.
fn tampered(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    format!("{}{rest}", if first == "A" { "B" } else { "A" })
}

#[tokio::test]
async fn a_seal_made_by_hand_is_as_good_as_any() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forests.last().context("the lab has no forest")?;
    let person = forest.person(people::SEALED_BY_HAND)?;
    let mut old = forest.start_with_fresh_password(person).await?;
    for flattened in [false, true] {
        let new = fresh_password();
        let event = Event::reset(person, &new);
        let sealed = HandMade::new(world.door.key_set(), forest.id(), &event.claims())?;
        let mut json = world.door.prepare(&event)?;
        json["data"]["sealedPassword"] = if flattened {
            let [protected, key, iv, ciphertext, tag] = sealed.parts()?;
            json!({ "protected": protected, "encrypted_key": key, "iv": iv, "ciphertext": ciphertext, "tag": tag })
        } else {
            json!(sealed.compact()?)
        };
        world.door.send_json(&json).await?.expect_applied()?;
        forest.prove(person, &old, &new).await?;
        old = new;
    }
    Ok(())
}

#[tokio::test]
async fn what_does_not_bind_is_refused() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let services = Services::now(&[world.forests.last().map_or("", |forest| forest.id())])?;
    let scene = Scene {
        world: &world,
        forest,
        new: fresh_password(),
    };
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let another = forest.person(people::SOMEBODY_ELSE)?;
    let person = forest.person(people::UNTOUCHED)?;
    let password = |text: String| json!(text);

    for (claim, values) in [
        (
            "iss",
            vec![json!("https://else.example"), json!(""), json!(null)],
        ),
        ("jti", vec![json!("another"), json!(null)]),
        (
            "sub",
            vec![
                json!(another),
                json!(person.to_uppercase()),
                json!(""),
                json!(null),
                json!([person]),
            ],
        ),
        (
            "purpose",
            vec![
                json!("change"),
                json!("unlock"),
                json!("RESET"),
                json!(""),
                json!(null),
            ],
        ),
        (
            "exp",
            vec![
                json!(now - 3600),
                json!(0),
                json!(-1),
                json!("never"),
                json!(null),
            ],
        ),
        (
            "iat",
            vec![json!(now + 3600), json!(1e300), json!("now"), json!(null)],
        ),
        (
            "newPassword",
            vec![
                json!(null),
                json!(7),
                password(String::new()),
                password("x".repeat(257)),
                password("😀".repeat(129)),
                password(format!("{}\0", scene.new)),
            ],
        ),
    ] {
        for value in values {
            let event = scene.reset()?;
            let mut claims = event.claims();
            if let Some(members) = claims.as_object_mut() {
                members.remove(claim);
                if !value.is_null() {
                    members.insert(claim.to_owned(), value.clone());
                }
            }
            let mut sealed = scene.sealed(&event)?;
            sealed.plaintext = claims.to_string().into_bytes();
            scene
                .expect_invalid(
                    &format!("{claim}: {value}"),
                    &event,
                    json!(sealed.compact()?),
                )
                .await?;
        }
    }

    let event = scene.reset()?;
    for plaintext in [&b""[..], b"{", b"[]", b"null", b"\xff\xfe", &[b'['; 60_000]] {
        let mut sealed = scene.sealed(&event)?;
        sealed.plaintext = plaintext.to_vec();
        let event = scene.reset()?;
        scene
            .expect_invalid("no claims", &event, json!(sealed.compact()?))
            .await?;
    }

    let change = |new: &str| Event::change(person, "not needed", new);
    for current in [json!(null), json!(""), json!("x".repeat(257)), json!(7)] {
        let event = change(&scene.new);
        let mut sealed = scene.sealed(&event)?;
        let mut claims = event.claims();
        claims["currentPassword"] = current.clone();
        sealed.plaintext = claims.to_string().into_bytes();
        scene
            .expect_invalid(
                &format!("currentPassword: {current}"),
                &event,
                json!(sealed.compact()?),
            )
            .await?;
    }

    assert!(
        !forest.opens(person, &scene.new).await?,
        "{person} was written to"
    );
    services.expect_unharmed().await
}

#[tokio::test]
async fn what_was_altered_or_sealed_to_another_key_is_refused() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let services = Services::now(&[world.forests.last().map_or("", |forest| forest.id())])?;
    let scene = Scene {
        world: &world,
        forest,
        new: fresh_password(),
    };
    for part in 1..5 {
        let event = scene.reset()?;
        let mut parts = scene.sealed(&event)?.parts()?;
        parts[part] = tampered(&parts[part]);
        scene
            .expect_invalid(
                &format!("part {part} altered"),
                &event,
                json!(parts.join(".")),
            )
            .await?;
    }
    // the header of another seal to the same key: authentic, but not this one's
    let event = scene.reset()?;
    let mut parts = scene.sealed(&event)?.parts()?;
    parts[0] = scene.sealed(&event)?.with("typ", json!("JOSE")).parts()?[0].clone();
    scene
        .expect_invalid("another header", &event, json!(parts.join(".")))
        .await?;
    // a content key of the wrong length, or none
    for tail in [vec![0], vec![0; 100]] {
        let event = scene.reset()?;
        let mut sealed = scene.sealed(&event)?;
        sealed.key_tail = tail;
        scene
            .expect_invalid("a long key", &event, json!(sealed.compact()?))
            .await?;
    }
    let event = scene.reset()?;
    let mut parts = scene.sealed(&event)?.parts()?;
    parts[1] = String::new();
    scene
        .expect_invalid("no key", &event, json!(parts.join(".")))
        .await?;
    for kid in ["unknown", "", "../../etc/passwd", "*"] {
        let event = scene.reset()?;
        let sealed = scene.sealed(&event)?.with("kid", json!(kid));
        scene
            .expect_invalid("unknown kid", &event, json!(sealed.compact()?))
            .await?;
    }
    // one of several recipients has a kid that is not known
    let event = scene.reset()?;
    let mut sealed = world.door.prepare(&event)?["data"]["sealedPassword"].clone();
    *sealed
        .pointer_mut("/recipients/1/header/kid")
        .context("two forests, two recipients")? = json!("unknown");
    scene
        .expect_invalid("one unknown kid", &event, sealed)
        .await?;

    let person = forest.person(people::UNTOUCHED)?;
    assert!(
        !forest.opens(person, &scene.new).await?,
        "{person} was written to"
    );
    services.expect_unharmed().await
}

#[tokio::test]
async fn what_is_no_sealed_password_of_ours_is_malformed() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forest()?;
    let services = Services::now(&[world.forests.last().map_or("", |forest| forest.id())])?;
    let scene = Scene {
        world: &world,
        forest,
        new: fresh_password(),
    };
    let good = scene.sealed(&scene.reset()?)?;
    for (name, values) in [
        (
            "alg",
            vec![
                "none",
                "dir",
                "RSA1_5",
                "RSA-OAEP",
                "A256KW",
                "ECDH-ES",
                "PBES2-HS256+A128KW",
                "",
            ],
        ),
        (
            "enc",
            vec!["A128GCM", "A192GCM", "A256CBC-HS512", "none", ""],
        ),
        ("zip", vec!["DEF"]),
        ("crit", vec!["exp"]),
    ] {
        for value in values {
            let sealed = good.clone().with(name, json!(value)).compact()?;
            scene
                .expect_malformed(&format!("{name} {value}"), json!(sealed))
                .await?;
        }
    }
    for name in ["alg", "enc", "kid"] {
        let without = good.clone().without(name).compact()?;
        scene
            .expect_malformed(&format!("without {name}"), json!(without))
            .await?;
        let wrong = good.clone().with(name, json!(["A256GCM"])).compact()?;
        scene
            .expect_malformed(&format!("{name} is no text"), json!(wrong))
            .await?;
    }
    let without_epk = good.clone().with("alg", json!("ECDH-ES+A256KW"));
    scene
        .expect_malformed("no epk", json!(without_epk.compact()?))
        .await?;
    let off_the_curve = without_epk.with(
        "epk",
        json!({ "kty": "EC", "crv": "P-384", "x": "AA", "y": "AA" }),
    );
    scene
        .expect_malformed("a strange epk", json!(off_the_curve.compact()?))
        .await?;

    let parts = good.parts()?;
    let compact = parts.join(".");
    for (what, text) in [
        ("four parts", parts[..4].join(".")),
        ("a JWS", parts[..3].join(".")),
        ("six parts", format!("{compact}.AAAA")),
        ("dots", "....".to_owned()),
        ("spaces around", format!(" {compact} ")),
        ("padding", format!("{compact}==")),
        ("the other alphabet", format!("{compact}+/")),
        (
            "a header that is no object",
            format!("W10.{}", parts[1..].join(".")),
        ),
        (
            "a short vector",
            [&parts[0], &parts[1], "AAAA", &parts[3], &parts[4]].join("."),
        ),
        (
            "a short tag",
            [&parts[0], &parts[1], &parts[2], &parts[3], "AAAA"].join("."),
        ),
        ("a password", scene.new.clone()),
    ] {
        scene.expect_malformed(what, json!(text)).await?;
    }

    let general = world.door.prepare(&scene.reset()?)?["data"]["sealedPassword"].clone();
    let recipient = general["recipients"][0].clone();
    for (what, pointer, value) in [
        ("no recipients", "/recipients", json!([])),
        ("recipients that are none", "/recipients", json!({})),
        ("a recipient that is none", "/recipients", json!(["x"])),
        (
            "recipient twice",
            "/recipients",
            json!([recipient, recipient]),
        ),
        ("too many", "/recipients", json!(vec![recipient; 65])),
        (
            "no kid",
            "/recipients/0/header",
            json!({ "alg": "RSA-OAEP-256" }),
        ),
        (
            "the same header twice",
            "/recipients/0/header/enc",
            json!("A256GCM"),
        ),
        (
            "a key that is no text",
            "/recipients/0/encrypted_key",
            json!(7),
        ),
        ("zipped", "/unprotected", json!({ "zip": "DEF" })),
        ("no vector", "/iv", json!(null)),
        ("a tag that is no text", "/tag", json!([])),
        ("additional data that is none", "/aad", json!("%%")),
        ("a header that is none", "/protected", json!("%%")),
    ] {
        let mut sealed = general.clone();
        let (parent, name) = pointer.rsplit_once('/').context("not a pointer")?;
        sealed.pointer_mut(parent).context("no such parent")?[name] = value;
        scene.expect_malformed(what, sealed).await?;
    }
    let mut none = general;
    if let Some(members) = none.as_object_mut() {
        members.remove("recipients");
    }
    scene.expect_malformed("without recipients", none).await?;

    let person = forest.person(people::UNTOUCHED)?;
    assert!(
        !forest.opens(person, &scene.new).await?,
        "{person} was written to"
    );
    services.expect_unharmed().await
}
