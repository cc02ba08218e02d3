//! The ledger's gRPC door, asked as a service or as an operator is.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use lab::Place;
use lab::certificates;
use serde_json::json;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Request, Status};

use crate::Issuer;

const PATIENCE: Duration = Duration::from_secs(30);

/// What operators' tokens are for.
const AUDIENCE: &str = "https://audit.writeback.lab.example";

/// Calls with a token.
pub type AsOperator = InterceptedService<Channel, Token>;

#[derive(Debug, Clone)]
pub struct Token(MetadataValue<Ascii>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

async fn channel(url: &str, kind: Option<&str>) -> anyhow::Result<Channel> {
    let place = Place::of_this_repository()?;
    let authority = std::fs::read(certificates::services_authority(&place))?;
    let shown = kind.map(|kind| certificates::of_service(&place, kind));
    let shown = shown
        .map(|(certificate, key)| anyhow::Ok((std::fs::read(certificate)?, std::fs::read(key)?)))
        .transpose()?;
    as_bearer(url, &authority, shown).await
}

/// Asks by this certificate and its key, if any, of audit as this authority knows it; all in PEM.
pub async fn as_bearer(
    url: &str,
    authority: &[u8],
    shown: Option<(Vec<u8>, Vec<u8>)>,
) -> anyhow::Result<Channel> {
    crate::provide_cryptography();
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
    if let Some((certificate, key)) = shown {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    let endpoint = Channel::from_shared(url.to_owned())?.timeout(PATIENCE);
    Ok(endpoint.tls_config(tls)?.connect().await?)
}

/// Asks as one of the lab's services of this kind: `intake`, `resolver` or `writer`; or as nobody.
pub async fn as_service(url: &str, kind: Option<&str>) -> anyhow::Result<Channel> {
    channel(url, kind).await
}

/// Asks as the operator whose token this is.
pub async fn as_operator(url: &str, token: &str) -> anyhow::Result<AsOperator> {
    let token = format!("Bearer {token}").parse().context("no token")?;
    Ok(InterceptedService::new(
        channel(url, None).await?,
        Token(token),
    ))
}

/// A token of the lab's issuer for an operator.
pub fn operator_token(subject: &str, scope: &str) -> anyhow::Result<String> {
    Issuer::of_the_lab(&lab::Lab::load()?.intake.token)?
        .token(&json!({ "aud": AUDIENCE, "sub": subject, "scope": scope }))
}

/// Where the token of the lab's own operator is; it may do everything.
pub fn operator_token_file() -> anyhow::Result<PathBuf> {
    Ok(Place::of_this_repository()?.path("operator.token"))
}

/// Who that operator is, as the ledger names them.
pub const OPERATOR: &str = "operator@lab.example";
