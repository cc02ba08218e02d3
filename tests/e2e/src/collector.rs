//! A trace collector: OTLP over gRPC, at the address the lab's services send their traces to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// One span as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `writeback-intake` and the like.
    pub service: String,
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty if it is the first of its trace.
    pub parent: String,
    /// OTLP's number: 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    pub failed: bool,
    pub attributes: BTreeMap<String, String>,
    /// Everything of it, to be searched for what must not be there.
    pub raw: String,
}

impl Seen {
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<Seen>>>);

/// Listens until it is dropped.
pub struct Collector {
    received: Received,
    server: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Collector {
    pub async fn listen() -> anyhow::Result<Self> {
        let address = ("127.0.0.1", lab::TRACES_PORT);
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("somebody else collects traces at {address:?}"))?;
        let received = Received::default();
        let service = TraceServiceServer::new(received.clone());
        let server = tokio::spawn(async move {
            // it ends with the test
            let _ = Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await;
        });
        Ok(Self { received, server })
    }

    /// Everything that has come so far.
    pub fn all(&self) -> Vec<Seen> {
        self.received
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map(|resource| resource.attributes);
            let service = attributes
                .as_deref()
                .map(to_map)
                .and_then(|mut attributes| attributes.remove("service.name"))
                .unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|s| s.spans);
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(spans.map(|span| seen(&service, span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn seen(service: &str, span: Span) -> Seen {
    Seen {
        service: service.to_owned(),
        raw: format!("{span:?}"),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        kind: span.kind,
        failed: span.status.is_some_and(|status| status.code == 2),
        attributes: to_map(&span.attributes),
        name: span.name,
    }
}

fn to_map(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes
        .iter()
        .map(|attribute| (attribute.key.clone(), text(attribute.value.as_ref())))
        .collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // writing to a string does not fail
        let _ = write!(text, "{byte:02x}");
        text
    })
}
