//! Logs to standard error, metrics for `/metrics`, traces to the collector if one is configured.

use std::{
    io::IsTerminal as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use opentelemetry::{KeyValue, global, metrics::Counter, trace::TracerProvider as _};
use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::SdkMeterProvider,
    propagation::TraceContextPropagator,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
    },
};
use prometheus::Registry;
use tonic::transport::ClientTlsConfig;
use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt as _, filter_fn},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::{
    config::{Config, LogFormat, Telemetry as Settings},
    discretion,
    log::{Form, Lines},
    process,
    program::Program,
};

/// What is logged unless somebody asks for something else. The broker's client writes several errors of
/// its own for each connection that ends: the loss is told by whoever used the connection.
pub(crate) const LOG_FILTER: &str = "info,lapin=off";

const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);
const EXPORT_EVERY: Duration = Duration::from_secs(1);
/// Spans that wait for the collector, and no more: a collector that is away costs them, not memory.
const MOST_WAITING: usize = 2048;
const MOST_AT_ONCE: usize = 512;

#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    #[error("`telemetry.log_filter`, or RUST_LOG: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("`telemetry.trace_sample_ratio`: it must lie between 0 and 1")]
    Ratio,
    #[error("`telemetry.otlp_endpoint`: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("metrics cannot be set up: {0}")]
    Metrics(#[from] opentelemetry_sdk::error::OTelSdkError),
    #[error("logging was set up before: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

pub(crate) struct Telemetry {
    pub(crate) metrics: Registry,
    meters: SdkMeterProvider,
    tracers: SdkTracerProvider,
}

/// Must run inside a Tokio runtime: the exporter's connection lives in it.
pub(crate) fn start(program: Program, config: &Config) -> Result<Telemetry, TelemetryError> {
    let resource = Resource::builder_empty()
        .with_service_name(program.name)
        .with_attributes([
            KeyValue::new("service.instance.id", config.service.name.clone()),
            KeyValue::new("service.version", program.version),
        ])
        .build();
    global::set_text_map_propagator(TraceContextPropagator::new());

    // before the tracers: what their exporter counts must be counted
    let metrics = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(metrics.clone())
        .scope_info_enabled(false)
        .build()?;
    let meters = SdkMeterProvider::builder()
        .with_resource(resource.clone())
        .with_reader(exporter)
        .build();
    global::set_meter_provider(meters.clone());

    let tracers = tracers(&config.telemetry, resource)?;
    let terminal = std::io::stderr().is_terminal();
    let json = match config.telemetry.log_format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let form = if json {
        Form::Json
    } else {
        Form::Text { colours: terminal }
    };
    let lines = Lines::new(form, config.service.name.clone(), std::io::stderr);
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let lines = logged(lines, filter(&config.telemetry, asked.as_deref()))?;
    tracing_subscriber::registry()
        .with(lines)
        .with(traced(&tracers))
        .try_init()?;
    process::observe();
    Ok(Telemetry {
        metrics,
        meters,
        tracers,
    })
}

/// The configuration says it, or else the environment (`RUST_LOG`).
fn filter<'a>(settings: &'a Settings, asked: Option<&'a str>) -> &'a str {
    let configured = settings.log_filter.as_deref();
    configured
        .or(asked.filter(|asked| !asked.is_empty()))
        .unwrap_or(LOG_FILTER)
}

/// The log's filter is for lines alone: a span that it left out would take the operation's id away
/// from the lines in it.
pub(crate) fn logged<S>(
    lines: impl Layer<S>,
    filter: &str,
) -> Result<impl Layer<S>, tracing_subscriber::filter::ParseError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = EnvFilter::builder().parse(filter)?;
    let spans = filter_fn(|metadata| metadata.is_span() && *metadata.level() <= Level::INFO)
        .with_max_level_hint(LevelFilter::INFO);
    let discreet = filter_fn(discretion::may_be_shown).with_max_level_hint(LevelFilter::TRACE);
    Ok(lines.with_filter(filter.or(spans).and(discreet)))
}

/// Every span, whatever the log shows; of the lines only those that tell of trouble.
fn traced<S>(tracers: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracers.tracer("writeback"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_filter(
            filter_fn(|metadata| {
                *metadata.level() <= Level::WARN
                    || (metadata.is_span() && *metadata.level() <= Level::INFO)
            })
            .with_max_level_hint(LevelFilter::INFO),
        )
}

/// Without a collector nothing is recorded, but a trace's id still goes from hop to hop and into
/// every line, so that the lines of one operation can be found by it.
fn tracers(settings: &Settings, resource: Resource) -> Result<SdkTracerProvider, TelemetryError> {
    if !(0.0..=1.0).contains(&settings.trace_sample_ratio) {
        return Err(TelemetryError::Ratio);
    }
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let Some(endpoint) = &settings.otlp_endpoint else {
        let nothing = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        return Ok(builder.with_sampler(nothing).build());
    };
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT);
    if endpoint.starts_with("https://") {
        exporter = exporter.with_tls_config(ClientTlsConfig::new().with_native_roots());
    }
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(MOST_WAITING)
        .with_max_export_batch_size(MOST_AT_ONCE)
        .with_scheduled_delay(EXPORT_EVERY)
        .build();
    let exporter = Exporter {
        inner: exporter.build()?,
        endpoint: endpoint.clone(),
        lost: AtomicU64::new(0),
        exported: telemetry::metric::counter(
            "writeback.telemetry.spans",
            "Spans by whether the collector took them",
        ),
    };
    exporter.count(0, "exported");
    exporter.count(0, "lost");
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batches)
        .build();
    let ratio = Sampler::TraceIdRatioBased(settings.trace_sample_ratio);
    Ok(builder
        .with_sampler(Sampler::ParentBased(Box::new(ratio)))
        .with_span_processor(processor)
        .build())
}

/// Says once that the collector is away, and once that it is back.
#[derive(Debug)]
struct Exporter<E> {
    inner: E,
    endpoint: String,
    /// Since the collector went away.
    lost: AtomicU64,
    exported: Counter<u64>,
}

impl<E> Exporter<E> {
    fn count(&self, spans: u64, result: &'static str) {
        self.exported.add(spans, &[KeyValue::new("result", result)]);
    }
}

impl<E: SpanExporter> SpanExporter for Exporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match self.inner.export(batch).await {
            Ok(()) => {
                self.count(spans, "exported");
                let lost = self.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::info!(
                        endpoint = self.endpoint,
                        lost,
                        "the trace collector is back"
                    );
                }
                Ok(())
            }
            Err(error) => {
                self.count(spans, "lost");
                if self.lost.fetch_add(spans, Ordering::Relaxed) == 0 {
                    tracing::warn!(
                        endpoint = self.endpoint,
                        %error,
                        "the trace collector takes no spans; they are dropped until it does"
                    );
                }
                Err(error)
            }
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl Telemetry {
    /// Sends what is left. Blocks, so it must run outside the runtime's own threads and while the
    /// runtime still lives; on them it would wait for itself (opentelemetry-rust#2715).
    pub(crate) fn flush(self) {
        if let Err(error) = self.tracers.shutdown_with_timeout(EXPORT_TIMEOUT) {
            tracing::debug!(%error, "the last traces were not sent");
        }
        if let Err(error) = self.meters.shutdown() {
            tracing::debug!(%error, "metrics did not shut down");
        }
    }
}

#[cfg(test)]
mod tests;
