//! Lists page by page, reasons, settings and the ledger's proof.

use std::collections::BTreeSet;

use anyhow::ensure;
use e2e::{Ctl, Event, World};
use operation::Reason;
use serde_json::Value;

#[tokio::test]
async fn a_list_goes_on_where_it_ended() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let ctl = Ctl::of_the_lab()?;
    let person = world.forest()?.named("nobody.listed");
    let mut sent = BTreeSet::new();
    for _ in 0..5 {
        let answer = world.door.send(&Event::unlock(&person)).await?;
        sent.insert(answer.operation_id()?.to_owned());
    }
    let mut seen = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let mut arguments = vec!["operations", "list", "--person", &person, "--limit", "2"];
        if let Some(token) = &token {
            arguments.extend(["--page-token", token]);
        }
        let (code, page) = ctl.json(&arguments).await?;
        assert_eq!(code, 0, "{page}");
        let operations = page["operations"].as_array().cloned().unwrap_or_default();
        ensure!(operations.len() <= 2, "{page}");
        seen.extend(
            operations
                .iter()
                .filter_map(|one| Some(one["id"].as_str()?.to_owned())),
        );
        token = page["nextPageToken"].as_str().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    // an earlier run of the tests may have asked for the same person
    ensure!(seen.len() >= 5, "{seen:?}");
    let unique: BTreeSet<_> = seen.iter().cloned().collect();
    assert_eq!(unique.len(), seen.len(), "one twice: {seen:?}");
    ensure!(sent.is_subset(&unique), "{sent:?} {seen:?}");

    let table = ctl
        .run(&["operations", "list", "--person", &person, "--limit", "2"])
        .await?
        .expect(0)?;
    for part in [
        "ACCEPTED",
        "STATUS",
        &person,
        "refused (user-not-found)",
        "more: --page-token",
    ] {
        ensure!(table.out.contains(part), "no {part} in\n{}", table.out);
    }
    let none = ctl
        .run(&["operations", "list", "--forest", "nowhere"])
        .await?
        .expect(0)?;
    ensure!(
        none.out.is_empty() && none.err.contains("no operation matches"),
        "{none:?}"
    );
    Ok(())
}

#[tokio::test]
async fn every_reason_has_its_page_and_an_unknown_one_names_them() -> anyhow::Result<()> {
    let ctl = Ctl::bare()?;
    let all = ctl.run(&["reason"]).await?.expect(0)?;
    for reason in Reason::ALL {
        let code = reason.code();
        ensure!(all.out.contains(code), "{code} is not listed");
        let page = ctl.run(&["reason", code]).await?.expect(0)?;
        ensure!(page.out.lines().count() > 5, "{code}: {}", page.out);
        let (_, json) = ctl.json(&["reason", code]).await?;
        assert_eq!(json["reason"], code);
        assert_eq!(json["eventId"], reason.event_id());
        ensure!(
            json["page"].as_str().is_some_and(
                |text| text == page.out.trim_end_matches('\n') || page.out.starts_with(text)
            ),
            "{code}"
        );
    }
    let codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    let unknown = ctl.run(&["reason", "password-polcy"]).await?;
    unknown.expect_complaint(&[&["password-polcy"], codes.as_slice()].concat())?;
    let (_, by_event) = ctl.json(&["reason", "33004"]).await?;
    assert_eq!(by_event.as_array().map(Vec::len), Some(3));
    Ok(())
}

#[tokio::test]
async fn the_settings_are_shown_and_the_ledger_is_intact_while_it_grows() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let ctl = Ctl::of_the_lab()?;
    let (code, settings) = ctl.json(&["settings", "show"]).await?;
    assert_eq!(code, 0);
    assert_eq!(settings["writeback"], true);
    assert_eq!(settings["unlockWithoutReset"], true);
    let table = ctl.run(&["settings", "show"]).await?.expect(0)?;
    for part in ["SETTING", "writeback", "unlock-without-reset", "on"] {
        ensure!(table.out.contains(part), "no {part} in\n{}", table.out);
    }

    let person = world.forest()?.named("nobody.verified");
    let growing = async {
        for _ in 0..5 {
            world.door.send(&Event::unlock(&person)).await?;
        }
        anyhow::Ok(())
    };
    let (grown, verified) = tokio::join!(growing, ctl.json(&["ledger", "verify"]));
    grown?;
    let (code, verified) = verified?;
    ensure!(code == 0 && verified["intact"] == true, "{code} {verified}");
    assert_eq!(verified["findings"].as_array().map(Vec::len), Some(0));
    ensure!(
        verified["entries"]
            .as_i64()
            .is_some_and(|entries| entries > 0)
    );
    let told = ctl.run(&["ledger", "verify"]).await?.expect(0)?;
    ensure!(told.out.starts_with("intact: "), "{}", told.out);
    Ok(())
}

#[tokio::test]
async fn help_says_what_the_exit_codes_mean_and_gives_an_example() -> anyhow::Result<()> {
    let ctl = Ctl::bare()?;
    for command in [
        &[][..],
        &["seal"],
        &["send"],
        &["operations", "list"],
        &["operations", "show"],
        &["operations", "tail"],
        &["operations", "export"],
        &["settings", "show"],
        &["settings", "set"],
        &["enable"],
        &["disable"],
        &["keys", "list"],
        &["keys", "generate"],
        &["keys", "rotate"],
        &["keys", "retire"],
        &["ledger", "verify"],
        &["ledger", "checkpoint"],
        &["ledger", "export"],
        &["completions"],
        &["man"],
        &["reason"],
    ] {
        let help = ctl.run(&[command, &["--help"]].concat()).await?.expect(0)?;
        for part in ["Exit codes: 0 ", "3 ", "Example", "writebackctl"] {
            ensure!(
                help.out.contains(part),
                "{command:?}: no {part:?} in\n{}",
                help.out
            );
        }
    }
    let version: Value = ctl.run(&["--version"]).await?.expect(0)?.out.into();
    ensure!(
        version
            .as_str()
            .is_some_and(|text| text.starts_with("writebackctl "))
    );
    Ok(())
}
