//! A trace collector that keeps what it is sent, byte for byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::transport::{Server, server::TcpIncoming};

const LARGEST: usize = 16 << 20;

type Kept = Arc<Mutex<Vec<Vec<u8>>>>;

pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    kept: Kept,
    server: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Collector {
    pub(crate) async fn listen() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let kept = Kept::default();
        let keeping = axum::Router::new()
            .fallback(keep)
            .with_state(Arc::clone(&kept));
        let server = tokio::spawn(async move {
            // it ends with the test
            let _ = Server::builder()
                .add_routes(Routes::from(keeping))
                .serve_with_incoming(TcpIncoming::from(listener))
                .await;
        });
        Ok(Self {
            address,
            kept,
            server,
        })
    }

    pub(crate) fn kept(&self) -> Vec<Vec<u8>> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// An empty answer is all that OTLP needs: a message of length 0.
async fn keep(State(kept): State<Kept>, request: Request<Body>) -> Response<Body> {
    let body = to_bytes(request.into_body(), LARGEST)
        .await
        .unwrap_or_default();
    kept.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(body.to_vec());
    let mut response = Response::new(Body::from(vec![0_u8; 5]));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static("0"));
    response
}
