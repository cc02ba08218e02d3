//! What gRPC tells of itself: a span for each call on both sides, in one trace, and how long it took.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    task::{Context, Poll},
    time::Instant,
};

use http::{HeaderMap, Request, Response};
use opentelemetry::{KeyValue, metrics::Histogram};
use telemetry::{context, metric, span};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service, ServiceExt as _};
use tracing::Instrument as _;

use super::replicas::{Chosen, Replicas};

type Answering<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

/// A status that is told before the body; a stream may still end with another.
fn status(headers: &HeaderMap) -> i32 {
    headers
        .get("grpc-status")
        .and_then(|status| status.to_str().ok()?.parse().ok())
        .unwrap_or(0)
}

/// What is to be done with a call's status. A call that is given up before its answer was cancelled.
struct Ending<F: FnOnce(i32)>(Option<F>);

impl<F: FnOnce(i32)> Ending<F> {
    const fn new(tell: F) -> Self {
        Self(Some(tell))
    }

    fn with(mut self, status: i32) {
        if let Some(tell) = self.0.take() {
            tell(status);
        }
    }
}

impl<F: FnOnce(i32)> Drop for Ending<F> {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            tell(Code::Cancelled.into());
        }
    }
}

/// The channel to audit's replicas: a new call takes the newest there is. Cheap to clone.
///
/// Nobody keeps one that was replaced longer than for a call: without its last user it ends what it was given and closes.
#[derive(Debug, Clone)]
pub struct LedgerChannel {
    replicas: Arc<RwLock<Replicas>>,
    /// For a call that is given to this one.
    chosen: Option<Chosen>,
}

impl LedgerChannel {
    pub(super) fn new(replicas: Replicas) -> Self {
        Self {
            replicas: Arc::new(RwLock::new(replicas)),
            chosen: None,
        }
    }

    pub(super) fn replace(&self, replicas: Replicas) {
        *self
            .replicas
            .write()
            .unwrap_or_else(PoisonError::into_inner) = replicas;
    }

    pub(super) fn choose(&self, tried: &[Chosen]) -> Option<Chosen> {
        let replicas = self.replicas.read();
        replicas
            .unwrap_or_else(PoisonError::into_inner)
            .choose(tried)
    }

    pub(super) fn over(&self, chosen: Chosen) -> Self {
        Self {
            replicas: Arc::clone(&self.replicas),
            chosen: Some(chosen),
        }
    }
}

impl Service<Request<Body>> for LedgerChannel {
    type Response = Response<Body>;
    type Error = tower::BoxError;
    type Future = Answering<Self::Response, Self::Error>;

    /// Each call waits for its own channel.
    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let span = span::rpc_client(request.uri().path());
        let chosen = self.chosen.take().or_else(|| self.choose(&[]));
        let answering = span.in_scope(|| {
            context::inject_http(request.headers_mut());
            let chosen = chosen.as_ref();
            chosen.map(|chosen| chosen.channel.clone().oneshot(request))
        });
        let observed = span.clone();
        let ending = Ending::new(move |code| span::rpc_answered_client(&observed, code));
        let call = async move {
            let (Some(chosen), Some(answering)) = (chosen, answering) else {
                return Err(Status::unavailable("no replica is known").into());
            };
            let answer = answering.await;
            ending.with(if let Ok(response) = &answer {
                chosen.answered();
                status(response.headers())
            } else {
                chosen.lost();
                Code::Unavailable.into()
            });
            Ok(answer?)
        };
        Box::pin(call.instrument(span))
    }
}

/// Put around a server, it makes each call a span in the caller's trace, and measures it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ObserveCalls;

#[derive(Debug, Clone)]
pub struct ObservedCalls<S>(S);

impl<S> Layer<S> for ObserveCalls {
    type Service = ObservedCalls<S>;
    fn layer(&self, inner: S) -> Self::Service {
        ObservedCalls(inner)
    }
}

impl<S, B, R> Service<Request<B>> for ObservedCalls<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answering<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let began = Instant::now();
        let path = request.uri().path().to_owned();
        let span = span::rpc_server(&path, request.headers());
        let answering = span.in_scope(|| self.0.call(request));
        let observed = span.clone();
        let ending = Ending::new(move |code| {
            span::rpc_answered_server(&observed, code);
            measure(&path, code, began);
        });
        let call = async move {
            let answer = answering.await;
            ending.with(match &answer {
                Ok(response) => status(response.headers()),
                Err(_) => Code::Internal.into(),
            });
            answer
        };
        Box::pin(call.instrument(span))
    }
}

fn measure(path: &str, code: i32, began: Instant) {
    static DURATIONS: OnceLock<Histogram<f64>> = OnceLock::new();
    // a procedure that is not implemented here is of the caller's making
    let (service, method) = if code == i32::from(Code::Unimplemented) {
        (span::OTHER, span::OTHER)
    } else {
        span::procedure(path)
    };
    DURATIONS
        .get_or_init(|| {
            metric::seconds(
                "rpc.server.call.duration",
                "How long gRPC calls took, a stream until its first answer",
            )
        })
        .record(
            began.elapsed().as_secs_f64(),
            &[
                KeyValue::new("rpc.service", service.to_owned()),
                KeyValue::new("rpc.method", method.to_owned()),
                KeyValue::new("rpc.grpc.status_code", i64::from(code)),
            ],
        );
}

#[cfg(test)]
mod tests;
