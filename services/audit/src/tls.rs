//! The gRPC listener's connections, where TLS is ended here: each by the certificate that is in force when it comes.
//!
//! Nobody can hold up others: handshakes are made side by side, and each has a time-out.

use std::{io, time::Duration};

use chassis::tls::ServerTls;
use futures_util::{Stream, stream};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

const HANDSHAKE_TIME_OUT: Duration = Duration::from_secs(10);
/// At a time; further ones wait in the kernel's queue.
const MOST_HANDSHAKES: usize = 1024;
/// After an accept that failed, out of file descriptors for one (accept(2)).
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

type Connection = TlsStream<TcpStream>;

struct Incoming {
    tcp: TcpListener,
    tls: ServerTls,
    /// They end with it.
    handshakes: JoinSet<Option<Connection>>,
}

/// Those whose handshakes succeeded, without an end.
pub(crate) fn connections(
    tcp: TcpListener,
    tls: ServerTls,
) -> impl Stream<Item = io::Result<Connection>> {
    let incoming = Incoming {
        tcp,
        tls,
        handshakes: JoinSet::new(),
    };
    stream::unfold(incoming, |mut incoming| async move {
        let connection = incoming.next().await;
        Some((Ok(connection), incoming))
    })
}

impl Incoming {
    async fn next(&mut self) -> Connection {
        loop {
            tokio::select! {
                accepted = self.tcp.accept(), if self.handshakes.len() < MOST_HANDSHAKES => match accepted {
                    Ok((stream, _)) => {
                        let acceptor = TlsAcceptor::from(self.tls.current());
                        self.handshakes.spawn(handshake(stream, acceptor));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not accepted");
                        tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                    }
                },
                Some(ended) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = ended {
                        return connection;
                    }
                }
            }
        }
    }
}

async fn handshake(stream: TcpStream, acceptor: TlsAcceptor) -> Option<Connection> {
    // an answer is one small write: waiting for more would only delay it
    let _ = stream.set_nodelay(true);
    match timeout(HANDSHAKE_TIME_OUT, acceptor.accept(stream)).await {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
    }
}

#[cfg(test)]
mod tests;
