//! What the bus tells of itself: the trace context in message headers, a span for each message, and
//! how long publishing and processing took.

use std::{collections::HashMap, sync::OnceLock, time::Instant};

use lapin::types::{AMQPValue, FieldTable};
use opentelemetry::{Context, KeyValue, global, metrics::Histogram};
use telemetry::{context, metric};

/// The current span's context as headers.
pub(crate) fn headers() -> FieldTable {
    let mut carrier = HashMap::new();
    let context = context::current();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut carrier));
    let mut headers = FieldTable::default();
    for (key, value) in carrier {
        headers.insert(key.into(), AMQPValue::LongString(value.into()));
    }
    headers
}

/// The context a message came with.
pub(crate) fn context(headers: &FieldTable) -> Context {
    let carrier: HashMap<String, String> = headers
        .inner()
        .iter()
        .filter_map(|(key, value)| match value {
            AMQPValue::LongString(text) => Some((key.to_string(), text.to_string())),
            _ => None,
        })
        .collect();
    global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &carrier)
    })
}

/// One attempt to publish: `error` is empty or one of a small set of words.
pub(crate) fn published(destination: &str, error: &'static str, began: Instant) {
    static DURATIONS: OnceLock<Histogram<f64>> = OnceLock::new();
    DURATIONS
        .get_or_init(|| {
            metric::seconds(
                "messaging.client.operation.duration",
                "How long publishing took, until the broker's confirm",
            )
        })
        .record(
            began.elapsed().as_secs_f64(),
            &[
                KeyValue::new("messaging.destination.name", destination.to_owned()),
                KeyValue::new("error.type", error),
            ],
        );
}

/// One message, from its delivery until it was settled.
pub(crate) fn processed(destination: &str, settled: &'static str, began: Instant) {
    static DURATIONS: OnceLock<Histogram<f64>> = OnceLock::new();
    DURATIONS
        .get_or_init(|| {
            metric::seconds(
                "messaging.process.duration",
                "How long a message was held, from its delivery until it was settled",
            )
        })
        .record(
            began.elapsed().as_secs_f64(),
            &[
                KeyValue::new("messaging.destination.name", destination.to_owned()),
                KeyValue::new("settled", settled),
            ],
        );
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
    use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
    use telemetry::span;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_trace_goes_along_in_the_headers() {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let tracers = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(tracers.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let publish = span::publish("writeback.requests", "writeback.requests", "1", 0);
            let received = publish.in_scope(|| context(&headers()));
            let sent = publish.in_scope(context::current);
            assert!(received.span().span_context().is_valid());
            assert_eq!(
                received.span().span_context().span_id(),
                sent.span().span_context().span_id(),
                "what is processed is a child of what was published"
            );
        });
        let nothing = context(&FieldTable::default());
        assert!(!nothing.span().span_context().is_valid());
    }
}
