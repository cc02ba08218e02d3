//! Connections that come back.

use std::{sync::Arc, time::Duration};

use lapin::{
    Channel, Connection, ConnectionProperties, options::ConfirmSelectOptions, tcp::OwnedTLSConfig,
};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{BrokerConfig, Deliveries, Publisher, Queue};

const CONNECT_TIME_OUT: Duration = Duration::from_secs(10);
const START_TIME_OUT: Duration = Duration::from_mins(1);
const RECONNECT_AFTER: Duration = Duration::from_millis(500);
const LINK_CHECK: Duration = Duration::from_millis(200);

/// What can go wrong with the broker, publishing apart.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("the broker's address is not usable: {0}")]
    Address(String),
    #[error("the broker did not answer within {0:?}")]
    TimeOut(Duration),
    #[error("the broker refused: {0}")]
    Broker(#[from] lapin::Error),
    #[error("the delivery's channel is gone: the broker will deliver the message again")]
    Stale,
    #[error("shutting down")]
    ShuttingDown,
}

/// The way to the broker: one connection to publish on, and one for each consumer, so that flow
/// control on a busy publisher never holds back an acknowledgement.
#[derive(Debug, Clone)]
pub struct Bus {
    config: Arc<BrokerConfig>,
    name: Arc<str>,
    shutdown: CancellationToken,
    publishing: watch::Receiver<Option<Link>>,
}

/// A live connection with its channel. Generations tell one link from the next.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) connection: Arc<Connection>,
    pub(crate) channel: Channel,
    pub(crate) generation: u64,
}

impl Link {
    fn is_alive(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }
}

impl Bus {
    /// Connects, and keeps the publishing link alive until `shutdown`.
    ///
    /// # Errors
    /// When the address is unusable, or no connection could be made within a minute.
    pub async fn connect(
        config: BrokerConfig,
        connection_name: &str,
        shutdown: CancellationToken,
    ) -> Result<Self, BusError> {
        config.uri()?;
        let config = Arc::new(config);
        let (sender, mut publishing) = watch::channel(None);
        tokio::spawn(keep_publishing_link(
            Arc::clone(&config),
            format!("{connection_name} publish"),
            shutdown.clone(),
            sender,
        ));
        match timeout(START_TIME_OUT, publishing.wait_for(Option::is_some)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(BusError::ShuttingDown),
            Err(_) => return Err(BusError::TimeOut(START_TIME_OUT)),
        }
        Ok(Self {
            config,
            name: connection_name.into(),
            shutdown,
            publishing,
        })
    }

    pub fn publisher(&self) -> Publisher {
        Publisher::new(self.publishing.clone())
    }

    pub fn is_connected(&self) -> bool {
        self.publishing
            .borrow()
            .as_ref()
            .is_some_and(Link::is_alive)
    }

    /// Consumes a queue, declaring it first; at most `prefetch` deliveries are out at a time.
    ///
    /// # Errors
    /// When the broker refuses; a broker that is merely away is waited for.
    pub async fn consume(&self, queue: Queue, prefetch: u16) -> Result<Deliveries, BusError> {
        let name = format!("{} {}", self.name, queue.name());
        Deliveries::start(
            Arc::clone(&self.config),
            name,
            queue,
            prefetch,
            self.shutdown.clone(),
        )
        .await
    }
}

pub(crate) async fn connect(config: &BrokerConfig, name: &str) -> Result<Link, BusError> {
    let tls = OwnedTLSConfig {
        identity: None,
        cert_chain: config
            .ca_pem
            .as_deref()
            .map(|pem| String::from_utf8_lossy(pem).into_owned()),
    };
    // we come back ourselves: one attempt is one attempt
    let properties = ConnectionProperties::default()
        .with_connection_name(name.into())
        .configure_backoff(|backoff| backoff.with_max_times(0));
    let uri = config.uri()?;
    let opening = async {
        let runtime = lapin::runtime::default_runtime()?;
        let connection = Connection::connect_uri_with_config(uri, properties, tls, runtime).await?;
        let channel = connection.create_channel().await?;
        Ok::<_, lapin::Error>((connection, channel))
    };
    let (connection, channel) = timeout(CONNECT_TIME_OUT, opening)
        .await
        .map_err(|_| BusError::TimeOut(CONNECT_TIME_OUT))??;
    Ok(Link {
        connection: Arc::new(connection),
        channel,
        generation: 0,
    })
}

async fn keep_publishing_link(
    config: Arc<BrokerConfig>,
    name: String,
    shutdown: CancellationToken,
    sender: watch::Sender<Option<Link>>,
) {
    let mut generation = 0;
    // the link outlives the shutdown token: what is being drained must still be published, so the
    // task ends when nobody holds a publisher any more
    loop {
        generation += 1;
        match open_publishing_link(&config, &name, generation).await {
            Ok(link) => {
                info!(connection = name, "broker connected");
                sender.send_replace(Some(link.clone()));
                while link.is_alive() {
                    tokio::select! {
                        () = sender.closed() => return,
                        () = tokio::time::sleep(LINK_CHECK) => {}
                    }
                }
                sender.send_replace(None);
                if !shutdown.is_cancelled() {
                    warn!(connection = name, "broker connection lost");
                }
            }
            Err(error) => warn!(connection = name, %error, "broker not reached"),
        }
        tokio::select! {
            () = sender.closed() => return,
            () = tokio::time::sleep(RECONNECT_AFTER) => {}
        }
    }
}

async fn open_publishing_link(
    config: &BrokerConfig,
    name: &str,
    generation: u64,
) -> Result<Link, BusError> {
    let link = connect(config, name).await?;
    timeout(
        CONNECT_TIME_OUT,
        link.channel.confirm_select(ConfirmSelectOptions::default()),
    )
    .await
    .map_err(|_| BusError::TimeOut(CONNECT_TIME_OUT))??;
    Ok(Link { generation, ..link })
}

pub(crate) const fn reconnect_after() -> Duration {
    RECONNECT_AFTER
}
