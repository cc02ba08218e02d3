//! The public HTTP door: routes and handlers. What they answer is described in `openapi`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use access::{Caller, Gatekeeper};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::StreamExt as _;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, EXPECT, LOCATION},
};
use operation::{ForestId, OperationId, Outcome, Reason, Refusal};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    event::{self, Event, EventError, Events},
    keys::SealingKeys,
    ledger::LedgerError,
    observe::{self, Operations},
    openapi,
    passage::{Passage, Sender, Ticket},
    preference::Preference,
    problem::Problem,
    standing::Standing,
    submission::{self, Submission},
};

/// Design: larger is 413. A sealed password for a hundred forests needs a quarter of it.
pub(crate) const LARGEST_BODY: usize = 256 * 1024;
const BODY_TIME_OUT: Duration = Duration::from_secs(10);
/// How much of a body that is too large is still taken in: closing on a caller in the middle of
/// sending resets the connection, and the 413 with it (RFC 9112 9.6).
const LARGEST_DRAINED: usize = 8 * 1024 * 1024;
/// An end is told by the reply queue while the ledger still writes it down: whoever looks it up at
/// once shall not be told that it is pending.
const REPORT_TRAVELS: Duration = Duration::from_secs(1);
const READ_SCOPE: &str = "operations.read";

pub(crate) struct Door {
    pub(crate) gatekeeper: Gatekeeper,
    pub(crate) keys: Arc<SealingKeys>,
    pub(crate) passage: Arc<Passage>,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) default_deadline: time::Duration,
    /// Clients whose operations are not throttled per person.
    pub(crate) unthrottled: Vec<String>,
    pub(crate) operations: Operations,
}

pub(crate) const EVENTS: &str = "/v1/events";
pub(crate) const OPERATION: &str = "/v1/operations/{id}";
pub(crate) const JWKS: &str = "/.well-known/jwks.json";
pub(crate) const OPENAPI: &str = "/openapi.json";

pub(crate) fn router(door: Arc<Door>) -> Router {
    let only =
        |allowed: &'static str| move || std::future::ready(Problem::method_not_allowed(allowed));
    Router::new()
        .route(EVENTS, post(post_event).fallback(only("POST")))
        .route(OPERATION, get(get_operation).fallback(only("GET, HEAD")))
        .route(JWKS, get(get_keys).fallback(only("GET, HEAD")))
        .route(OPENAPI, get(get_openapi).fallback(only("GET, HEAD")))
        .fallback(|| {
            std::future::ready(Problem::plain(
                StatusCode::NOT_FOUND,
                "there is nothing at this address",
            ))
        })
        .with_state(door)
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a handler panicked");
            Problem::plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "an error of this service; it has been logged",
            )
            .into_response()
        }))
        .layer(axum::middleware::from_fn(observe::request))
}

