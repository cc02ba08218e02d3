//! Sealed passwords that are none, or that belong to something else.

use anyhow::{Context, ensure};
use e2e::{DomainController, Event, HandMade, Services, World, fresh_password};
use operation::Reason;
use serde_json::{Value, json};

use crate::people;

/// Somebody whose password nobody may set, and what it would be set to.
pub(crate) struct Scene<'a> {
    world: &'a World,
    forest: &'a DomainController,
    services: Services,
    pub(crate) new: String,
}

impl<'a> Scene<'a> {
    pub(crate) fn enter(world: &'a World) -> anyhow::Result<Self> {
        let stopped_by_others = world.forests.last().map_or("", |forest| forest.id());
        Ok(Self {
            world,
            forest: world.forest()?,
            services: Services::now(&[stopped_by_others])?,
            new: fresh_password(),
        })
    }

    /// Nothing was written and nobody was hurt.
    pub(crate) async fn leave(self) -> anyhow::Result<()> {
        let person = self.forest.person(people::UNTOUCHED)?;
        ensure!(
            !self.forest.opens(person, &self.new).await?,
            "{person} was written to"
        );
        self.services.expect_unharmed().await
    }

    pub(crate) fn reset(&self) -> anyhow::Result<Event> {
        Ok(Event::reset(
            self.forest.person(people::UNTOUCHED)?,
            &self.new,
        ))
    }

    /// Sealed by hand, with nothing wrong.
    pub(crate) fn sealed(&self, event: &Event) -> anyhow::Result<HandMade> {
        HandMade::new(self.world.door.key_set(), self.forest.id(), &event.claims())
    }

    fn event_with(&self, event: &Event, sealed: Value) -> anyhow::Result<Value> {
        let mut json = self.world.door.prepare(event)?;
        *json
            .pointer_mut("/data/sealedPassword")
            .context("it holds no seal")? = sealed;
        Ok(json)
    }

    pub(crate) async fn expect_malformed(&self, what: &str, sealed: Value) -> anyhow::Result<()> {
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
        let shown = self
            .world
            .door
            .ended_operation(answer.operation_id()?)
            .await?;
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
    let scene = Scene::enter(&world)?;
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

    scene.leave().await
}

#[tokio::test]
async fn what_holds_no_password_is_refused() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let scene = Scene::enter(&world)?;
    let person = world.forest()?.person(people::UNTOUCHED)?;
    let deep = vec![b'['; 60_000];
    for plaintext in [&b""[..], b"{", b"[]", b"null", b"\xff\xfe", &deep] {
        let event = scene.reset()?;
        let mut sealed = scene.sealed(&event)?;
        sealed.plaintext = plaintext.to_vec();
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

    scene.leave().await
}

#[tokio::test]
async fn what_was_altered_or_sealed_to_another_key_is_refused() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let scene = Scene::enter(&world)?;
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

    scene.leave().await
}
