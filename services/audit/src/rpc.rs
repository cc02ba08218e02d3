//! The gRPC door: one server for the services of `audit.proto` and `health.proto`.

mod admission;
mod health;
mod keys;
mod ledger;
mod settings;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use chassis::{rpc::ObserveCalls, tls::ServerTls};
use operation::OperationId;
use proto::{
    FromWireError,
    v1::{
        admission_server::AdmissionServer, health_server::HealthServer, keys_server::KeysServer,
        ledger_server::LedgerServer, settings_server::SettingsServer,
    },
};
use sqlx::PgPool;
use telemetry::trouble::{SoFar, Trouble};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Request, Status,
    transport::{Server, server::TcpIncoming},
};

use crate::{
    appender::{AppendError, Appender},
    claiming::{ClaimError, Claims},
    guard::{Guard, Operator},
    news::News,
    record::Record,
    signing::SigningKey,
    standing::Standing,
    store::{self, StoreError},
    tls,
};

/// For one question to the database, the wait for a connection included.
const QUERY_TIME_OUT: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(20);

/// What the services answer from.
#[derive(Clone)]
pub(crate) struct Rpc {
    pub(crate) pool: PgPool,
    pub(crate) appender: Appender,
    pub(crate) claims: Claims,
    pub(crate) news: News,
    pub(crate) standing: Standing,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) shutdown: CancellationToken,
}

impl Rpc {
    /// Serves until shutdown; calls under way may end.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        tls: Option<ServerTls>,
        guard: Guard,
    ) -> anyhow::Result<()> {
        let shutdown = self.shutdown.clone();
        let router = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .layer(ObserveCalls)
            .layer(guard)
            .add_service(AdmissionServer::new(self.clone()))
            .add_service(LedgerServer::new(self.clone()))
            .add_service(KeysServer::new(self.clone()))
            .add_service(HealthServer::new(self.clone()))
            .add_service(SettingsServer::new(self));
        let stopped = shutdown.cancelled_owned();
        let served = if let Some(tls) = tls {
            let connections = tls::connections(listener, tls);
            router
                .serve_with_incoming_shutdown(connections, stopped)
                .await
        } else {
            let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
            router
                .serve_with_incoming_shutdown(connections, stopped)
                .await
        };
        served.context("the gRPC server failed")
    }

    async fn record(&self, id: OperationId) -> Result<Record, RpcError> {
        in_time(store::record(&self.pool, id))
            .await?
            .ok_or(RpcError::UnknownOperation)
    }
}

/// Who asks, as the guard found by the token.
fn operator<T>(request: &Request<T>) -> Result<String, Status> {
    let operator = request.extensions().get::<Operator>();
    operator
        .map(|Operator(subject)| subject.clone())
        .ok_or_else(|| Status::unauthenticated("this is for operators"))
}

/// Bounds a question to the database.
async fn in_time<T>(question: impl Future<Output = Result<T, StoreError>>) -> Result<T, RpcError> {
    match tokio::time::timeout(QUERY_TIME_OUT, question).await {
        Ok(answer) => {
            let answer = answer?;
            answered();
            Ok(answer)
        }
        Err(_) => Err(RpcError::Slow),
    }
}

/// Tells that the database answers again, if it did not.
fn answered() {
    if let Some(so_far) = unanswered(Trouble::calm) {
        tracing::info!(
            seconds = so_far.seconds,
            tries = so_far.tries,
            "calls are answered again"
        );
    }
}

/// Calls that the database leaves without an answer: one trouble of the process, whoever calls.
fn unanswered(tell: impl FnOnce(&mut Trouble) -> Option<SoFar>) -> Option<SoFar> {
    static UNANSWERED: Mutex<Trouble> = Mutex::new(Trouble::none());
    tell(&mut UNANSWERED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Why a call is not answered.
#[derive(Debug, thiserror::Error)]
enum RpcError {
    #[error(transparent)]
    Malformed(#[from] FromWireError),
    #[error("{0}")]
    Invalid(String),
    #[error("the ledger has no such operation")]
    UnknownOperation,
    #[error("another event already has this operation id")]
    IdTaken,
    #[error("the database did not answer in time")]
    Slow,
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("accounts cannot be claimed: {0}")]
    Claim(#[from] ClaimError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the ledger answered something else than was asked")]
    Unexpected,
}

impl From<RpcError> for Status {
    fn from(error: RpcError) -> Self {
        let code = match &error {
            RpcError::Malformed(_) | RpcError::Invalid(_) => Code::InvalidArgument,
            RpcError::UnknownOperation => Code::NotFound,
            RpcError::IdTaken => Code::AlreadyExists,
            RpcError::Slow
            | RpcError::Append(_)
            | RpcError::Claim(_)
            | RpcError::Store(StoreError::Database(_) | StoreError::Standby) => Code::Unavailable,
            RpcError::Store(_) => Code::DataLoss,
            RpcError::Unexpected => Code::Internal,
        };
        match code {
            // told once for the whole batch, where it failed
            _ if matches!(error, RpcError::Append(AppendError::Unavailable(_))) => {}
            Code::Unavailable => {
                if let Some(so_far) = unanswered(Trouble::failed) {
                    tracing::warn!(%error, ?code, seconds = so_far.seconds, tries = so_far.tries,
                        "calls cannot be answered");
                }
            }
            Code::DataLoss | Code::Internal => {
                tracing::warn!(%error, ?code, "a call could not be answered");
            }
            _ => {}
        }
        // statements and addresses are nothing for callers
        let message = match &error {
            RpcError::Store(StoreError::Database(_)) | RpcError::Append(_) | RpcError::Claim(_) => {
                "the ledger is unavailable".to_owned()
            }
            other => other.to_string(),
        };
        Self::new(code, message)
    }
}
