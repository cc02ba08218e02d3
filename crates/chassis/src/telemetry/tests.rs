use std::sync::{Arc, Mutex};

use opentelemetry_sdk::error::OTelSdkError;

use super::*;

/// A collector that is away or there, as told.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<bool>>);

impl SpanExporter for Collector {
    async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
        if *self.0.lock().unwrap() {
            Ok(())
        } else {
            Err(OTelSdkError::InternalFailure("refused".to_owned()))
        }
    }
}

fn span() -> SpanData {
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
    SpanData {
        span_context: SpanContext::empty_context(),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "write".into(),
        start_time: std::time::SystemTime::UNIX_EPOCH,
        end_time: std::time::SystemTime::UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: opentelemetry_sdk::trace::SpanEvents::default(),
        links: opentelemetry_sdk::trace::SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: opentelemetry::InstrumentationScope::default(),
    }
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_collector_that_is_away_is_told_of_once() {
    let written = Written::default();
    let writer = written.clone();
    let lines = Lines::new(Form::Json, String::new(), move || writer.clone());
    let collector = Collector::default();
    let exporter = Exporter {
        inner: collector.clone(),
        endpoint: "http://collector:4317".to_owned(),
        lost: AtomicU64::new(0),
        exported: telemetry::metric::counter("test", "test"),
    };
    let subscriber = tracing_subscriber::registry().with(logged(lines, "info").unwrap());
    tracing::subscriber::with_default(subscriber, || {
        for there in [false, false, false, true, true, false] {
            *collector.0.lock().unwrap() = there;
            let taken = futures_util::FutureExt::now_or_never(exporter.export(vec![span()]));
            assert_eq!(taken.unwrap().is_ok(), there);
        }
    });
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].contains("takes no spans"));
    assert!(lines[1].contains("is back") && lines[1].contains("\"lost\":3"));
    assert!(lines[2].contains("takes no spans"));
}

#[test]
fn a_ratio_beyond_one_is_refused() {
    let settings = Settings {
        trace_sample_ratio: 1.5,
        ..Settings::default()
    };
    assert!(matches!(
        tracers(&settings, Resource::builder_empty().build()),
        Err(TelemetryError::Ratio)
    ));
}

/// A caller that records its trace has it recorded here, and one that does not has not, whatever
/// the ratio; with no collector the ids go on all the same.
#[test]
fn the_callers_choice_is_kept() {
    use opentelemetry::trace::{
        Span as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        Tracer as _,
    };
    let settings = Settings::default();
    let tracers = tracers(&settings, Resource::builder_empty().build()).unwrap();
    let tracer = tracers.tracer("test");
    for flags in [TraceFlags::SAMPLED, TraceFlags::NOT_SAMPLED] {
        let caller = SpanContext::new(
            TraceId::from(7),
            SpanId::from(8),
            flags,
            true,
            TraceState::NONE,
        );
        let context = opentelemetry::Context::new().with_remote_span_context(caller);
        let span = tracer.start_with_context("request", &context);
        assert_eq!(span.span_context().trace_flags(), flags);
        assert_eq!(span.span_context().trace_id(), TraceId::from(7));
    }
    let root = tracer.start("request");
    assert!(root.span_context().is_valid());
    assert!(!root.span_context().is_sampled());
}

#[test]
fn the_broker_s_client_is_quiet_unless_somebody_asks() {
    let configured = |filter: Option<&str>| Settings {
        log_filter: filter.map(str::to_owned),
        ..Settings::default()
    };
    assert_eq!(filter(&configured(None), None), LOG_FILTER);
    assert_eq!(filter(&configured(None), Some("")), LOG_FILTER);
    assert_eq!(filter(&configured(None), Some("debug")), "debug");
    assert_eq!(filter(&configured(Some("info")), Some("debug")), "info");
    let shown = |filter: &str| {
        let subscriber = tracing_subscriber::registry().with(
            logged(
                tracing_subscriber::fmt::layer().with_writer(std::io::sink),
                filter,
            )
            .unwrap(),
        );
        tracing::subscriber::with_default(subscriber, || {
            let lapin = tracing::enabled!(target: "lapin::channels", Level::ERROR);
            (lapin, tracing::enabled!(Level::INFO))
        })
    };
    assert_eq!(shown(LOG_FILTER), (false, true));
    assert_eq!(shown("info"), (true, true));
}
