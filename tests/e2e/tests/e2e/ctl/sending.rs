//! `seal`, `send` and what the ledger then shows of the operation.

use anyhow::ensure;
use e2e::{World, fresh_password};
use serde_json::Value;

use super::{Desk, id_of, people, text};

fn texts<'value>(steps: &'value Value, member: &str) -> Vec<&'value str> {
    let steps = steps.as_array().map(Vec::as_slice).unwrap_or_default();
    steps
        .iter()
        .filter_map(|step| step.get(member).and_then(Value::as_str))
        .collect()
}

/// The ids that a list with these filters shows.
async fn listed(desk: &Desk, filters: &[&str]) -> anyhow::Result<Vec<String>> {
    let (code, list) = desk
        .ctl
        .json(&[&["operations", "list"], filters].concat())
        .await?;
    ensure!(code == 0, "{filters:?}: {code}");
    let ids = texts(&list["operations"], "id")
        .into_iter()
        .map(str::to_owned);
    Ok(ids.collect())
}

#[tokio::test]
async fn a_sealed_event_is_sent_carried_out_and_found_by_every_filter() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let desk = Desk::open()?;
    for forest in &world.forests {
        let person = forest.person(people::SENT)?;
        let old = forest.start_with_fresh_password(person).await?;
        let new = fresh_password();
        let event = desk.seal(person, &new).await?;
        let (code, answer) = desk.send(&event, &[]).await?;
        ensure!(
            code == 0 && answer["status"] == "applied",
            "{code} {answer}"
        );
        forest.prove(person, &old, &new).await?;

        let id = id_of(&answer)?;
        let (code, shown) = desk.ctl.json(&["operations", "show", &id]).await?;
        ensure!(code == 0 && shown["status"] == "applied", "{code} {shown}");
        assert_eq!(shown["forest"], forest.id());
        assert_eq!(shown["user"]["userPrincipalName"], person);
        let services = texts(&shown["steps"], "service").join(" ");
        for kind in ["intake-", "resolver-", &format!("writer-{}-", forest.id())] {
            ensure!(services.contains(kind), "no step of {kind}: {shown}");
        }
        let times = texts(&shown["steps"], "at");
        assert_eq!(times.len(), texts(&shown["steps"], "step").len());

        let at = shown["acceptedAt"].as_str().unwrap_or_default();
        let day_ago = (time::OffsetDateTime::now_utc() - time::Duration::DAY)
            .format(&time::format_description::well_known::Rfc3339)?;
        let anywhere_else = world.forests.iter().find(|other| other.id() != forest.id());
        let elsewhere = anywhere_else.map_or("nowhere", |other| other.id());
        for filters in [
            vec!["--person", person],
            vec!["--forest", forest.id(), "--person", person],
            vec!["--status", "applied", "--person", person],
            vec!["--state", "applied", "--person", person],
            vec!["--since", "10m", "--person", person],
            vec!["--since", at, "--person", person],
            vec!["--since", at, "--limit", "1000"],
        ] {
            ensure!(listed(&desk, &filters).await?.contains(&id), "{filters:?}");
        }
        for filters in [
            vec!["--person", forest.person(people::TAILED)?],
            vec!["--forest", elsewhere, "--person", person],
            vec!["--status", "refused", "--person", person],
            vec!["--until", at, "--person", person],
            vec!["--until", &day_ago],
        ] {
            ensure!(!listed(&desk, &filters).await?.contains(&id), "{filters:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_ends_with_exit_code_1_and_says_why() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let desk = Desk::open()?;
    let person = world.forest()?.named("nobody.sent");
    let event = desk.seal(&person, &fresh_password()).await?;
    let (code, answer) = desk.send(&event, &[]).await?;
    ensure!(
        code == 1 && answer["reason"] == "user-not-found",
        "{code} {answer}"
    );
    let id = id_of(&answer)?;

    let shown = desk
        .ctl
        .run(&["operations", "show", &id])
        .await?
        .expect(1)?;
    for part in [&id, &person, "refused", "user-not-found", "33002", "STEP"] {
        ensure!(shown.out.contains(part), "no {part} in\n{}", shown.out);
    }
    // the same event again is the same operation, also from a file and for people to read
    let file = desk.folder.path("event.json");
    std::fs::write(&file, &event)?;
    let (file, token_file) = (text(&file)?, desk.token_file()?);
    let arguments = [
        "send",
        "--intake",
        &desk.intake,
        "--token-file",
        &token_file,
        &file,
    ];
    let again = desk.ctl.run(&arguments).await?.expect(1)?;
    for part in [&id, "user-not-found", "writebackctl reason user-not-found"] {
        ensure!(again.out.contains(part), "no {part} in\n{}", again.out);
    }
    // `… | head -1`: whoever reads, the answer is no
    ensure!(desk.ctl.run_unread(&arguments).await? == 1);
    let show = ["operations", "show", &id];
    ensure!(desk.ctl.run_unread(&show).await? == 1);
    Ok(())
}

#[tokio::test]
async fn what_is_not_waited_for_is_pending_with_exit_code_2() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let desk = Desk::open()?;
    let person = world.forest()?.named("nobody.waited.for");
    let event = desk.seal(&person, &fresh_password()).await?;
    let (code, answer) = desk.send(&event, &["--no-wait"]).await?;
    ensure!(
        code == 2 && answer["status"] == "pending",
        "{code} {answer}"
    );
    let ended = world.door.ended_operation(&id_of(&answer)?).await?;
    assert_eq!(ended.text("reason"), "user-not-found");
    Ok(())
}

#[tokio::test]
async fn a_new_key_is_private_and_the_set_it_is_in_can_be_sealed_to() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::open()?;
    let (private, public) = (desk.folder.path("private"), desk.folder.path("jwks.json"));
    let arguments = [
        "keys",
        "generate",
        "--forest",
        "corp",
        "--private-keys-directory",
        &text(&private)?,
        "--public-keys-file",
        &text(&public)?,
    ];
    let (code, key) = desk.ctl.json(&arguments).await?;
    ensure!(code == 0 && key["forest"] == "corp", "{code} {key}");
    let file = key["privateKeyFile"].as_str().unwrap_or_default();
    assert_eq!(std::fs::metadata(file)?.permissions().mode() & 0o777, 0o600);
    let secret = std::fs::read_to_string(file)?;
    let set = std::fs::read_to_string(&public)?;
    ensure!(secret.contains("PRIVATE KEY") && !set.contains("PRIVATE"));
    let table = desk.ctl.run(&arguments).await?.expect(0)?;
    ensure!(!table.out.contains("PRIVATE KEY"), "{}", table.out);

    let sealed = desk
        .ctl
        .run_with_input(
            &[
                "seal",
                "--kind",
                "reset",
                "--user-principal-name",
                "ana@corp.example.com",
                "--forest",
                "corp",
                "--password-stdin",
                "--keys",
                &text(&public)?,
            ],
            &fresh_password(),
        )
        .await?
        .expect(0)?
        .json()?;
    ensure!(sealed["data"]["sealedPassword"].is_string(), "{sealed}");
    Ok(())
}
