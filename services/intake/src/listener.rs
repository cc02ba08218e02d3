//! The door's connections: plain, or with TLS ended here. HTTP/1.1.
//!
//! Nobody can hold one open without sending: handshake and request head have a time-out each, and
//! there are only so many.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use chassis::tls::ServerTls;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const HANDSHAKE_TIME_OUT: Duration = Duration::from_secs(10);
/// Also the longest a connection stays open between two requests.
const HEAD_TIME_OUT: Duration = Duration::from_mins(1);
const MOST_CONNECTIONS: usize = 4096;
/// After an accept that failed, out of file descriptors for one (accept(2)).
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

pub(crate) struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    tls: Option<ServerTls>,
}

impl Listener {
    pub(crate) async fn bind(address: SocketAddr, tls: Option<ServerTls>) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        let address = tcp.local_addr()?;
        Ok(Self { tcp, address, tls })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) const fn ends_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves until shutdown is asked, and then until every request under way has its answer.
    pub(crate) async fn serve(self, router: Router, shutdown: &CancellationToken) {
        let Self { tcp, tls, .. } = self;
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let connections = TaskTracker::new();
        let accepting = async {
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return;
                };
                let stream = match tcp.accept().await {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not accepted");
                        tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                        continue;
                    }
                };
                let connection = connect(
                    stream,
                    tls.clone(),
                    router.clone(),
                    graceful.watcher(),
                    shutdown.clone(),
                );
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
        };
        shutdown.run_until_cancelled(accepting).await;
        drop(tcp);
        graceful.shutdown().await;
        connections.close();
        connections.wait().await;
    }
}

async fn connect(
    stream: TcpStream,
    tls: Option<ServerTls>,
    router: Router,
    watcher: Watcher,
    shutdown: CancellationToken,
) {
    // an answer is one small write: waiting for more would only delay it
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return converse(stream, router, watcher).await;
    };
    let acceptor = TlsAcceptor::from(tls.current());
    let handshake = timeout(HANDSHAKE_TIME_OUT, acceptor.accept(stream));
    match shutdown.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => converse(stream, router, watcher).await,
        Some(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
        Some(Err(_)) => tracing::debug!("a TLS handshake took too long"),
        None => {}
    }
}

async fn converse<S>(stream: S, router: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_OUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests;
