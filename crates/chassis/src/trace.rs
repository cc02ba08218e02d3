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

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
    use tonic::{Request, metadata::MetadataMap};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::rpc;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// W3C Trace Context: the trace's id goes through, the parent's id becomes this span's.
    #[test]
    fn a_trace_goes_through_this_process() {
        use opentelemetry::trace::TracerProvider as _;
        global::set_text_map_propagator(TraceContextPropagator::new());
        let tracers = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(tracers.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let mut received = HeaderMap::new();
            received.insert("traceparent", HeaderValue::from_static(PARENT));
            let span = tracing::info_span!("work", trace_id = tracing::field::Empty);
            continue_from(&span, extract_http(&received));
            span.in_scope(|| {
                let mut sent = HeaderMap::new();
                inject_http(&mut sent);
                let parent = sent["traceparent"].to_str().unwrap();
                assert!(parent.starts_with(&PARENT[..36]), "{parent}");
                assert_ne!(parent, PARENT);
                let request = rpc::inject(Request::new(()));
                let context = rpc::extract(request.metadata());
                assert_eq!(
                    context.span().span_context().trace_id().to_string(),
                    PARENT[3..35]
                );
            });
        });
        let nothing = rpc::extract(&MetadataMap::new());
        assert!(!nothing.span().span_context().is_valid());
    }
}
