use std::sync::{Arc, Mutex};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use telemetry::span;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(form: Form, act: impl FnOnce()) -> String {
    let written = Written::default();
    let writer = written.clone();
    let lines = Lines::new(form, "writer-corp-1".to_owned(), move || writer.clone());
    let tracers = SdkTracerProvider::builder().build();
    let subscriber = tracing_subscriber::registry()
        .with(crate::telemetry::logged(lines, "warn").unwrap())
        .with(tracing_opentelemetry::layer().with_tracer(tracers.tracer("test")));
    tracing::subscriber::with_default(subscriber, act);
    String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
}

fn in_doubt() {
    let process = span::process(
        "writeback.forests:corp",
        "corp",
        9,
        opentelemetry::Context::new(),
    );
    process.in_scope(|| {
        span::current_belongs_to("0193b0de-0000-7000-8000-000000000001");
        span::ldap("modify", "dc1.corp.example.com", 636).in_scope(|| {
            tracing::info!("not asked for");
            tracing::warn!(problem = "no answer", attempts = 2, level = 3, "in doubt");
        });
    });
}

#[test]
fn a_line_of_json_stands_alone() {
    let text = written(Form::Json, in_doubt);
    let line: Value = serde_json::from_str(&text).expect("one line of JSON");
    let member = |name: &str| line.get(name).cloned().unwrap_or_default();
    assert_eq!(member("message"), "in doubt");
    assert_eq!(member("level"), "WARN");
    assert_eq!(member("service"), "writer-corp-1");
    assert_eq!(
        member("operation_id"),
        "0193b0de-0000-7000-8000-000000000001",
        "taken from the span around the one it happened in"
    );
    assert_eq!(member("trace_id").as_str().map(str::len), Some(32));
    assert_eq!(member("span_id").as_str().map(str::len), Some(16));
    assert_eq!(member("problem"), "no answer");
    assert_eq!(member("attempts"), 2);
    assert_eq!(member("field.level"), 3, "the line's own level is kept");
    assert!(member("timestamp").as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_line_without_an_operation_claims_none() {
    let text = written(Form::Json, || tracing::error!("cannot start"));
    let line: Value = serde_json::from_str(&text).unwrap();
    assert!(line.get("operation_id").is_none() && line.get("trace_id").is_none());
}

#[test]
fn a_line_of_what_nobody_records_bears_no_trace() {
    let text = written(Form::Json, || {
        let probe = span::unrecorded();
        let call = probe.in_scope(|| span::rpc_client("/writeback.v1.Ledger/GetOperation"));
        for span in [probe, call] {
            span.in_scope(|| tracing::warn!("no answer"));
        }
        // and not where it was sent to
        let mut headers = http::HeaderMap::new();
        let nobody = format!("00-{}-{}-00", "f".repeat(32), "f".repeat(16));
        headers.insert("traceparent", nobody.parse().unwrap());
        let propagator = opentelemetry_sdk::propagation::TraceContextPropagator::new();
        opentelemetry::global::set_text_map_propagator(propagator);
        span::rpc_server("/writeback.v1.Ledger/GetOperation", &headers)
            .in_scope(|| tracing::warn!("the database is away"));
    });
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(
        !text.contains("trace_id") && !text.contains("span_id"),
        "{text}"
    );
}

#[test]
fn a_line_of_text_is_for_reading() {
    let text = written(Form::Text { colours: false }, in_doubt);
    assert!(
        text.contains(" WARN  in doubt attempts=2 field.level=3 problem=\"no answer\""),
        "{text}"
    );
    assert!(text.contains("operation_id=0193b0de-"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    assert_eq!(text.lines().count(), 1);
    let coloured = written(Form::Text { colours: true }, in_doubt);
    assert!(coloured.contains('\x1b'));
}

#[test]
fn a_newline_in_a_value_does_not_make_a_second_line() {
    for form in [Form::Json, Form::Text { colours: false }] {
        let text = written(form, || {
            tracing::error!(cause = "a\nlevel=INFO forged", "no");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
