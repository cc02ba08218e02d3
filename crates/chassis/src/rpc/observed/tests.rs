use std::sync::{Arc, Mutex};

use opentelemetry::{
    global,
    trace::{SpanContext, TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_client::TraceServiceClient,
    trace_service_server::{TraceService, TraceServiceServer},
};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Endpoint, Server};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

#[test]
fn a_status_before_the_body_is_read() {
    let mut headers = HeaderMap::new();
    assert_eq!(status(&headers), 0);
    headers.insert("grpc-status", http::HeaderValue::from_static("14"));
    assert_eq!(status(&headers), 14);
}

#[test]
fn a_call_given_up_was_cancelled() {
    let told = Mutex::new(Vec::new());
    let ending = || Ending::new(|code| told.lock().unwrap().push(code));
    ending().with(0);
    drop(ending());
    assert_eq!(*told.lock().unwrap(), [0, 1]);
}

/// Any service does: this one notes which span it is called in.
#[derive(Clone, Default)]
struct Called(Arc<Mutex<Vec<SpanContext>>>);

fn here() -> SpanContext {
    context::current().span().span_context().clone()
}

#[tonic::async_trait]
impl TraceService for Called {
    async fn export(
        &self,
        _request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.lock().unwrap().push(here());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test]
async fn a_call_is_in_the_callers_trace() {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let tracers = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(tracers.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer);
    let _traced = tracing::subscriber::set_default(subscriber);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let called = Called::default();
    let server = tokio::spawn(
        Server::builder()
            .layer(ObserveCalls)
            .add_service(TraceServiceServer::new(called.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = LedgerChannel::new(Replicas::new(vec![endpoint]));
    let mut client = TraceServiceClient::new(channel);
    let request = tracing::info_span!("request");
    let asked = async {
        client
            .export(ExportTraceServiceRequest::default())
            .await
            .unwrap();
        here()
    }
    .instrument(request)
    .await;
    server.abort();
    let called = called.0.lock().unwrap().clone();
    let [within] = called.as_slice() else {
        panic!("called {} times", called.len());
    };
    assert!(asked.is_valid());
    assert_eq!(within.trace_id(), asked.trace_id());
    assert_ne!(within.span_id(), asked.span_id(), "a span of its own");
}
