//! Connections that come back.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{ConfirmSelectOptions, QueueDeclareOptions},
    tcp::OwnedTLSConfig,
    types::FieldTable,
};
use telemetry::trouble::Trouble;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{BrokerConfig, BusError, Deliveries, Publisher, Queue};

const CONNECT_TIME_OUT: Duration = Duration::from_secs(10);
const START_TIME_OUT: Duration = Duration::from_mins(1);
const FIRST_RECONNECT_AFTER: Duration = Duration::from_millis(500);
/// Not longer: whoever waits for an answer has some thirty seconds.
const LAST_RECONNECT_AFTER: Duration = Duration::from_secs(3);
/// The reply code of a close without a fault (AMQP 0-9-1 1.1).
const REPLY_SUCCESS: u16 = 200;
const CLOSE_TIME_OUT: Duration = Duration::from_secs(2);
const LINK_CHECK: Duration = Duration::from_millis(200);

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
    pub(crate) fn is_alive(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    /// For a link that will not be used: dropped, it may stay open with what the broker has sent it.
    pub(crate) async fn close(self) {
        let closing = self.connection.close(REPLY_SUCCESS, "not used".into());
        // if even that fails, the broker finds out by the missing heartbeats
        let _ = timeout(CLOSE_TIME_OUT, closing).await;
    }
}

impl Bus {
    /// Connects, and keeps the publishing link alive until `shutdown`.
    ///
    /// # Errors
    /// At once when the operator must mend something; else when no connection could be made within
    /// a minute, with the last reason.
    pub async fn connect(
        config: BrokerConfig,
        connection_name: &str,
        shutdown: CancellationToken,
    ) -> Result<Self, BusError> {
        let config = Arc::new(config);
        let publishing_name = format!("{connection_name} publish");
        let first = first_publishing_link(&config, &publishing_name, &shutdown).await?;
        let (sender, publishing) = watch::channel(Some(first));
        tokio::spawn(keep_publishing_link(
            Arc::clone(&config),
            publishing_name,
            shutdown.clone(),
            sender,
        ));
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
        self.consume_until(queue, prefetch, self.shutdown.clone())
            .await
    }

    /// As [`Self::consume`], until then: what the broker had sent before is still delivered.
    ///
    /// # Errors
    /// As [`Self::consume`].
    pub async fn consume_until(
        &self,
        queue: Queue,
        prefetch: u16,
        until: CancellationToken,
    ) -> Result<Deliveries, BusError> {
        let name = format!("{} {}", self.name, queue.name());
        Deliveries::start(Arc::clone(&self.config), name, queue, prefetch, until).await
    }

