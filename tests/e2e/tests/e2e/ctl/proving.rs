//! The ledger and operations as files: exported, checked far from the database, and red where they were touched.

use std::fs;

use anyhow::{Context as _, ensure};
use e2e::{Ctl, Event, World};
use serde_json::Value;

use super::{Folder, text};

#[tokio::test]
async fn an_export_is_verified_offline_and_a_touched_line_is_named() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let (ctl, bare) = (Ctl::of_the_lab()?, Ctl::bare()?);
    let person = world.forest()?.named("nobody.exported");
    world.door.send(&Event::unlock(&person)).await?;
    let folder = Folder::new()?;
    let checkpoint = ctl.run(&["ledger", "checkpoint"]).await?.expect(0)?;
    let signed = checkpoint.json()?;
    let at = signed["sequence"].as_u64().context("no sequence")?;
    ensure!(
        at > 0 && signed["signature"].as_str().map(str::len) == Some(128),
        "{signed}"
    );
    let export = ctl.run(&["ledger", "export"]).await?.expect(0)?.out;
    ensure!(export.lines().count() as u64 >= at);
    let key = lab::Place::of_this_repository()?.path("keys/audit-signing-public.pem");
    let files = |name: &str, content: &str| -> anyhow::Result<String> {
        fs::write(folder.path(name), content)?;
        text(&folder.path(name))
    };
    let (checkpoint, key) = (files("checkpoint.json", &checkpoint.out)?, text(&key)?);
    // nobody is asked: this one knows no address and has no token
    let verify = async |export: &str, checkpoint: &str| {
        let arguments = [
            "ledger",
            "verify",
            "--export",
            export,
            "--checkpoint",
            checkpoint,
            "--public-key",
            &key,
        ];
        bare.json(&arguments).await
    };
    let whole = files("whole.jsonl", &export)?;
    let (code, verified) = verify(&whole, &checkpoint).await?;
    ensure!(code == 0 && verified["intact"] == true, "{code} {verified}");
    assert_eq!(verified["vouchedUntil"], at);

    // one character of one entry, in the middle
    let lines: Vec<&str> = export.lines().collect();
    let which = lines.len() / 2;
    let touched: Vec<String> = { lines.iter().enumerate() }
        .map(|(number, line)| {
            if number == which {
                line.replacen("\\\":\\\"", "\\\":\\\"x", 1)
            } else {
                (*line).to_owned()
            }
        })
        .collect();
    ensure!(
        touched.get(which).map(String::as_str) != lines.get(which).copied(),
        "not touched"
    );
    let entry = which + 1;
    let (code, found) = verify(&files("touched.jsonl", &touched.join("\n"))?, &checkpoint).await?;
    ensure!(code == 1 && found["intact"] == false, "{code} {found}");
    let findings = found["findings"].to_string();
    ensure!(
        findings.contains(&format!("entry {entry} does not match its hash")),
        "{findings}"
    );
    // its end cut off, before the checkpoint
    let cut = lines.get(..lines.len() / 2).context("no lines")?.join("\n");
    let (code, found) = verify(&files("cut.jsonl", &cut)?, &checkpoint).await?;
    ensure!(
        code == 1 && found["findings"].to_string().contains("cut off"),
        "{code} {found}"
    );
    // a checkpoint that somebody wrote, with no signature of the key's holder
    let mut forged: Value = signed.clone();
    forged["sequence"] = (at - 1).into();
    let forged = files("forged.json", &forged.to_string())?;
    let (code, found) = verify(&whole, &forged).await?;
    ensure!(
        code == 1 && found["findings"].to_string().contains("not signed"),
        "{code} {found}"
    );

    // by the database, with the same file
    let asked = [
        "ledger",
        "verify",
        "--checkpoint",
        &checkpoint,
        "--public-key",
        &key,
    ];
    ctl.run(&asked).await?.expect(0)?;
    let missing = bare.run(&["ledger", "verify", "--export", &whole]).await?;
    missing.expect_complaint(&["--checkpoint", "--public-key"])?;
    let head = format!("{at}:{}", signed["hash"].as_str().context("no hash")?);
    let arguments = [
        "ledger",
        "verify",
        "--export",
        &whole,
        "--checkpoint",
        &head,
        "--public-key",
        &key,
    ];
    bare.run(&arguments).await?.expect_complaint(&["signature"])
}

