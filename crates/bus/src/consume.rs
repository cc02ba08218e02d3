//! Consuming: every delivery is acknowledged by hand, and the stream outlives the connection.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use lapin::{
    Connection, Consumer,
    options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable},
};
use telemetry::span;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Span, info, warn};

use crate::{
    BrokerConfig, BusError, Queue,
    connection::{connect, reconnect_after},
    observe,
};

const START_ATTEMPTS: u32 = 10;
const SETTLE_TIME_OUT: Duration = Duration::from_secs(5);

/// The deliveries of one queue.
#[derive(Debug)]
pub struct Deliveries {
    config: Arc<BrokerConfig>,
    name: String,
    queue: Queue,
    prefetch: u16,
    shutdown: CancellationToken,
    source: Option<(Arc<Connection>, Consumer)>,
}

impl Deliveries {
    pub(crate) async fn start(
        config: Arc<BrokerConfig>,
        name: String,
        queue: Queue,
        prefetch: u16,
        shutdown: CancellationToken,
    ) -> Result<Self, BusError> {
        let mut deliveries = Self {
            config,
            name,
            queue,
            prefetch,
            shutdown,
            source: None,
        };
        // two processes that declare the same new quorum queue at once: the broker refuses one of them
        let mut attempts = START_ATTEMPTS;
        deliveries.source = loop {
            attempts -= 1;
            match deliveries.open().await {
                Ok(source) => break Some(source),
                Err(error) if attempts == 0 => return Err(error),
                Err(error) => warn!(queue = deliveries.name, %error, "not consuming yet"),
            }
            tokio::time::sleep(reconnect_after()).await;
        };
        Ok(deliveries)
    }

    /// The next delivery; `None` once shutdown was asked for.
    pub async fn next(&mut self) -> Option<Delivery> {
        let shutdown = self.shutdown.clone();
        loop {
            let Some((connection, consumer)) = &mut self.source else {
                self.source = tokio::select! {
                    () = shutdown.cancelled() => return None,
                    source = self.reopen() => Some(source),
                };
                continue;
            };
            let received = tokio::select! {
                () = shutdown.cancelled() => return None,
                received = consumer.next() => received,
            };
            if let Some(Ok(delivery)) = received {
                return Some(Delivery::new(delivery, &self.queue, Arc::clone(connection)));
            }
            warn!(queue = self.name, "consumer ended");
            self.source = None;
        }
    }

    async fn reopen(&self) -> (Arc<Connection>, Consumer) {
        loop {
            tokio::time::sleep(reconnect_after()).await;
            match self.open().await {
                Ok(source) => return source,
                Err(error) => warn!(queue = self.name, %error, "not consuming"),
            }
        }
    }

    async fn open(&self) -> Result<(Arc<Connection>, Consumer), BusError> {
        let link = connect(&self.config, &self.name).await?;
        let opening = async {
            self.queue.declare(&link.channel).await?;
            link.channel
                .basic_qos(self.prefetch, BasicQosOptions::default())
                .await?;
            link.channel
                .basic_consume(
                    self.queue.name().into(),
                    "".into(),
                    BasicConsumeOptions::default(),
                    FieldTable::default(),
                )
                .await
        };
        let consumer = timeout(SETTLE_TIME_OUT, opening)
            .await
            .map_err(|_| BusError::TimeOut(SETTLE_TIME_OUT))??;
        info!(queue = self.name, "consuming");
        Ok((link.connection, consumer))
    }
}

/// One message, to be acknowledged or given back. Dropped, it is given back when its connection ends.
#[derive(Debug)]
pub struct Delivery {
    pub body: Vec<u8>,
    pub reply_to: Option<String>,
    /// It was delivered before, so somebody may have begun to act on it.
    pub redelivered: bool,
    /// How often it was delivered before.
    pub attempts: u32,
    /// Set on a message that came through the dead-letter exchange.
    pub dead_letter: Option<DeadLetter>,
    headers: FieldTable,
    destination: String,
    routing_key: String,
    delivered: Instant,
    acker: lapin::Acker,
    /// Keeps the connection open until the last delivery is settled.
    _connection: Arc<Connection>,
}

