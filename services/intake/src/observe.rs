//! What the door tells of itself: a span and a duration per request, and operations by how they
//! were answered.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, UpDownCounter},
};
use operation::{ForestId, Kind, Reason, Status};
use telemetry::{metric, span};
use tokio::sync::Semaphore;
use tracing::Instrument as _;

/// Operations by how they were answered here. A pending one is counted as pending.
#[derive(Clone)]
pub(crate) struct Operations {
    answered: Counter<u64>,
    durations: Histogram<f64>,
}

impl Operations {
    /// Counters begin at zero, so that their first increase can be seen. `in_flight` has `capacity`
    /// permits when nothing is.
    pub(crate) fn new(in_flight: &Arc<Semaphore>, capacity: usize) -> Self {
        let in_flight = Arc::clone(in_flight);
        // the meter keeps it alive
        let _gauge = metric::meter()
            .u64_observable_gauge("writeback.intake.in_flight")
            .with_description("Requests with operations that are under way here")
            .with_callback(move |observer| {
                let taken = capacity.saturating_sub(in_flight.available_permits());
                observer.observe(u64::try_from(taken).unwrap_or(u64::MAX), &[]);
            })
            .build();
        let operations = Self {
            answered: metric::counter(
                "writeback.intake.operations",
                "Operations by the status and reason they were answered with",
            ),
            durations: metric::seconds(
                "writeback.intake.operation.duration",
                "How long a caller waited for how one operation ended",
            ),
        };
        for kind in Kind::ALL {
            for status in [Status::Applied, Status::Pending] {
                operations.add(kind, status, None, 0);
            }
            for reason in Reason::ALL {
                operations.add(kind, reason.status(), Some(*reason), 0);
            }
        }
        operations
    }

    fn add(&self, kind: Kind, status: Status, reason: Option<Reason>, times: u64) {
        self.answered.add(
            times,
            &[
                KeyValue::new("kind", kind.as_str()),
                KeyValue::new("status", status.as_str()),
                KeyValue::new("reason", reason.map_or("", Reason::code)),
            ],
        );
    }

    pub(crate) fn count(&self, kind: Kind, status: Status, reason: Option<Reason>) {
        self.add(kind, status, reason, 1);
    }

    /// The wait of a caller for one operation; the forest is none's while nobody knows it.
    pub(crate) fn waited(
        &self,
        kind: Kind,
        status: Status,
        forest: Option<&ForestId>,
        since: Instant,
    ) {
        self.durations.record(
            since.elapsed().as_secs_f64(),
            &[
                KeyValue::new("kind", kind.as_str()),
                KeyValue::new("status", status.as_str()),
                KeyValue::new(
                    "forest",
                    forest.map(ToString::to_string).unwrap_or_default(),
                ),
            ],
        );
    }
}

/// OpenTelemetry semantic conventions, HTTP server metrics.
struct Requests {
    durations: Histogram<f64>,
    active: UpDownCounter<i64>,
}

fn requests() -> &'static Requests {
    static REQUESTS: OnceLock<Requests> = OnceLock::new();
    REQUESTS.get_or_init(|| Requests {
        durations: metric::seconds(
            "http.server.request.duration",
            "How long HTTP requests took",
        ),
        active: metric::meter()
            .i64_up_down_counter("http.server.active_requests")
            .with_description("HTTP requests being answered")
            .build(),
    })
}

/// Counted for as long as it lives, for a caller may hang up.
struct Active(&'static str);

impl Active {
    fn new(method: &'static str) -> Self {
        requests()
            .active
            .add(1, &[KeyValue::new("http.request.method", method)]);
        Self(method)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        requests()
            .active
            .add(-1, &[KeyValue::new("http.request.method", self.0)]);
    }
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
        _ => span::OTHER,
    }
}

pub(crate) async fn request(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = method_label(request.method());
    let _active = Active::new(method);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let span = span::http_server(method, route.as_deref(), request.headers());
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span::http_answered(&span, status);
    requests().durations.record(
        began.elapsed().as_secs_f64(),
        &[
            KeyValue::new("http.request.method", method),
            KeyValue::new(
                "http.route",
                route.unwrap_or_else(|| span::OTHER.to_owned()),
            ),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ],
    );
    response
}