#[tokio::test]
async fn what_is_found_is_found_whoever_reads_of_it() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let (ctl, bare) = (Ctl::of_the_lab()?, Ctl::bare()?);
    let person = world.forest()?.named("nobody.exported");
    world.door.send(&Event::unlock(&person)).await?;
    let folder = Folder::new()?;
    let (checkpoint, nothing) = (folder.path("checkpoint.json"), folder.path("nothing.jsonl"));
    let signed = ctl.run(&["ledger", "checkpoint"]).await?.expect(0)?.out;
    fs::write(&checkpoint, &signed)?;
    fs::write(&nothing, "")?;
    let key = lab::Place::of_this_repository()?.path("keys/audit-signing-public.pem");
    let (checkpoint, nothing, key) = (text(&checkpoint)?, text(&nothing)?, text(&key)?);
    let offline = [
        "ledger",
        "verify",
        "--export",
        &nothing,
        "--checkpoint",
        &checkpoint,
        "--public-key",
        &key,
    ];
    bare.run(&offline).await?.expect(1)?;
    ensure!(bare.run_unread(&offline).await? == 1);
    // a head that the ledger does not hold: this caller alone is told
    let at = serde_json::from_str::<Value>(&signed)?["sequence"].clone();
    let other = format!("{at}:{}", "0".repeat(64));
    let by_the_database = ["ledger", "verify", "--checkpoint", &other];
    ensure!(ctl.run_unread(&by_the_database).await? == 1);
    // but an export only prints, and ends where nobody reads it
    ensure!(ctl.run_unread(&["ledger", "export"]).await? == 0);
    Ok(())
}

#[tokio::test]
async fn operations_are_exported_as_lines_and_as_values() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let ctl = Ctl::of_the_lab()?;
    let person = world.forest()?.named("nobody.in.a.file");
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = world.door.send(&Event::unlock(&person)).await?;
        ids.push(answer.operation_id()?.to_owned());
    }
    let filter = [
        "operations",
        "export",
        "--person",
        &person,
        "--since",
        "10m",
    ];
    let lines = ctl.run(&filter).await?.expect(0)?.out;
    let exported: Vec<Value> = { lines.lines() }
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    for id in &ids {
        let own = exported.iter().find(|operation| operation["id"] == **id);
        let own = own.with_context(|| format!("{id} is not in\n{lines}"))?;
        assert_eq!(own["reason"], "user-not-found");
        assert_eq!(own["user"]["userPrincipalName"], *person);
    }
    let values = [&filter[..], &["--format", "csv", "--status", "refused"]].concat();
    let values = ctl.run(&values).await?.expect(0)?.out;
    let mut rows = values.split("\r\n");
    ensure!(
        rows.next()
            .is_some_and(|row| row.starts_with("id,status,kind,reason,")),
        "{values}"
    );
    for id in &ids {
        let row = format!("{id},refused,unlock,user-not-found,33002,");
        ensure!(values.contains(&row), "no {row} in\n{values}");
    }
    let none = [&filter[..], &["--status", "applied"]].concat();
    let none = ctl.run(&none).await?.expect(0)?;
    assert_eq!(none.out, "");
    // one as a timeline
    let shown = ctl
        .run(&["operations", "show", ids.first().context("none")?])
        .await?;
    let shown = shown.expect(1)?.out;
    ensure!(
        shown.contains("AFTER") && shown.contains("+0.000 s"),
        "{shown}"
    );
    Ok(())
}

