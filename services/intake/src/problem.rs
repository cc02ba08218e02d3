//! What a caller is told when it did not work: RFC 9457 problem details, one mapping for all.

use access::AccessError;
use axum::response::{IntoResponse, Response};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use operation::{Actor, OperationId, Reason, Refusal, Violation};
use serde_json::{Value, json};

use crate::event::EventError;

/// How long to wait before asking again, where nothing better is known.
const RETRY_SECONDS: u32 = 2;

/// One problem, ready to be sent. Boxed: it is an error type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem(Box<Content>);

#[derive(Debug, Clone, PartialEq)]
struct Content {
    status: StatusCode,
    title: String,
    detail: String,
    field: Option<String>,
    reason: Option<Reason>,
    actor: Option<Actor>,
    operation_id: Option<OperationId>,
    violations: Vec<Violation>,
    headers: Vec<(HeaderName, String)>,
}

/// The status a refused, failed or expired operation is answered with.
pub(crate) const fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::WritebackDisabled | Reason::UnlockDisabled => StatusCode::FORBIDDEN,
        Reason::UserNotFound => StatusCode::NOT_FOUND,
        Reason::UserAmbiguous | Reason::Superseded => StatusCode::CONFLICT,
        Reason::PasswordPolicy
        | Reason::IncorrectPassword
        | Reason::AccountLocked
        | Reason::AccountDisabled
        | Reason::AccessDenied
        | Reason::ProtectedAccount
        | Reason::CannotChangePassword
        | Reason::OutOfScope
        | Reason::SealInvalid => StatusCode::UNPROCESSABLE_ENTITY,
        Reason::DirectoryMisconfigured | Reason::DirectoryError => StatusCode::BAD_GATEWAY,
        Reason::ForestUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Reason::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}

impl Problem {
    /// A problem of HTTP or of this service, not of an operation.
    pub(crate) fn plain(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Content {
            status,
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            detail: detail.into(),
            field: None,
            reason: None,
            actor: None,
            operation_id: None,
            violations: Vec::new(),
            headers: Vec::new(),
        }))
    }

    /// The end of an operation that was not applied; without an id it was never admitted.
    pub(crate) fn refusal(refusal: &Refusal, operation: Option<OperationId>) -> Self {
        let reason = refusal.reason;
        let mut problem = Self::plain(status_of(reason), refusal.detail.clone());
        reason.title().clone_into(&mut problem.0.title);
        problem.0.reason = Some(reason);
        problem.0.actor = Some(reason.actor());
        problem.0.operation_id = operation;
        problem.0.violations.clone_from(&refusal.violations);
        if reason == Reason::ForestUnavailable {
            problem = problem.retry_after(RETRY_SECONDS);
        }
        problem
    }

    pub(crate) fn ledger_unavailable() -> Self {
        let mut problem = Self::plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "the ledger cannot be reached, and nothing is done unrecorded; send the same event again",
        )
        .retry_after(RETRY_SECONDS);
        problem.0.actor = Some(Actor::Retry);
        problem
    }

    pub(crate) fn too_many(detail: &'static str, retry_after_seconds: u32) -> Self {
        let mut problem = Self::plain(StatusCode::TOO_MANY_REQUESTS, detail)
            .retry_after(retry_after_seconds.max(1));
        problem.0.actor = Some(Actor::Retry);
        problem
    }

    pub(crate) fn method_not_allowed(allowed: &'static str) -> Self {
        Self::plain(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("this address takes {allowed}"),
        )
        .header(ALLOW, allowed.to_owned())
    }

    /// The same, seen from the batch the event is in.
    pub(crate) fn at(mut self, index: usize) -> Self {
        let content = &mut self.0;
        let separator = if content.field.is_some() { "." } else { ": " };
        content.detail = format!("[{index}]{separator}{}", content.detail);
        content.field = Some(match content.field.take() {
            Some(field) => format!("[{index}].{field}"),
            None => format!("[{index}]"),
        });
        self
    }

    fn header(mut self, name: HeaderName, value: String) -> Self {
        self.0.headers.push((name, value));
        self
    }

    fn retry_after(self, seconds: u32) -> Self {
        self.header(RETRY_AFTER, seconds.to_string())
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(crate) fn to_json(&self) -> Value {
        let content = &self.0;
        let mut body = json!({
            "type": content.reason.map_or_else(
                || "about:blank".to_owned(),
                |reason| format!("urn:writeback:reason:{reason}"),
            ),
            "title": content.title,
            "status": content.status.as_u16(),
            "detail": content.detail,
        });
        if let Some(members) = body.as_object_mut() {
            if let Some(reason) = content.reason {
                members.insert("reason".to_owned(), json!(reason));
                members.insert("eventId".to_owned(), json!(reason.event_id()));
                members.insert("violations".to_owned(), json!(content.violations));
            }
            if let Some(actor) = content.actor {
                members.insert("actor".to_owned(), json!(actor));
            }
            if let Some(id) = content.operation_id {
                members.insert("operationId".to_owned(), json!(id));
            }
            if let Some(field) = &content.field {
                members.insert("field".to_owned(), json!(field));
            }
        }
        body
    }
}

impl From<EventError> for Problem {
    fn from(error: EventError) -> Self {
        let detail = error.to_string();
        match error {
            EventError::UnsupportedMediaType(_) => {
                Self::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
            }
            EventError::Malformed { field, .. } => {
                let mut problem = Self::plain(StatusCode::BAD_REQUEST, detail);
                problem.0.field = Some(field);
                problem
            }
        }
    }
}

impl From<AccessError> for Problem {
    /// The challenges of RFC 6750 3: no error code for a caller that sent no token at all.
    fn from(error: AccessError) -> Self {
        let (status, challenge) = match &error {
            AccessError::Missing => (
                StatusCode::UNAUTHORIZED,
                "Bearer realm=\"writeback\"".to_owned(),
            ),
            AccessError::Invalid(why) => (
                StatusCode::UNAUTHORIZED,
                format!(
                    "Bearer realm=\"writeback\", error=\"invalid_token\", error_description=\"{why}\""
                ),
            ),
            AccessError::InsufficientScope(scope) => (
                StatusCode::FORBIDDEN,
                format!(
                    "Bearer realm=\"writeback\", error=\"insufficient_scope\", scope=\"{scope}\""
                ),
            ),
        };
        Self::plain(status, error.to_string()).header(WWW_AUTHENTICATE, challenge)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.to_json().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.0.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests;
