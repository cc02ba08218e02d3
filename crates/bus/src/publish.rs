//! Publishing: done only when the broker has confirmed.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use lapin::{BasicProperties, Confirmation, options::BasicPublishOptions};
use telemetry::{span, trouble::Trouble};
use tokio::{sync::watch, time::timeout};
use tracing::Instrument as _;

use crate::{
    Delivery,
    connection::Link,
    observe,
    topology::{Destination, declare_exchange},
};

const CONFIRM_TIME_OUT: Duration = Duration::from_secs(5);
const REPORT_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What is published.
#[derive(Clone)]
pub struct Message {
    pub body: Vec<u8>,
    /// The operation's id.
    pub id: String,
    pub reply_to: Option<String>,
    /// After this the broker dead-letters the message instead of delivering it.
    pub time_to_live: Option<Duration>,
}

/// Why a message is not known to be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("no queue is bound to {0}")]
    Unroutable(String),
    #[error("the broker refused the message")]
    Refused,
    #[error("not connected to the broker")]
    NotConnected,
    #[error("the broker did not confirm: {0}")]
    Unknown(String),
}

impl PublishError {
    /// False means that the message may have arrived: publish again only what bears a twin.
    pub const fn certainly_not_published(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }

    /// For telemetry: one of a small set.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Unroutable(_) => "unroutable",
            Self::Refused => "refused",
            Self::NotConnected => "not-connected",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// How far what is reported depends on the message it is about.
#[derive(Debug, Clone, Copy)]
pub enum Truth<'a> {
    /// It has happened, and stays so.
    Lasting,
    /// Nothing has happened, and nobody else has the message who could still begin.
    WhileHeld(&'a Delivery),
}

impl Truth<'_> {
    fn holds(self) -> bool {
        match self {
            Self::Lasting => true,
            Self::WhileHeld(delivery) => delivery.is_held(),
        }
    }
}

/// Publishes on the bus' shared link. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher {
    link: watch::Receiver<Option<Link>>,
    /// Exchanges declared so far, by the generation of the link they were declared on.
    declared: Arc<Mutex<HashSet<(u64, &'static str)>>>,
}

impl Publisher {
    pub(crate) fn new(link: watch::Receiver<Option<Link>>) -> Self {
        Self {
            link,
            declared: Arc::default(),
        }
    }

    /// Publishes and waits for the broker's confirm, five seconds at most.
    ///
    /// # Errors
    /// See [`PublishError::certainly_not_published`].
    pub async fn publish(&self, to: Destination, message: Message) -> Result<(), PublishError> {
        let (began, destination) = (Instant::now(), to.telemetry_name());
        let span = span::publish(
            &destination,
            to.routing_key(),
            &message.id,
            message.body.len(),
        );
        let published = self
            .publish_once(to, message)
            .instrument(span.clone())
            .await;
        let error = published.as_ref().err().map(PublishError::kind);
        if let Some(kind) = error {
            span::failed(&span, kind);
        }
        observe::published(&destination, error.unwrap_or_default(), began);
        published
    }

    async fn publish_once(&self, to: Destination, message: Message) -> Result<(), PublishError> {
        let link = self
            .link
            .borrow()
            .clone()
            .ok_or(PublishError::NotConnected)?;
        self.declare(&link, to.exchange()).await?;
        let mut properties = BasicProperties::default()
            .with_message_id(message.id.as_str().into())
            .with_correlation_id(message.id.as_str().into())
            .with_timestamp(seconds_since_the_epoch())
            .with_content_type("application/x-protobuf".into())
            .with_delivery_mode(if to.is_persistent() { 2 } else { 1 })
            .with_headers(observe::headers());
        if let Some(queue) = &message.reply_to {
            properties = properties.with_reply_to(queue.as_str().into());
        }
        if let Some(time_to_live) = message.time_to_live {
            properties = properties.with_expiration(time_to_live.as_millis().to_string().into());
        }
        // a reply to an intake replica that has gone is nobody's, and so is a heartbeat that no
        // replica of audit listens to; all else must have a queue
        let options = BasicPublishOptions {
            mandatory: to.is_persistent(),
            ..BasicPublishOptions::default()
        };
        let publishing = async {
            link.channel
                .basic_publish(
                    to.exchange().into(),
                    to.routing_key().into(),
                    options,
                    &message.body,
                    properties,
                )
                .await?
                .await
        };
        match timeout(CONFIRM_TIME_OUT, publishing).await {
            // an unroutable message is acknowledged too, and comes back
            Ok(Ok(Confirmation::Ack(None))) => Ok(()),
            Ok(Ok(Confirmation::Ack(Some(_)))) => {
                Err(PublishError::Unroutable(to.routing_key().to_owned()))
            }
            Ok(Ok(Confirmation::Nack(_))) => Err(PublishError::Refused),
            Ok(Ok(Confirmation::NotRequested)) => {
                Err(PublishError::Unknown("confirms are not on".to_owned()))
            }
            Ok(Err(error)) => Err(PublishError::Unknown(error.to_string())),
            Err(_) => Err(PublishError::Unknown(format!(
                "no confirm within {CONFIRM_TIME_OUT:?}"
            ))),
        }
    }

    /// Publishes to the ledger's queue, however long the broker is away, and sends the same to the
    /// caller's reply queue. What is true only while the message is held is told to nobody once it
    /// is not, and to the caller only when the ledger's copy is safe.
    pub async fn report(&self, message: Message, truth: Truth<'_>) {
        match truth {
            Truth::Lasting => {
                tokio::join!(self.record(&message, truth), self.reply(&message));
            }
            Truth::WhileHeld(_) => {
                if self.record(&message, truth).await {
                    self.reply(&message).await;
                }
            }
        }
    }

    /// Whether it was confirmed.
    async fn record(&self, message: &Message, truth: Truth<'_>) -> bool {
        let copy = Message {
            reply_to: None,
            ..message.clone()
        };
        let mut trouble = Trouble::none();
        loop {
            if !truth.holds() {
                tracing::info!("not reported: the message is in other hands");
                return false;
            }
            match self.publish(Destination::Outcome, copy.clone()).await {
                Ok(()) => {
                    if let Some(so_far) = trouble.over() {
                        tracing::info!(
                            seconds = so_far.seconds,
                            tries = so_far.tries,
                            "report confirmed after all"
                        );
                    }
                    return true;
                }
                Err(error) => {
                    if let Some(so_far) = trouble.failed() {
                        tracing::warn!(%error, seconds = so_far.seconds, tries = so_far.tries,
                            "report not confirmed: it is published until it is");
                    }
                }
            }
            tokio::time::sleep(REPORT_AGAIN_AFTER).await;
        }
    }

    async fn reply(&self, message: &Message) {
        let Some(to) = message.reply_to.clone().map(Destination::Reply) else {
            return;
        };
        let copy = Message {
            reply_to: None,
            ..message.clone()
        };
        if let Err(error) = self.publish(to, copy).await {
            // the caller asks the ledger when it hears nothing
            tracing::debug!(%error, "reply not sent");
        }
    }

    async fn declare(&self, link: &Link, exchange: &'static str) -> Result<(), PublishError> {
        let key = (link.generation, exchange);
        if self
            .declared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&key)
        {
            return Ok(());
        }
        timeout(CONFIRM_TIME_OUT, declare_exchange(&link.channel, exchange))
            .await
            .map_err(|_| PublishError::NotConnected)?
            .map_err(|_| PublishError::NotConnected)?;
        let mut declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        declared.retain(|(generation, _)| *generation == link.generation);
        declared.insert(key);
        Ok(())
    }
}

fn seconds_since_the_epoch() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