/// Why and whence a message was dead-lettered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub queue: String,
    /// `expired`, `delivery_limit`, `rejected` or `maxlen`.
    pub reason: String,
    /// How often it had been delivered before it died.
    pub attempts: u32,
}

impl Delivery {
    fn new(delivery: lapin::message::Delivery, queue: &Queue, connection: Arc<Connection>) -> Self {
        let headers = delivery.properties.headers().clone().unwrap_or_default();
        let attempts = count(headers.inner().get("x-delivery-count"));
        Self {
            body: delivery.data,
            reply_to: delivery
                .properties
                .reply_to()
                .as_ref()
                .map(ToString::to_string),
            redelivered: delivery.redelivered,
            attempts,
            dead_letter: dead_letter(&headers, attempts),
            headers,
            destination: queue.telemetry_name(),
            routing_key: delivery.routing_key.to_string(),
            delivered: Instant::now(),
            acker: delivery.acker,
            _connection: connection,
        }
    }

    /// Settles the message: it will not be delivered again.
    ///
    /// # Errors
    /// [`BusError::Stale`] when the connection it came by is gone: it will be delivered again.
    pub async fn ack(self) -> Result<(), BusError> {
        observe::processed(&self.destination, "ack", self.delivered);
        settled(timeout(SETTLE_TIME_OUT, self.acker.ack(BasicAckOptions::default())).await)
    }

    /// Gives the message back to the queue.
    ///
    /// # Errors
    /// As [`Delivery::ack`].
    pub async fn requeue(self) -> Result<(), BusError> {
        let options = BasicNackOptions {
            requeue: true,
            ..BasicNackOptions::default()
        };
        observe::processed(&self.destination, "requeue", self.delivered);
        settled(timeout(SETTLE_TIME_OUT, self.acker.nack(options)).await)
    }

    /// The span to process the message in, a child of its publisher's.
    pub fn span(&self) -> Span {
        span::process(
            &self.destination,
            &self.routing_key,
            self.body.len(),
            observe::context(&self.headers),
        )
    }
}

fn settled(
    result: Result<Result<bool, lapin::Error>, tokio::time::error::Elapsed>,
) -> Result<(), BusError> {
    match result {
        Ok(Ok(true)) => Ok(()),
        // lapin answers false for a delivery taken before a reconnect
        Ok(Ok(false)) => Err(BusError::Stale),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(BusError::TimeOut(SETTLE_TIME_OUT)),
    }
}

fn count(value: Option<&AMQPValue>) -> u32 {
    let number = match value {
        Some(AMQPValue::LongLongInt(number)) => *number,
        Some(AMQPValue::LongInt(number)) => i64::from(*number),
        Some(AMQPValue::LongUInt(number)) => i64::from(*number),
        Some(AMQPValue::ShortInt(number)) => i64::from(*number),
        Some(AMQPValue::ShortShortInt(number)) => i64::from(*number),
        Some(AMQPValue::ShortShortUInt(number)) => i64::from(*number),
        Some(AMQPValue::ShortUInt(number)) => i64::from(*number),
        _ => 0,
    };
    u32::try_from(number).unwrap_or(0)
}

/// Reads the newest entry of `x-death` (rabbitmq.com/docs/dlx).
fn dead_letter(headers: &FieldTable, attempts: u32) -> Option<DeadLetter> {
    let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else {
        return None;
    };
    let Some(AMQPValue::FieldTable(death)) = deaths.as_slice().first() else {
        return None;
    };
    let text = |key: &str| match death.inner().get(key) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        Some(AMQPValue::ShortString(text)) => text.to_string(),
        _ => String::new(),
    };
    Some(DeadLetter {
        queue: text("queue"),
        reason: text("reason"),
        attempts,
    })
}