async fn post_event(State(door): State<Arc<Door>>, request: Request) -> Response {
    door.receive(request)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

impl Door {
    async fn receive(&self, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let caller = self.gatekeeper.admit(&parts.headers).await?;
        let permit = Arc::clone(&self.in_flight)
            .try_acquire_owned()
            .map(Arc::new)
            .map_err(|_| Problem::too_many("too many operations are in flight here", 1))?;
        let body = read(&parts.headers, body).await?;
        match event::parse(&parts.headers, &body)? {
            Events::One(event) => {
                let preference = Preference::parse(&parts.headers);
                self.one(*event, &caller, preference, permit).await
            }
            Events::Batch(events) => self.batch(events, &caller, permit).await,
        }
    }

    async fn one(
        &self,
        event: Event,
        caller: &Caller,
        preference: Preference,
        permit: Arc<OwnedSemaphorePermit>,
    ) -> Result<Response, Problem> {
        let since = Instant::now();
        let (submission, forests) = self.check(event, caller).await?;
        let ticket = self.submit(submission, forests, caller, permit).await?;
        let standing = self
            .passage
            .outcome(ticket, preference.longest_wait())
            .await;
        telemetry::span::current_belongs_to(standing.id);
        self.operations
            .count(standing.kind, standing.status(), standing.reason());
        self.operations.waited(
            standing.kind,
            standing.status(),
            standing.forest.as_ref(),
            since,
        );
        let pending = !standing.status().is_terminal();
        let mut response = answer(&standing);
        if let Some(applied) = preference.applied(pending) {
            set(
                &mut response,
                HeaderName::from_static("preference-applied"),
                &applied,
            );
        }
        Ok(response)
    }

    /// All of a batch is checked before any of it is admitted: a malformed event in it means that
    /// none is. Its events are admitted one after the other, for two of them may be about one person.
    /// If the ledger fails or the throttle closes halfway, the whole batch may be sent again: what was
    /// admitted stays once.
    async fn batch(
        &self,
        events: Vec<Event>,
        caller: &Caller,
        permit: Arc<OwnedSemaphorePermit>,
    ) -> Result<Response, Problem> {
        let mut checked = Vec::with_capacity(events.len());
        for (index, event) in events.into_iter().enumerate() {
            checked.push(
                self.check(event, caller)
                    .await
                    .map_err(|problem| problem.at(index))?,
            );
        }
        let mut operations = Vec::with_capacity(checked.len());
        for (index, (submission, forests)) in checked.into_iter().enumerate() {
            let ticket = self
                .submit(submission, forests, caller, Arc::clone(&permit))
                .await
                .map_err(|problem| problem.at(index))?;
            let standing = ticket.standing;
            self.operations
                .count(standing.kind, standing.status(), standing.reason());
            operations.push(json!({
                "id": standing.id,
                "location": Standing::location(standing.id),
            }));
        }
        Ok(json_answer(
            StatusCode::ACCEPTED,
            "application/json",
            &json!({ "operations": operations }),
        ))
    }

    /// Everything that can be refused without the ledger.
    async fn check(
        &self,
        event: Event,
        caller: &Caller,
    ) -> Result<(Submission, Result<Vec<ForestId>, Refusal>), Problem> {
        let kind = submission::kind_of(&event)?;
        caller.require(kind.scope())?;
        let submission =
            submission::check(event, OffsetDateTime::now_utc(), self.default_deadline)?;
        let forests = match &submission.seal {
            None => Ok(Vec::new()),
            Some(seal) => {
                let mut known = seal.forests(&self.keys.current());
                if known.is_err() {
                    // Made a moment ago, perhaps.
                    self.keys.refresh().await;
                    known = seal.forests(&self.keys.current());
                }
                known.map_err(|_| unknown_key())
            }
        };
        Ok((submission, forests))
    }

    async fn submit(
        &self,
        submission: Submission,
        forests: Result<Vec<ForestId>, Refusal>,
        caller: &Caller,
        permit: Arc<OwnedSemaphorePermit>,
    ) -> Result<Ticket, Problem> {
        let sender = Sender {
            client: caller.client.clone(),
            unthrottled: self.unthrottled.contains(&caller.client),
        };
        let ticket = self
            .passage
            .submit(submission, forests, sender, permit)
            .await?;
        // the same event under another type is the first one still: its result is for who may ask for it
        caller.require(ticket.standing.kind.scope())?;
        Ok(ticket)
    }
}

/// The id is the caller's own text and may be anything: it is not repeated.
fn unknown_key() -> Refusal {
    Refusal::new(
        Reason::SealInvalid,
        "data.sealedPassword: its kid is not in the key set; fetch /.well-known/jwks.json and seal again",
    )
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        Problem::plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than 256 KiB",
        )
    };
    let announced = headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    // whoever waits for "100 Continue" has sent nothing yet
    if announced.is_some_and(|length| {
        length > LARGEST_DRAINED || (length > LARGEST_BODY && headers.contains_key(EXPECT))
    }) {
        return Err(too_large());
    }
    let gather = async {
        let mut bytes = Vec::new();
        let mut length = 0_usize;
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| {
                Problem::plain(StatusCode::BAD_REQUEST, "the body ends before its end")
            })?;
            length = length.saturating_add(chunk.len());
            if length > LARGEST_DRAINED {
                return Err(too_large());
            }
            if length > LARGEST_BODY {
                bytes = Vec::new();
            } else {
                bytes.extend_from_slice(&chunk);
            }
        }
        if length > LARGEST_BODY {
            return Err(too_large());
        }
        Ok(bytes)
    };
    tokio::time::timeout(BODY_TIME_OUT, gather)
        .await
        .unwrap_or_else(|_| {
            Err(Problem::plain(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in time",
            ))
        })
}

fn answer(standing: &Standing) -> Response {
    match &standing.outcome {
        Some(Outcome::NotApplied(refusal)) => {
            Problem::refusal(refusal, Some(standing.id)).into_response()
        }
        Some(Outcome::Applied(_)) => {
            json_answer(StatusCode::OK, "application/json", &standing.to_json())
        }
        None => {
            let mut response = json_answer(
                StatusCode::ACCEPTED,
                "application/json",
                &standing.to_json(),
            );
            set(&mut response, LOCATION, &Standing::location(standing.id));
            response
        }
    }
}

fn json_answer(status: StatusCode, media_type: &'static str, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

async fn get_operation(
    State(door): State<Arc<Door>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = door.gatekeeper.admit(&headers).await?;
    caller.require(READ_SCOPE)?;
    let unknown = || Problem::plain(StatusCode::NOT_FOUND, "there is no such operation");
    let malformed = || EventError::malformed("id", "an operation id is a UUID");
    // one that is not UTF-8 once percent-decoded is rejected before it is here
    let Path(id) = id.map_err(|_| malformed())?;
    let id: OperationId = id.parse().map_err(|_| malformed())?;
    match door.passage.ledger.wait(id, REPORT_TRAVELS).await {
        Ok(standing) => Ok(json_answer(
            StatusCode::OK,
            "application/json",
            &standing.to_json(),
        )),
        Err(LedgerError::Unknown) => Err(unknown()),
        Err(error) => {
            telemetry::span::current_belongs_to(id);
            tracing::warn!(%error, "cannot be shown");
            Err(Problem::ledger_unavailable())
        }
    }
}

async fn get_keys(State(door): State<Arc<Door>>) -> Response {
    // RFC 7517 8.5.1
    let mut response = json_answer(
        StatusCode::OK,
        "application/jwk-set+json",
        &door.keys.current().to_jwks(),
    );
    set(&mut response, CACHE_CONTROL, "public, max-age=60");
    response
}

async fn get_openapi() -> Response {
    json_answer(StatusCode::OK, "application/json", &openapi::document())
}
