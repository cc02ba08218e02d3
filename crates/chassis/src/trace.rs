//! The W3C trace context (`traceparent`) across HTTP, and into this process's spans.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
    trace::TraceContextExt as _,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The current span's context, to be sent along.
pub fn current_context() -> Context {
    Span::current().context()
}

/// Makes the span a child of the sender's, and notes the trace's id in its `trace_id` field if the
/// span declares one. Without an exporter nothing is traced and the field stays empty.
pub fn continue_from(span: &Span, parent: Context) {
    // fails only where no exporter is set or the span is filtered out: nothing to connect then
    if span.set_parent(parent).is_err() {
        return;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    if context.is_valid() {
        span.record("trace_id", tracing::field::display(context.trace_id()));
    }
}

/// Puts the current span's context into the headers.
pub fn inject_http(headers: &mut HeaderMap) {
    let context = current_context();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut Headers(headers));
    });
}

/// Takes the sender's context from the headers; an empty one if there is none.
pub fn extract_http(headers: &HeaderMap) -> Context {
    global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &ReceivedHeaders(headers))
    })
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(key.as_bytes()),
            HeaderValue::try_from(value),
        ) {
            self.0.insert(name, value);
        }
    }
}

struct ReceivedHeaders<'a>(&'a HeaderMap);

impl Extractor for ReceivedHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }
    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