    /// How many messages wait in a queue that nobody has taken yet.
    ///
    /// # Errors
    /// When there is no connection or no such queue, or the broker does not answer.
    pub async fn waiting(&self, queue: &Queue) -> Result<u32, BusError> {
        let link = self.publishing.borrow().clone();
        let link = link.ok_or(BusError::NotConnected)?;
        let asking = async {
            // on a channel of its own: a queue that does not exist closes the channel (AMQP 0-9-1)
            let channel = link.connection.create_channel().await?;
            let options = QueueDeclareOptions {
                passive: true,
                ..QueueDeclareOptions::default()
            };
            let name = queue.name();
            let asked = channel
                .queue_declare(name.as_str().into(), options, FieldTable::default())
                .await?;
            channel.close(REPLY_SUCCESS, "asked".into()).await?;
            Ok::<_, lapin::Error>(asked.message_count())
        };
        Ok(timeout(CONNECT_TIME_OUT, asking)
            .await
            .map_err(|_| BusError::TimeOut(CONNECT_TIME_OUT))??)
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
        .map_err(|_| BusError::TimeOut(CONNECT_TIME_OUT))?
        .map_err(|error| config.explain(error))?;
    Ok(Link {
        connection: Arc::new(connection),
        channel,
        generation: 0,
    })
}

/// Tries while the broker is merely away, for as long as a start may take.
async fn first_publishing_link(
    config: &BrokerConfig,
    name: &str,
    shutdown: &CancellationToken,
) -> Result<Link, BusError> {
    let until = Instant::now() + START_TIME_OUT;
    let (mut trouble, mut waits) = (Trouble::none(), Waits::default());
    loop {
        let error = match open_publishing_link(config, name, 0).await {
            Ok(link) => {
                tell_connected(name, &mut trouble);
                return Ok(link);
            }
            Err(error) => error,
        };
        if error.is_for_the_operator() || Instant::now() > until {
            return Err(error);
        }
        if let Some(so_far) = trouble.failed() {
            warn!(connection = name, %error, seconds = so_far.seconds, tries = so_far.tries,
                "broker not reached: not ready until it is");
        }
        tokio::select! {
            () = shutdown.cancelled() => return Err(BusError::ShuttingDown),
            () = tokio::time::sleep(waits.next()) => {}
        }
    }
}

async fn keep_publishing_link(
    config: Arc<BrokerConfig>,
    name: String,
    shutdown: CancellationToken,
    sender: watch::Sender<Option<Link>>,
) {
    let mut generation = 0;
    let (mut trouble, mut refused) = (Trouble::none(), Trouble::none());
    let mut waits = Waits::default();
    // the link outlives the shutdown token: what is being drained must still be published, so the
    // task ends when nobody holds a publisher any more
    loop {
        let link = sender.borrow().clone();
        if let Some(link) = link {
            while link.is_alive() {
                tokio::select! {
                    () = sender.closed() => return,
                    () = tokio::time::sleep(LINK_CHECK) => {}
                }
            }
            sender.send_replace(None);
            if !shutdown.is_cancelled() && trouble.failed().is_some() {
                warn!(
                    connection = name,
                    "broker connection lost: nothing is published until it is back"
                );
            }
        }
        tokio::select! {
            () = sender.closed() => return,
            () = tokio::time::sleep(waits.next()) => {}
        }
        generation += 1;
        match open_publishing_link(&config, &name, generation).await {
            Ok(link) => {
                tell_connected(&name, &mut trouble);
                (refused, waits) = (Trouble::none(), Waits::default());
                sender.send_replace(Some(link));
            }
            Err(error) => {
                // a refusal is told beside the loss: it is for the operator to mend
                let due = if error.is_for_the_operator() {
                    refused.failed()
                } else {
                    trouble.failed()
                };
                if let Some(so_far) = due {
                    warn!(connection = name, %error, seconds = so_far.seconds, tries = so_far.tries,
                        "broker not reached");
                }
            }
        }
    }
}

fn tell_connected(name: &str, trouble: &mut Trouble) {
    if let Some(so_far) = trouble.over() {
        info!(
            connection = name,
            seconds = so_far.seconds,
            tries = so_far.tries,
            "broker connected again"
        );
    } else {
        info!(connection = name, "broker connected");
    }
}

async fn open_publishing_link(
    config: &BrokerConfig,
    name: &str,
    generation: u64,
) -> Result<Link, BusError> {
    let link = connect(config, name).await?;
    let confirming = timeout(
        CONNECT_TIME_OUT,
        link.channel.confirm_select(ConfirmSelectOptions::default()),
    )
    .await
    .map_err(|_| BusError::TimeOut(CONNECT_TIME_OUT))
    .and_then(|confirming| Ok(confirming?));
    if let Err(error) = confirming {
        link.close().await;
        return Err(error);
    }
    Ok(Link { generation, ..link })
}

/// How long to wait before each attempt: longer and longer, and never as long as others who lost the
/// broker at the same moment.
#[derive(Debug)]
pub(crate) struct Waits(Duration);

impl Default for Waits {
    fn default() -> Self {
        Self(FIRST_RECONNECT_AFTER)
    }
}

impl Waits {
    pub(crate) fn next(&mut self) -> Duration {
        // as random as the keys of the standard library's hash maps
        self.next_by(RandomState::new().build_hasher().finish())
    }

    /// From three quarters of it to the whole.
    fn next_by(&mut self, random: u64) -> Duration {
        let percent = 75 + u32::try_from(random % 26).unwrap_or(0);
        let wait = self.0 * percent / 100;
        self.0 = (self.0 * 2).min(LAST_RECONNECT_AFTER);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        let mut waits = Waits::default();
        let longest: Vec<_> = (0..5).map(|_| waits.next_by(25).as_millis()).collect();
        assert_eq!(longest, [500, 1000, 2000, 3000, 3000]);
        assert_eq!(waits.next_by(0), LAST_RECONNECT_AFTER * 3 / 4);
        let differing: std::collections::BTreeSet<_> = (0..50).map(|_| waits.next()).collect();
        assert!(differing.len() > 1);
    }
}
