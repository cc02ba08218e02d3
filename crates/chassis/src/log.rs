//! The log: one line per event on standard error, JSON for machines, plain text for a terminal.
//!
//! Each line says on its own which trace and which operation it belongs to; both are taken from the
//! spans around it, so that nobody has to repeat them.

use std::{
    fmt::{self, Write as _},
    io,
};

use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Map, Value};
use telemetry::{context::is_told, span::OPERATION_ID};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    dispatcher::WeakDispatch,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    fmt::MakeWriter,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

const MESSAGE: &str = "message";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Text { colours: bool },
}

/// Writes the lines.
pub(crate) struct Lines<W> {
    form: Form,
    /// The process, as the configuration names it.
    service: String,
    writer: W,
    dispatch: std::sync::OnceLock<WeakDispatch>,
}

impl<W> Lines<W> {
    pub(crate) const fn new(form: Form, service: String, writer: W) -> Self {
        Self {
            form,
            service,
            writer,
            dispatch: std::sync::OnceLock::new(),
        }
    }

    /// The trace the span belongs to, unless nobody records it.
    fn trace<'a, S: LookupSpan<'a>>(&self, span: &SpanRef<'a, S>) -> Option<(String, String)> {
        let dispatch = self.dispatch.get()?.upgrade()?;
        let context = tracing_opentelemetry::get_otel_context(&span.id(), &dispatch)?;
        let span = context.span();
        let span = span.span_context();
        is_told(span).then(|| (span.trace_id().to_string(), span.span_id().to_string()))
    }
}

/// A span's operation, kept with the span.
struct OperationId(String);

/// Takes the operation's id out of a span's fields.
#[derive(Default)]
struct FindOperation(Option<String>);

impl Visit for FindOperation {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == OPERATION_ID {
            self.0 = Some(value.to_owned());
        }
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == OPERATION_ID {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

/// Takes down an event's fields.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        // a field of a line's own name would hide it
        let name = match field.name() {
            name @ ("timestamp" | "level" | "target" | "service" | "trace_id" | "span_id") => {
                format!("field.{name}")
            }
            name => name.to_owned(),
        };
        self.0.insert(name, value);
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}").into());
    }
}

struct Line<'a> {
    at: String,
    metadata: &'a Metadata<'a>,
    service: &'a str,
    trace: Option<(String, String)>,
    operation: Option<String>,
    fields: Map<String, Value>,
}

impl Line<'_> {
    fn json(self) -> String {
        let mut line = Map::new();
        let mut set = |name: &str, value: Value| line.insert(name.to_owned(), value);
        set("timestamp", self.at.into());
        set("level", self.metadata.level().as_str().into());
        set("target", self.metadata.target().into());
        set("service", self.service.into());
        if let Some((trace, span)) = self.trace {
            set("trace_id", trace.into());
            set("span_id", span.into());
        }
        if let Some(operation) = self.operation {
            set("operation_id", operation.into());
        }
        line.extend(self.fields);
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        text
    }

    fn text(mut self, colours: bool) -> String {
        let level = *self.metadata.level();
        let (colour, dim, plain) = match (colours, level) {
            (false, _) => ("", "", ""),
            (true, Level::ERROR) => ("\x1b[31m", "\x1b[2m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[33m", "\x1b[2m", "\x1b[0m"),
            (true, Level::INFO) => ("\x1b[32m", "\x1b[2m", "\x1b[0m"),
            (true, _) => ("\x1b[34m", "\x1b[2m", "\x1b[0m"),
        };
        let message = self.fields.remove(MESSAGE);
        let message = message.as_ref().and_then(Value::as_str).unwrap_or_default();
        // the time of day is enough for whoever is watching
        let at = self.at.get(11..23).unwrap_or(&self.at);
        let mut text = String::new();
        // writing to a string does not fail
        let _ = write!(text, "{dim}{at}{plain} {colour}{level:5}{plain} {message}");
        for (name, value) in &self.fields {
            let _ = match value {
                Value::String(value) if !value.contains([' ', '"', '\n']) => {
                    write!(text, " {dim}{name}={plain}{value}")
                }
                value => write!(text, " {dim}{name}={plain}{value}"),
            };
        }
        if let Some(operation) = &self.operation {
            let _ = write!(text, " {dim}operation_id={operation}{plain}");
        }
        if let Some((trace, _)) = &self.trace {
            let _ = write!(text, " {dim}trace_id={trace}{plain}");
        }
        text.push('\n');
        text
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // one subscriber per process, and per test
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut found = FindOperation::default();
        attributes.record(&mut found);
        keep(found, id, &context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut found = FindOperation::default();
        values.record(&mut found);
        keep(found, id, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = context.event_span(event);
        let operation = context.event_scope(event).and_then(|mut spans| {
            spans.find_map(|span| {
                let extensions = span.extensions();
                extensions.get::<OperationId>().map(|id| id.0.clone())
            })
        });
        let line = Line {
            at: OffsetDateTime::now_utc()
                .format(&Rfc3339)
                .unwrap_or_default(),
            metadata: event.metadata(),
            service: &self.service,
            trace: span.and_then(|span| self.trace(&span)),
            operation,
            fields: fields.0,
        };
        let text = match self.form {
            Form::Json => line.json(),
            Form::Text { colours } => line.text(colours),
        };
        // nobody is left to be told if standard error is gone
        let _ = io::Write::write_all(
            &mut self.writer.make_writer_for(event.metadata()),
            text.as_bytes(),
        );
    }
}

fn keep<S: Subscriber + for<'a> LookupSpan<'a>>(
    found: FindOperation,
    id: &Id,
    context: &Context<'_, S>,
) {
    if let (Some(operation), Some(span)) = (found.0, context.span(id)) {
        span.extensions_mut().replace(OperationId(operation));
    }
}

#[cfg(test)]
mod tests;
