//! Wrong use and nobody there: exit code 3, and a message that names the argument and what to do.

use anyhow::ensure;
use e2e::Ctl;

use super::Desk;

#[tokio::test]
async fn wrong_arguments_are_named_with_what_they_may_be() -> anyhow::Result<()> {
    let ctl = Ctl::of_the_lab()?;
    for (arguments, parts) in [
        (vec![], vec!["Usage: writebackctl"]),
        (vec!["operation"], vec!["operation", "operations"]),
        (vec!["operations", "show", "42"], vec!["42", "<ID>"]),
        (
            vec!["operations", "list", "--status", "done"],
            vec!["done", "--status", "applied", "expired"],
        ),
        (
            vec!["operations", "list", "--since", "yesterday"],
            vec!["--since", "yesterday", "2h"],
        ),
        (
            vec!["operations", "list", "--since", "99999999999d"],
            vec!["--since", "99999999999d", "2026-01-31T12:00:00Z", "7d"],
        ),
        (
            vec!["operations", "list", "--forest", "Corp!"],
            vec!["--forest"],
        ),
        (
            vec!["operations", "list", "--limit", "0"],
            vec!["--limit", "1..=1000"],
        ),
        (
            vec!["operations", "list", "--person", "ana"],
            vec!["person", "user principal name"],
        ),
        (
            vec!["operations", "list", "--page-token", "x"],
            vec!["page_token"],
        ),
        (vec!["--json", "setup"], vec!["--json", "--answers"]),
        (vec!["settings", "set", "writeback"], vec!["<VALUE>"]),
        (
            vec!["settings", "set", "writeback", "maybe"],
            vec!["maybe", "on, off"],
        ),
        (
            vec!["settings", "set", "resets", "off"],
            vec!["resets", "writeback", "unlock-without-reset"],
        ),
        (
            vec!["settings", "set", "writeback", "off", "--note", ""],
            vec!["--note"],
        ),
    ] {
        ctl.run(&arguments).await?.expect_complaint(&parts)?;
    }
    Ok(())
}

#[tokio::test]
async fn wrong_arguments_of_sealing_and_sending_are_named_too() -> anyhow::Result<()> {
    let ctl = Ctl::of_the_lab()?;
    let person = ["--user-principal-name", "ana@corp.example.com"];
    let seal = |more: &[&'static str]| [&["seal"], more, &person[..]].concat();
    for (arguments, parts) in [
        (seal(&["--kind", "reset"]), vec!["--keys"]),
        (
            seal(&["--kind", "erase"]),
            vec!["erase", "reset, change, unlock"],
        ),
        (
            vec!["seal", "--kind", "unlock"],
            vec!["--user-principal-name", "--source-anchor"],
        ),
        (
            seal(&["--kind", "unlock", "--must-change"]),
            vec!["--must-change", "administrator"],
        ),
        (
            seal(&["--kind", "unlock", "--no-unlock"]),
            vec!["--no-unlock"],
        ),
        (
            seal(&["--kind", "unlock", "--id", ""]),
            vec!["--id", "leave --id out"],
        ),
        (
            seal(&["--kind", "unlock", "--source", "not a uri reference"]),
            vec!["--source", "URI reference", "leave --source out"],
        ),
        (
            seal(&[
                "--kind",
                "reset",
                "--keys",
                "/nowhere/jwks.json",
                "--password-stdin",
            ]),
            vec!["/nowhere/jwks.json"],
        ),
        (
            seal(&[
                "--kind",
                "reset",
                "--keys",
                "http://keys.example.com",
                "--password-stdin",
            ]),
            vec!["https"],
        ),
        (vec!["send", "--token-file", "x"], vec!["--intake"]),
        (
            vec!["send", "--intake", "http://127.0.0.1:1"],
            vec!["--token-file"],
        ),
        (
            vec![
                "send",
                "--intake",
                "http://127.0.0.1:1",
                "--token-file",
                "/nowhere/token",
            ],
            vec!["/nowhere/token"],
        ),
        (vec!["keys", "generate"], vec!["--forest"]),
        (vec!["ledger"], vec!["verify"]),
    ] {
        ctl.run(&arguments).await?.expect_complaint(&parts)?;
    }
    Ok(())
}

#[tokio::test]
async fn an_operation_that_is_not_in_the_ledger_is_said_to_be_unknown() -> anyhow::Result<()> {
    let ctl = Ctl::of_the_lab()?;
    let id = uuid::Uuid::now_v7().to_string();
    ctl.run(&["operations", "show", &id])
        .await?
        .expect_complaint(&[&id, "does not know"])
}

#[tokio::test]
async fn without_an_address_or_anybody_there_it_says_so() -> anyhow::Result<()> {
    let ctl = Ctl::bare()?;
    for command in [
        &["settings", "show"][..],
        &["ledger", "verify"],
        &["operations", "list"],
    ] {
        ctl.run(command)
            .await?
            .expect_complaint(&["--audit", "--config"])?;
        let nobody = [&["--audit", "http://127.0.0.1:1"], command].concat();
        ctl.run(&nobody)
            .await?
            .expect_complaint(&["http://127.0.0.1:1", "cannot be reached"])?;
        let no_file = [&["--config", "/nowhere/config.toml"], command].concat();
        ctl.run(&no_file)
            .await?
            .expect_complaint(&["/nowhere/config.toml"])?;
    }
    let grpc = lab::Lab::load()?.audit.grpc;
    // there, and of an authority that the system does not know
    let stranger = ctl.run(&["--audit", &grpc, "settings", "show"]).await?;
    let times = stranger.err.matches("UnknownIssuer").count();
    ensure!(times == 1, "said {times} times: {stranger:?}");
    stranger.expect_complaint(&["--audit-ca", "ca_file in [ledger]"])?;
    // the first that answers is asked
    let ctl = Ctl::of_the_lab()?;
    let both = [
        "--audit",
        "http://127.0.0.1:1",
        "--audit",
        &grpc,
        "settings",
        "show",
    ];
    ctl.run(&both).await?.expect(0)?;
    Ok(())
}

#[tokio::test]
async fn an_empty_or_broken_event_is_not_sent() -> anyhow::Result<()> {
    let desk = Desk::open()?;
    let token_file = desk.token_file()?;
    let arguments = [
        "send",
        "--intake",
        &desk.intake,
        "--token-file",
        &token_file,
    ];
    for event in ["", "{", "[]", "\"text\""] {
        let run = desk.ctl.run_with_input(&arguments, event).await?;
        run.expect_complaint(&["JSON"])?;
    }
    let seal = [
        "seal",
        "--kind",
        "reset",
        "--user-principal-name",
        "ana@corp.example.com",
        "--keys",
        &desk.intake,
        "--password-stdin",
    ];
    desk.ctl.run(&seal).await?.expect_complaint(&["password"])?;
    Ok(())
}
