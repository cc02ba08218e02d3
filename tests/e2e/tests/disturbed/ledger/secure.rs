//! gRPC over TLS, as an operator's command meets it.

use std::fs;

use anyhow::Context as _;
use e2e::Ctl;
use lab::Place;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::replicas::OwnLedger;
use crate::ALONE;

/// `ca.pem`, `server.pem` and `server.key` in this folder, for 127.0.0.1.
fn certify(folder: &std::path::Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
    fs::write(folder.join("ca.pem"), authority_pem)?;
    fs::write(folder.join("server.pem"), server.pem())?;
    fs::write(folder.join("server.key"), key.serialize_pem())?;
    Ok(())
}

#[tokio::test]
async fn with_a_certificate_the_ledger_is_asked_over_tls_only() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let place = Place::of_this_repository()?;
    let folder = place.path(format!("proof-tls-{}", uuid::Uuid::new_v4().simple()));
    certify(&folder)?;
    let file = |name: &str| -> anyhow::Result<String> {
        let path = folder.join(name);
        Ok(path.to_str().context("a path that is no text")?.to_owned())
    };
    let (ca, certificate, key) = (file("ca.pem")?, file("server.pem")?, file("server.key")?);
    let own = OwnLedger::told(&[
        ("WRITEBACK_AUDIT__CERTIFICATE_FILE", &certificate),
        ("WRITEBACK_AUDIT__KEY_FILE", &key),
    ])
    .await?;
    let plain = own.replicas.first().context("no replica")?.grpc.clone();
    let secure = plain.clone();
    let plain = &secure.replace("https://", "http://");
    let ctl = Ctl::bare()?;
    let token = e2e::audit::operator_token_file()?;
    let token = token.to_str().context("a path that is no text")?;
    let asked = ["ledger", "verify", "--token-file", token];
    let with_ca = [&["--audit", &secure, "--audit-ca", &ca][..], &asked].concat();
    ctl.run(&with_ca).await?.expect(0)?;
    // the system's authorities know nothing of ours, and plain text is not understood
    for refused in [&secure, plain] {
        let arguments = [&["--audit", refused][..], &asked].concat();
        ctl.run(&arguments).await?.expect_complaint(&[])?;
    }
    // the same from the configuration, as services and operators have it
    let text = fs::read_to_string(place.path("config.toml"))?;
    let mut configuration: toml::Table = text.parse()?;
    let mut ledger = toml::Table::new();
    ledger.insert("urls".to_owned(), vec![secure].into());
    ledger.insert("ca_file".to_owned(), ca.into());
    configuration.insert("ledger".to_owned(), ledger.into());
    let configuration_file = file("config.toml")?;
    fs::write(&configuration_file, configuration.to_string())?;
    let asked = ["ledger", "verify"];
    let configured = [&["--config", &configuration_file][..], &asked].concat();
    ctl.run(&configured).await?.expect(0)?;
    own.end().await
}
