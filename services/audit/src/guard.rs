//! Who may call what: operators by the scopes of their tokens, services by their certificates.
//!
//! Stands before every call. What is not in the table of rights is not there for anybody.

mod rights;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use access::{AccessError, Gatekeeper, KeySource};
use anyhow::Context as _;
use chassis::config::{Audit, ConfigError, ServiceNames};
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use rustls::pki_types::CertificateDer;
use tonic::{
    Status,
    body::Body,
    transport::server::{TcpConnectInfo, TlsConnectInfo},
};
use tower::{Layer, Service};

use self::rights::{Kind, Right};

/// An operator whose token opened the call; found among a request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operator(pub(crate) String);

/// What the guard goes by. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Guard(Arc<Rules>);

struct Rules {
    operators: Option<Gatekeeper>,
    names: ServiceNames,
    without_certificates: bool,
}

/// Why a call is not let through.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("{0}")]
    Token(#[from] AccessError),
    #[error("no operator is let in here: audit.tokens is not configured")]
    NoOperators,
    #[error(
        "an operator brings an access token, a service a certificate whose name audit.services has"
    )]
    Nobody,
    #[error("this is for others: {0} may not call it")]
    NotTheirs(&'static str),
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::Token(AccessError::InsufficientScope(_)) | Refused::NotTheirs(_) => {
                Self::permission_denied(message)
            }
            Refused::Token(_) | Refused::NoOperators | Refused::Nobody => {
                Self::unauthenticated(message)
            }
        }
    }
}

impl Guard {
    /// # Errors
    /// When services could not be told from anybody else, or the issuer's keys cannot be read.
    pub(crate) async fn new(settings: &Audit) -> anyhow::Result<Self> {
        match (
            &settings.client_ca_file,
            settings.services_without_certificates,
        ) {
            (None, false) => {
                return Err(ConfigError::Required("audit.client_ca_file")).context(
                    "services are known by their certificates; where nobody else can reach \
                     audit.listen, audit.services_without_certificates = true does without",
                );
            }
            (Some(_), true) => {
                return Err(ConfigError::Contradiction {
                    one: "audit.client_ca_file",
                    other: "audit.services_without_certificates",
                }
                .into());
            }
            (Some(_), false) => {}
            (None, true) if settings.listen.ip().is_loopback() => {}
            (None, true) => tracing::warn!(
                address = %settings.listen,
                "whoever reaches this address is taken for a service: audit.services_without_certificates"
            ),
        }
        let operators = match settings.tokens.clone() {
            None => {
                tracing::warn!("audit.tokens is not set: no operator is let in");
                None
            }
            Some(tokens) => {
                let source =
                    KeySource::new(tokens.jwks_file, tokens.jwks_url).context("audit.tokens")?;
                let gatekeeper = Gatekeeper::new(tokens.issuer, tokens.audience, source).await;
                Some(gatekeeper.context("audit.tokens")?)
            }
        };
        Ok(Self(Arc::new(Rules {
            operators,
            names: settings.services.clone(),
            without_certificates: settings.services_without_certificates,
        })))
    }
}

impl Rules {
    /// The operator, if it is one; what a token says comes before any certificate.
    async fn admit(
        &self,
        right: &Right,
        headers: &HeaderMap,
        certificate: Option<&CertificateDer<'_>>,
    ) -> Result<Option<Operator>, Refused> {
        if headers.contains_key(AUTHORIZATION) {
            let gatekeeper = self.operators.as_ref().ok_or(Refused::NoOperators)?;
            let caller = gatekeeper.admit(headers).await?;
            let scope = right.scope.ok_or(Refused::NotTheirs("an operator"))?;
            caller.require(scope)?;
            return Ok(Some(Operator(caller.subject)));
        }
        if self.without_certificates {
            return if right.services.is_empty() {
                Err(Refused::Nobody)
            } else {
                Ok(None)
            };
        }
        let known = certificate.map_or_else(Vec::new, |der| kinds(der, &self.names));
        match known.first() {
            None => Err(Refused::Nobody),
            Some(_) if known.iter().any(|kind| right.services.contains(kind)) => Ok(None),
            Some(kind) => Err(Refused::NotTheirs(kind.as_str())),
        }
    }
}

/// What a certificate makes of its bearer. It was verified in the handshake.
fn kinds(der: &CertificateDer<'_>, names: &ServiceNames) -> Vec<Kind> {
    let Ok(certificate) = webpki::EndEntityCert::try_from(der) else {
        return Vec::new();
    };
    let borne: Vec<&str> = certificate.valid_dns_names().collect();
    [
        (Kind::Intake, &names.intake),
        (Kind::Resolver, &names.resolver),
        (Kind::Writer, &names.writer),
    ]
    .into_iter()
    .filter(|(_, names)| {
        names
            .iter()
            .any(|name| borne.iter().any(|borne| borne.eq_ignore_ascii_case(name)))
    })
    .map(|(kind, _)| kind)
    .collect()
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;
    fn layer(&self, inner: S) -> Self::Service {
        Guarded {
            guard: self.clone(),
            inner,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Guarded<S> {
    guard: Guard,
    inner: S,
}

type Answering<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answering<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let rules = Arc::clone(&self.guard.0);
        // the one that is ready is the one to be called
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(async move {
            let Some(right) = rights::of(request.uri().path()) else {
                return Ok(Status::unimplemented("there is no such call").into_http());
            };
            let certificates = request
                .extensions()
                .get::<TlsConnectInfo<TcpConnectInfo>>()
                .and_then(TlsConnectInfo::peer_certs);
            let certificate = certificates.as_ref().and_then(|chain| chain.first());
            match rules.admit(right, request.headers(), certificate).await {
                Ok(operator) => {
                    if let Some(operator) = operator {
                        request.extensions_mut().insert(operator);
                    }
                    inner.call(request).await
                }
                Err(refused) => {
                    tracing::warn!(call = right.path, why = %refused, "refused a call");
                    Ok(Status::from(refused).into_http())
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
