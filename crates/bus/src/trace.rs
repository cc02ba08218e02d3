//! The W3C trace context in message headers.

use std::collections::HashMap;

use lapin::types::{AMQPValue, FieldTable};
use opentelemetry::{Context, global};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The current span's context as headers.
pub(crate) fn headers() -> FieldTable {
    let mut carrier = HashMap::new();
    let context = tracing::Span::current().context();
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
    global::get_text_map_propagator(|propagator| propagator.extract(&carrier))
}
