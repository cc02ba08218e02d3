//! A wire to the broker that can be cut.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Whole,
    Cut,
}

/// Forwards to the broker. Cut, it drops its connections and takes no new ones.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// What its certificate is issued by, when it speaks TLS.
    pub(crate) authority: Option<String>,
    wire: watch::Sender<Wire>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub(crate) async fn plain(to: SocketAddr) -> anyhow::Result<Self> {
        Self::start(to, None).await
    }

    /// Ends TLS, as a broker's port for it would.
    pub(crate) async fn tls(to: SocketAddr) -> anyhow::Result<Self> {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(
            certified.signing_key.serialize_der(),
        ));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)?;
        Self::start(to, Some((Arc::new(config), certified.cert.pem()))).await
    }

    async fn start(
        to: SocketAddr,
        tls: Option<(Arc<ServerConfig>, String)>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (wire, state) = watch::channel(Wire::Whole);
        let (acceptor, authority) = tls.unzip();
        let acceptor = acceptor.map(TlsAcceptor::from);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut state = state.clone();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        // how a connection ends is seen by those at its ends
                        _ = forward(client, to, acceptor) => {}
                        _ = state.wait_for(|wire| *wire == Wire::Cut) => {}
                    }
                });
            }
        });
        Ok(Self {
            address,
            authority,
            wire,
            task,
        })
    }

    pub(crate) fn cut(&self) {
        self.wire.send_replace(Wire::Cut);
    }

    pub(crate) fn mend(&self) {
        self.wire.send_replace(Wire::Whole);
    }
}

async fn forward(
    mut client: TcpStream,
    to: SocketAddr,
    acceptor: Option<TlsAcceptor>,
) -> anyhow::Result<()> {
    let mut broker = TcpStream::connect(to).await.context("the broker")?;
    match acceptor {
        Some(acceptor) => {
            let mut client = acceptor.accept(client).await?;
            copy_bidirectional(&mut client, &mut broker).await?;
        }
        None => {
            copy_bidirectional(&mut client, &mut broker).await?;
        }
    }
    Ok(())
}
