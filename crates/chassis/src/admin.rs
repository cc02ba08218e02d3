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
    /// The gates that are closed.
    missing: Vec<String>,
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
    let gates = admin.readiness.gates();
    let closed = gates.iter().filter(|(_, open)| !**open);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let report = ReadinessReport {
        ready,
        shutting_down,
        missing: closed.map(|(gate, _)| gate.clone()).collect(),
        gates,
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

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;

    async fn asked(admin: &Admin) -> (StatusCode, serde_json::Value) {
        let request = Request::get("/readyz").body(Body::empty()).unwrap();
        let answer = router(admin.clone()).oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 4096).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn what_is_missing_is_named_until_it_is_back() {
        let admin = Admin {
            readiness: Readiness::default(),
            shutdown: CancellationToken::new(),
            metrics: Registry::new(),
        };
        let broker = admin.readiness.require("broker");
        let ledger = admin.readiness.require("ledger");
        broker.set(true);
        let (status, report) = asked(&admin).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(report["missing"], serde_json::json!(["ledger"]));
        ledger.set(true);
        let (status, report) = asked(&admin).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(report["missing"], serde_json::json!([]));
        broker.set(false);
        let (status, report) = asked(&admin).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "lost again");
        assert_eq!(report["missing"], serde_json::json!(["broker"]));
        broker.set(true);
        admin.shutdown.cancel();
        let (status, report) = asked(&admin).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(report["shutting_down"], true);
    }
}
