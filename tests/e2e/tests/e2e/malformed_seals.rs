//! What is no sealed password at all: told without anybody's key.

use anyhow::Context;
use e2e::World;
use serde_json::json;

use crate::bad_seals::Scene;

#[tokio::test]
async fn what_is_no_sealed_password_of_ours_is_malformed() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let scene = Scene::enter(&world)?;
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

    scene.leave().await
}

#[tokio::test]
async fn a_compact_form_has_five_parts() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let scene = Scene::enter(&world)?;
    let parts = scene.sealed(&scene.reset()?)?.parts()?;
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

    scene.leave().await
}

#[tokio::test]
async fn the_json_form_is_whole() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let scene = Scene::enter(&world)?;
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

    scene.leave().await
}
