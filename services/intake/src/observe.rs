//! What the door tells of itself: a span and a duration per request, a count per operation.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use operation::{Kind, Reason, Status};
use std::sync::OnceLock;
use tracing::Instrument as _;

/// What a handler learns of a request that its metrics tell. Travels in the response's extensions.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Observed {
    pub(crate) kind: Option<Kind>,
}

/// Operations by how they were answered here. A pending one is counted as pending.
#[derive(Clone)]
pub(crate) struct Operations(Counter<u64>);

impl Operations {
    pub(crate) fn new() -> Self {
        Self(
            chassis::meter()
                .u64_counter("writeback.intake.operations")
                .with_description(
                    "Operations by kind and by the status and reason they were answered with",
                )
                .build(),
        )
    }

    pub(crate) fn count(&self, kind: Kind, status: Status, reason: Option<Reason>) {
        self.0.add(
            1,
            &[
                KeyValue::new("kind", kind.as_str()),
                KeyValue::new("status", status.as_str()),
                KeyValue::new("reason", reason.map_or("", Reason::code)),
            ],
        );
    }
}

/// OpenTelemetry semantic conventions, HTTP metrics: seconds, these bucket boundaries.
fn durations() -> &'static Histogram<f64> {
    static DURATIONS: OnceLock<Histogram<f64>> = OnceLock::new();
    DURATIONS.get_or_init(|| {
        chassis::meter()
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_description("How long HTTP requests took")
            .with_boundaries(vec![
                0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
                30.0,
            ])
            .build()
    })
}

/// Only the methods we know: a label must not be of the caller's making.
fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => "_OTHER",
    }
}

pub(crate) async fn request(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", |path| path.as_str())
        .to_owned();
    let span = tracing::info_span!(
        "request",
        otel.name = %format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = %route,
        http.response.status_code = tracing::field::Empty,
        trace_id = tracing::field::Empty,
    );
    chassis::trace::continue_from(&span, chassis::trace::extract_http(request.headers()));
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    let kind = response
        .extensions()
        .get::<Observed>()
        .and_then(|observed| observed.kind);
    durations().record(
        began.elapsed().as_secs_f64(),
        &[
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route),
            KeyValue::new("http.response.status_code", i64::from(status)),
            KeyValue::new("kind", kind.map_or("", Kind::as_str)),
        ],
    );
    response
}
