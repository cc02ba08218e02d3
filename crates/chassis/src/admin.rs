//! The admin server: `/livez`, `/readyz` and `/metrics`, on its own port and never the public one.

use std::{collections::BTreeMap, time::Duration};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use http::header::CONTENT_TYPE;
use prometheus::{Registry, TextEncoder};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::readiness::Readiness;

/// How long an open admin connection may delay the end of the process.
pub(crate) const CLOSING_TIME: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: CancellationToken,
    pub(crate) metrics: Registry,
}

#[derive(Serialize)]
struct ReadinessReport {
    ready: bool,
    shutting_down: bool,
    gates: BTreeMap<String, bool>,
}

pub(crate) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

/// Not ready while shutting down, so that balancers send new work to other replicas.
async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    let shutting_down = admin.shutdown.is_cancelled();
    let ready = admin.readiness.is_ready() && !shutting_down;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let report = ReadinessReport {
        ready,
        shutting_down,
        gates: admin.readiness.gates(),
    };
    (status, Json(report))
}

async fn metrics(State(admin): State<Admin>) -> Result<impl IntoResponse, StatusCode> {
    let text = TextEncoder::new()
        .encode_to_string(&admin.metrics.gather())
        .map_err(|error| {
            tracing::error!(%error, "cannot write the metrics");
            StatusCode::INTERNAL_SERVER_ERROR
        })?;
    Ok(([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text))
}
