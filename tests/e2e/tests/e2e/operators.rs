//! Who may ask the ledger what: operators by their tokens, services by their certificates.

use std::fs;

use anyhow::{Context as _, ensure};
use e2e::audit::{self, as_operator, as_service, operator_token};
use e2e::{Ctl, Issuer};
use proto::v1::{
    self, admission_client::AdmissionClient, ledger_client::LedgerClient,
    settings_client::SettingsClient,
};
use serde_json::json;
use tonic::Code;

fn grpc() -> anyhow::Result<String> {
    Ok(lab::Lab::load()?.audit.grpc)
}

fn code<T>(answer: Result<T, tonic::Status>) -> Code {
    answer.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test]
async fn a_service_asks_what_is_its_own_and_nothing_else() -> anyhow::Result<()> {
    let url = grpc()?;
    let unknown = || v1::GetOperationRequest {
        id: uuid::Uuid::now_v7().to_string(),
    };
    for (kind, admit, look, precedents) in [
        (
            Some("intake"),
            Code::InvalidArgument,
            Code::NotFound,
            Code::PermissionDenied,
        ),
        (
            Some("writer"),
            Code::PermissionDenied,
            Code::PermissionDenied,
            Code::InvalidArgument,
        ),
        (
            Some("resolver"),
            Code::PermissionDenied,
            Code::PermissionDenied,
            Code::PermissionDenied,
        ),
        // who shows nothing, and who shows a certificate that is for serving only
        (
            None,
            Code::Unauthenticated,
            Code::Unauthenticated,
            Code::Unauthenticated,
        ),
    ] {
        let channel = as_service(&url, kind).await?;
        let mut admission = AdmissionClient::new(channel.clone());
        let mut ledger = LedgerClient::new(channel.clone());
        let mut settings = SettingsClient::new(channel);
        let answers = [
            code(admission.admit(v1::AdmitRequest::default()).await),
            code(ledger.get_operation(unknown()).await),
            code(ledger.precedents(v1::PrecedentsRequest::default()).await),
        ];
        assert_eq!(answers, [admit, look, precedents], "{kind:?}");
        let set = v1::SetSettingsRequest {
            writeback: Some(true),
            ..v1::SetSettingsRequest::default()
        };
        let refused = [
            code(settings.set_settings(set).await),
            code(ledger.verify(v1::VerifyRequest::default()).await),
            code(ledger.export(v1::ExportRequest::default()).await),
            code(ledger.watch(v1::WatchRequest::default()).await),
            code(
                ledger
                    .list_operations(v1::ListOperationsRequest::default())
                    .await,
            ),
        ];
        let expected = match kind {
            Some(_) => Code::PermissionDenied,
            None => Code::Unauthenticated,
        };
        assert_eq!(refused, [expected; 5], "{kind:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_operator_does_what_the_scopes_allow_in_the_name_of_the_token() -> anyhow::Result<()> {
    let url = grpc()?;
    let read = operator_token("reader@lab.example", "ledger.read")?;
    let write = operator_token("ana@lab.example", "settings.write")?;
    let set = || v1::SetSettingsRequest {
        unlock_without_reset: Some(true),
        ..v1::SetSettingsRequest::default()
    };
    let mut reader = SettingsClient::new(as_operator(&url, &read).await?);
    let shown = reader.get_settings(v1::GetSettingsRequest {}).await?;
    ensure!(shown.into_inner().writeback);
    assert_eq!(
        code(reader.set_settings(set()).await),
        Code::PermissionDenied
    );
    let mut writer = SettingsClient::new(as_operator(&url, &write).await?);
    // it is so already: allowed, and nothing is recorded
    assert_eq!(code(writer.set_settings(set()).await), Code::Ok);
    let mut ledger = LedgerClient::new(as_operator(&url, &write).await?);
    let listed = ledger.list_operations(v1::ListOperationsRequest::default());
    assert_eq!(code(listed.await), Code::PermissionDenied);
    // even the most powerful operator is no service
    let all = fs::read_to_string(audit::operator_token_file()?)?;
    let mut admission = AdmissionClient::new(as_operator(&url, &all).await?);
    let admitted = admission.admit(v1::AdmitRequest::default()).await;
    assert_eq!(code(admitted), Code::PermissionDenied);
    Ok(())
}

#[tokio::test]
async fn every_other_token_is_turned_away() -> anyhow::Result<()> {
    let url = grpc()?;
    let callers = lab::Lab::load()?.intake.token;
    let operators = fs::read_to_string(audit::operator_token_file()?)?;
    let issuer = Issuer::of_the_lab(&operators)?;
    for (what, token) in [
        ("a caller's", callers),
        ("an expired one", issuer.expired(time::Duration::hours(1))?),
        ("an unsigned one", issuer.unsigned()),
        ("a forged one", issuer.forged()?),
        ("an ID token", issuer.token_of_type("JWT", &json!({}))?),
        (
            "of another issuer",
            issuer.token(&json!({ "iss": "https://else.example" }))?,
        ),
        ("no token", "x".to_owned()),
    ] {
        let mut ledger = LedgerClient::new(as_operator(&url, &token).await?);
        let answer = ledger.verify(v1::VerifyRequest::default()).await;
        assert_eq!(code(answer), Code::Unauthenticated, "{what}");
    }
    Ok(())
}

#[tokio::test]
async fn the_command_line_takes_its_token_from_files_and_says_which_is_missing()
-> anyhow::Result<()> {
    let (url, bare, configured) = (grpc()?, Ctl::bare()?, Ctl::of_the_lab()?);
    let folder = super::ctl::Folder::new()?;
    let file = |name: &str, content: &str| -> anyhow::Result<String> {
        fs::write(folder.path(name), content)?;
        super::ctl::text(&folder.path(name))
    };
    let place = lab::Place::of_this_repository()?;
    let ca = super::ctl::text(&lab::certificates::services_authority(&place))?;
    let to = ["--audit", &url, "--audit-ca", &ca, "operations", "list"];
    let nobody = bare.run(&to).await?;
    nobody.expect_complaint(&[
        "does not let you in",
        "--token-file",
        "WRITEBACK_TOKEN_FILE",
    ])?;

    let reader = file("reader", &operator_token("r@lab.example", "ledger.read")?)?;
    let given = [&to[..], &["--token-file", &reader]].concat();
    bare.run(&given).await?.expect(0)?;
    let mut command = bare.command(&to)?;
    command.env("WRITEBACK_TOKEN_FILE", &reader);
    e2e::finish(command, "").await?.expect(0)?;
    // what is given on the command line comes before what is configured
    let set = [
        "settings",
        "set",
        "writeback",
        "on",
        "--token-file",
        &reader,
    ];
    let refused = configured.run(&set).await?;
    refused.expect_complaint(&["your token does not allow it", "settings.write"])?;

    for (name, content) in [("empty", ""), ("two-lines", "a\nb")] {
        let path = file(name, content)?;
        let run = bare
            .run(&[&to[..], &["--token-file", &path]].concat())
            .await?;
        run.expect_complaint(&[&path, "no token"])?;
    }
    let secret = operator_token("r@lab.example", "ledger.read")?;
    let elsewhere = [
        "--audit",
        "http://audit.example.com:9500",
        "--token-file",
        &reader,
    ];
    let run = bare
        .run(&[&elsewhere[..], &["settings", "show"]].concat())
        .await?;
    run.expect_complaint(&["the token is not sent there", "https"])?;
    let (header, _) = secret.split_once('.').context("no JWT")?;
    ensure!(!run.err.contains(header), "{run:?}");
    Ok(())
}
