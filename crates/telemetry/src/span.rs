//! Every span of the product, by the OpenTelemetry semantic conventions (1.37: HTTP, RPC and
//! messaging spans). Names of our own begin with `writeback.` or `ldap.`, for which there is no convention.

use http::HeaderMap;
use opentelemetry::Context;
use tracing::{Span, field::Empty, info_span};

use crate::context::{self, continue_from};

/// The one attribute by which an operation's trace is found.
pub const OPERATION_ID: &str = "writeback.operation.id";

const ERROR_TYPE: &str = "error.type";
const HTTP_STATUS: &str = "http.response.status_code";
const RPC_STATUS: &str = "rpc.grpc.status_code";
const LDAP_RESULT: &str = "ldap.result_code";
const OTEL_STATUS: &str = "otel.status_code";

/// What the convention calls a request method, a route or a procedure that is not one of ours: none
/// of a caller's making gets into a name.
pub const OTHER: &str = "_OTHER";

/// Notes whose operation the span is part of.
pub fn belongs_to(span: &Span, operation: impl std::fmt::Display) {
    span.record(OPERATION_ID, tracing::field::display(operation));
}

/// The same for the span at hand.
pub fn current_belongs_to(operation: impl std::fmt::Display) {
    belongs_to(&Span::current(), operation);
}

/// Marks the span as failed. The kind of error is one of a small set of words.
pub fn failed(span: &Span, kind: &str) {
    span.record(OTEL_STATUS, "ERROR");
    span.record(ERROR_TYPE, kind);
}

/// A request at an HTTP door. The path is left out: it is the caller's own text.
pub fn http_server(method: &'static str, route: Option<&str>, headers: &HeaderMap) -> Span {
    let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    let span = info_span!(
        "request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        url.scheme = "http",
        http.response.status_code = Empty,
        error.type = Empty,
        writeback.operation.id = Empty,
    );
    continue_from(&span, context::extract_http(headers));
    span
}

/// The caller's mistakes are no errors of a server.
pub fn http_answered(span: &Span, status: u16) {
    span.record(HTTP_STATUS, status);
    if status >= 500 {
        failed(span, &status.to_string());
    }
}

/// One operation handed in, of perhaps many in one request.
pub fn submit() -> Span {
    info_span!(
        "submit",
        otel.kind = "internal",
        writeback.operation.id = Empty
    )
}

/// A procedure's service and name, from the request's path.
pub fn procedure(path: &str) -> (&str, &str) {
    path.trim_start_matches('/')
        .rsplit_once('/')
        .unwrap_or((OTHER, OTHER))
}

pub fn rpc_client(path: &str) -> Span {
    let (service, method) = procedure(path);
    info_span!(
        "call",
        otel.name = path.trim_start_matches('/'),
        otel.kind = "client",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
        error.type = Empty,
    )
}

pub fn rpc_server(path: &str, headers: &HeaderMap) -> Span {
    let (service, method) = procedure(path);
    let span = info_span!(
        "serve",
        otel.name = path.trim_start_matches('/'),
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
        error.type = Empty,
        writeback.operation.id = Empty,
    );
    continue_from(&span, context::extract_http(headers));
    span
}

/// A client takes every status for an error but OK, and CANCELLED, which is its own doing.
pub fn rpc_answered_client(span: &Span, status: i32) {
    span.record(RPC_STATUS, status);
    if !matches!(status, 0 | 1) {
        failed(span, &status.to_string());
    }
}

/// Of a server, only these are errors: unknown, deadline exceeded, unimplemented, internal,
/// unavailable, data loss.
pub fn rpc_answered_server(span: &Span, status: i32) {
    span.record(RPC_STATUS, status);
    if matches!(status, 2 | 4 | 12 | 13 | 14 | 15) {
        failed(span, &status.to_string());
    }
}

/// A message to an exchange. `destination` has no more names than there are queues.
pub fn publish(destination: &str, routing_key: &str, message_id: &str, body_size: usize) -> Span {
    info_span!(
        "publish",
        otel.name = format!("publish {destination}"),
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.name = destination,
        messaging.rabbitmq.destination.routing_key = routing_key,
        messaging.message.id = message_id,
        messaging.message.body.size = body_size,
        error.type = Empty,
    )
}

/// A message taken from a queue, until it is settled.
pub fn process(destination: &str, routing_key: &str, body_size: usize, parent: Context) -> Span {
    let span = info_span!(
        "process",
        otel.name = format!("process {destination}"),
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = destination,
        messaging.rabbitmq.destination.routing_key = routing_key,
        messaging.message.body.size = body_size,
        error.type = Empty,
        writeback.operation.id = Empty,
    );
    continue_from(&span, parent);
    span
}

/// One exchange with a domain controller. Neither whom it is about nor what is written is told.
pub fn ldap(operation: &'static str, host: &str, port: u16) -> Span {
    info_span!(
        "ldap",
        otel.name = format!("ldap {operation}"),
        otel.kind = "client",
        otel.status_code = Empty,
        server.address = host,
        server.port = port,
        ldap.operation = operation,
        ldap.result_code = Empty,
        error.type = Empty,
    )
}

/// RFC 4511 4.1.9. A refusal is an answer, but the operation it answers did not succeed.
pub fn ldap_answered(span: &Span, result: u32) {
    span.record(LDAP_RESULT, result);
    if result != 0 {
        failed(span, &result.to_string());
    }
}

/// What happens in it is recorded by nobody, here or where it asks: for what is done every second.
pub fn unrecorded() -> Span {
    let span = info_span!("probe");
    continue_from(&span, context::unrecorded());
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_service_and_a_procedure() {
        assert_eq!(
            procedure("/writeback.v1.Admission/Admit"),
            ("writeback.v1.Admission", "Admit")
        );
        assert_eq!(procedure("nonsense"), (OTHER, OTHER));
    }
}
