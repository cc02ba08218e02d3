//! Logs to standard error, metrics for `/metrics`, traces to the collector if one is configured.

use std::{io::IsTerminal as _, time::Duration};

use opentelemetry::{global, metrics::Meter, trace::TracerProvider as _};
use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource, metrics::SdkMeterProvider, propagation::TraceContextPropagator,
    trace::SdkTracerProvider,
};
use prometheus::Registry;
use tonic::transport::ClientTlsConfig;
use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::{Config, LogFormat};

const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);

/// The meter every instrument is made with; what it records is served at `/metrics`.
pub fn meter() -> Meter {
    global::meter("writeback")
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    #[error("`telemetry.log_filter`: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
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
    tracers: Option<SdkTracerProvider>,
}

/// Must run inside a Tokio runtime: the exporter's connection lives in it.
pub(crate) fn start(kind: &'static str, config: &Config) -> Result<Telemetry, TelemetryError> {
    let resource = Resource::builder()
        .with_service_name(format!("writeback-{kind}"))
        .with_attribute(opentelemetry::KeyValue::new(
            "service.instance.id",
            config.service.name.clone(),
        ))
        .build();
    global::set_text_map_propagator(TraceContextPropagator::new());

    let tracers = match &config.telemetry.otlp_endpoint {
        Some(endpoint) => Some(tracers(endpoint, resource.clone())?),
        None => None,
    };
    // without an exporter there is no layer: an id of a trace nobody keeps helps nobody
    let spans = tracers
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("writeback")));

    let filter = EnvFilter::builder().parse(&config.telemetry.log_filter)?;
    let terminal = std::io::stderr().is_terminal();
    let json = match config.telemetry.log_format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if json {
        lines.json().flatten_event(true).boxed()
    } else {
        lines.with_ansi(terminal).boxed()
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(spans)
        .try_init()?;

    let metrics = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(metrics.clone())
        .scope_info_enabled(false)
        .build()?;
    let meters = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_reader(exporter)
        .build();
    global::set_meter_provider(meters.clone());
    Ok(Telemetry {
        metrics,
        meters,
        tracers,
    })
}

fn tracers(
    endpoint: &str,
    resource: Resource,
) -> Result<SdkTracerProvider, opentelemetry_otlp::ExporterBuildError> {
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT);
    if endpoint.starts_with("https://") {
        exporter = exporter.with_tls_config(ClientTlsConfig::new().with_native_roots());
    }
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter.build()?)
        .build())
}

impl Telemetry {
    /// Sends what is left. Blocks, so it must run outside the runtime's own threads and while the
    /// runtime still lives; on them it would wait for itself (opentelemetry-rust#2715).
    pub(crate) fn flush(self) {
        if let Some(tracers) = self.tracers
            && let Err(error) = tracers.shutdown_with_timeout(EXPORT_TIMEOUT)
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
        if let Err(error) = self.meters.shutdown() {
            tracing::debug!(%error, "metrics did not shut down");
        }
    }
}
