//! The W3C trace context (`traceparent`) in headers, and into this process's spans.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context, TraceFlags, global,
    propagation::{Extractor, Injector},
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The current span's context, to be sent along.
pub fn current() -> Context {
    Span::current().context()
}

/// Makes the span a child of the sender's. To be called before anything happens in the span.
pub fn continue_from(span: &Span, parent: Context) {
    if !parent.span().span_context().is_valid() {
        return;
    }
    // fails only where nothing is traced or the span is filtered out: nothing to connect then
    let _ = span.set_parent(parent);
}

/// The id of every trace that nobody records: it leads nowhere, and no line of a log is to bear it.
const UNRECORDED: TraceId = TraceId::from_bytes([u8::MAX; 16]);

/// Whether it is a trace that somebody may have recorded.
pub fn is_told(context: &SpanContext) -> bool {
    context.is_valid() && context.trace_id() != UNRECORDED
}

/// A context whose descendants nobody records, here and wherever it is sent.
pub(crate) fn unrecorded() -> Context {
    let nobody = SpanContext::new(
        UNRECORDED,
        SpanId::from(u64::MAX),
        TraceFlags::NOT_SAMPLED,
        true,
        TraceState::NONE,
    );
    Context::new().with_remote_span_context(nobody)
}

/// Puts the current span's context into the headers.
pub fn inject_http(headers: &mut HeaderMap) {
    let context = current();
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

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::span;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn traced<T>(act: impl FnOnce() -> T) -> T {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let tracers = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(tracers.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act)
    }

    fn sent() -> String {
        let mut sent = HeaderMap::new();
        inject_http(&mut sent);
        sent["traceparent"].to_str().unwrap().to_owned()
    }

    /// W3C Trace Context: the trace's id goes through, the parent's id becomes this span's.
    #[test]
    fn a_trace_goes_through_this_process() {
        traced(|| {
            let mut received = HeaderMap::new();
            received.insert("traceparent", HeaderValue::from_static(PARENT));
            let span = span::http_server("GET", None, &received);
            let parent = span.in_scope(sent);
            assert!(parent.starts_with(&PARENT[..36]), "{parent}");
            assert!(parent.ends_with("-01"), "{parent}");
            assert_ne!(parent, PARENT);
        });
    }

    #[test]
    fn nobody_records_what_comes_of_a_probe() {
        traced(|| {
            let parent = span::unrecorded()
                .in_scope(|| span::rpc_client("/writeback.v1.Ledger/GetOperation").in_scope(sent));
            assert!(parent.ends_with("-00"), "{parent}");
        });
    }
}