#[tokio::test]
async fn shells_and_manuals_know_every_command() -> anyhow::Result<()> {
    let ctl = Ctl::bare()?;
    for shell in ["bash", "zsh", "fish"] {
        let script = ctl.run(&["completions", shell]).await?.expect(0)?.out;
        for part in ["writebackctl", "retire", "token-file"] {
            ensure!(script.contains(part), "{shell}: no {part}");
        }
    }
    ctl.run(&["completions", "cmd"])
        .await?
        .expect_complaint(&["bash, zsh, fish"])?;
    let folder = Folder::new()?;
    let pages = folder.path("man1");
    ctl.run(&["man", "--directory", &text(&pages)?])
        .await?
        .expect(0)?;
    for page in [
        "writebackctl.1",
        "writebackctl-keys-rotate.1",
        "writebackctl-settings-set.1",
    ] {
        let page = fs::read_to_string(pages.join(page)).with_context(|| page.to_owned())?;
        ensure!(
            page.starts_with(".ie") && page.contains(".SH NAME"),
            "{page}"
        );
    }
    let rotate = fs::read_to_string(pages.join("writebackctl-keys-rotate.1"))?;
    ensure!(rotate.contains("180d"), "no example in\n{rotate}");
    Ok(())
}

#[tokio::test]
async fn keys_are_listed_and_kept_by_rules_that_exit_codes_tell() -> anyhow::Result<()> {
    let (ctl, bare) = (Ctl::of_the_lab()?, Ctl::bare()?);
    let folder = Folder::new()?;
    let (private, set) = (
        text(&folder.path("corp"))?,
        text(&folder.path("jwks.json"))?,
    );
    let places = [
        "--forest",
        "corp",
        "--private-keys-directory",
        &private,
        "--public-keys-file",
        &set,
    ];
    let keys = |command: &'static str, more: &[&'static str]| {
        [&["keys", command][..], &places, more].concat()
    };
    let missing = bare.run(&keys("rotate", &[])).await?;
    missing.expect_complaint(&["no current key", "keys generate"])?;
    let made = bare.run(&keys("generate", &[])).await?.expect(0)?;
    ensure!(made.err.contains("the ledger is not told"), "{made:?}");
    let young = bare
        .run(&keys("rotate", &["--if-older-than", "180d"]))
        .await?
        .expect(0)?;
    ensure!(young.out.contains("nothing was changed"), "{young:?}");
    let (code, rotated) = bare
        .json(&keys(
            "rotate",
            &["--if-older-than", "0s", "--overlap", "0s"],
        ))
        .await?;
    ensure!(
        code == 0 && rotated["ledger"] == "not-asked",
        "{code} {rotated}"
    );
    let (_, listed) = bare.json(&keys("list", &[])).await?;
    let states: Vec<_> = { listed["keys"].as_array().into_iter().flatten() }
        .filter_map(|key| key["state"].as_str())
        .collect();
    assert_eq!(states, ["due", "current"]);
    // the key set that is served does not tell of times
    let unreachable = [&["--audit", "http://127.0.0.1:1"][..], &keys("retire", &[])].concat();
    let retired = bare.run(&unreachable).await?.expect(1)?;
    ensure!(
        retired
            .err
            .contains("done, but the ledger could not be told"),
        "{retired:?}"
    );
    ensure!(retired.out.contains("is gone"), "{retired:?}");
    bare.run(&keys("retire", &[])).await?.expect(0)?;
    let (code, listed) = bare.json(&keys("list", &[])).await?;
    ensure!(
        code == 0 && listed["keys"].as_array().map(Vec::len) == Some(1),
        "{listed}"
    );
    // the private half is lost: to be seen at once
    for file in fs::read_dir(&private)? {
        fs::remove_file(file?.path())?;
    }
    let lost = bare.run(&keys("list", &[])).await?.expect(1)?;
    ensure!(lost.out.contains("MISSING"), "{lost:?}");
    let wrong = bare.run(&keys("rotate", &["--overlap", "soon"])).await?;
    wrong.expect_complaint(&["--overlap", "7d"])?;
    bare.run(&["keys", "list"])
        .await?
        .expect_complaint(&["--public-keys-file", "--config"])?;

    // the lab's own, where the configuration says they are; what is served has no times
    let listed = ctl.run(&["keys", "list"]).await?.expect(0)?;
    for part in ["corp", "emea", "current", "there"] {
        ensure!(listed.out.contains(part), "no {part} in\n{}", listed.out);
    }
    let intake = lab::Lab::load()?.intake.url;
    let served = reqwest::get(format!("{intake}/.well-known/jwks.json")).await?;
    let served: Value = served.json().await?;
    for key in served["keys"].as_array().context("no keys")? {
        ensure!(key["iat"].is_null() && key["exp"].is_null(), "{key}");
    }
    Ok(())
}
