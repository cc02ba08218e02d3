//! One delivery, and what the broker says of its past.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lapin::{
    options::{BasicAckOptions, BasicRejectOptions},
    types::{AMQPValue, FieldTable},
};
use telemetry::span;
use tokio::time::timeout;
use tracing::Span;

use crate::{BusError, Queue, connection::Link, observe};

const SETTLE_TIME_OUT: Duration = Duration::from_secs(5);
/// How long after its time to live a message that nobody takes may still be in its queue. Those
/// behind another one that lives longer take more, and then it is not known that nobody had them.
const DIES_WITHIN: Duration = Duration::from_mins(1);

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
    link: Arc<Link>,
}

/// Why and whence a message was dead-lettered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub queue: String,
    /// `expired`, `delivery_limit`, `rejected` or `maxlen`.
    pub reason: String,
    pub fate: Fate,
}

/// Who can have had a dead letter in the queue it died in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nobody: its time to live passed.
    Untaken,
    /// Somebody who did not begin with it, and rejected it ([`Delivery::reject`]).
    Rejected,
    /// Perhaps somebody who began with it. Where a delivery limit of 0 is declared, whoever takes a
    /// message and does not settle it makes it die of `delivery_limit`.
    PerhapsTaken,
}

impl DeadLetter {
    /// Reads the newest entry of `x-death` (rabbitmq.com/docs/dlx). How often a message had been
    /// delivered is not among what the broker says of its death: a quorum queue keeps the count
    /// beside the message and drops it there, and the `x-delivery-count` a dead letter arrives
    /// with counts its deliveries by the queue of dead letters.
    fn read(headers: &FieldTable, published_at: Option<u64>) -> Option<Self> {
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
        let died_at = match death.inner().get("time") {
            Some(AMQPValue::Timestamp(at)) => Some(*at),
            _ => None,
        };
        // RabbitMQ 4.3 does not count every return of a message as a failed delivery: not the one
        // after the consumer's time-out, for one. Such a message dies long after its time to live.
        let time_to_live = text("original-expiration").parse::<u64>().ok();
        let in_time = match (published_at, died_at, time_to_live) {
            (Some(published_at), Some(died_at), Some(time_to_live)) => {
                let waited = died_at.saturating_sub(published_at);
                waited <= time_to_live / 1000 + DIES_WITHIN.as_secs()
            }
            _ => false,
        };
        let reason = text("reason");
        let fate = match reason.as_str() {
            "expired" if in_time => Fate::Untaken,
            "rejected" if in_time => Fate::Rejected,
            _ => Fate::PerhapsTaken,
        };
        Some(Self {
            queue: text("queue"),
            reason,
            fate,
        })
    }
}

impl Delivery {
    pub(crate) fn new(delivery: lapin::message::Delivery, queue: &Queue, link: Arc<Link>) -> Self {
        let headers = delivery.properties.headers().clone().unwrap_or_default();
        // since RabbitMQ 4.3 the one counts failures only, and the other every delivery
        let attempts = ["x-delivery-count", "x-acquired-count"]
            .into_iter()
            .map(|key| count(headers.inner().get(key)))
            .max()
            .unwrap_or_default();
        let published_at = *delivery.properties.timestamp();
        Self {
            body: delivery.data,
            reply_to: delivery
                .properties
                .reply_to()
                .as_ref()
                .map(ToString::to_string),
            redelivered: delivery.redelivered,
            attempts,
            dead_letter: DeadLetter::read(&headers, published_at),
            headers,
            destination: queue.telemetry_name(),
            routing_key: delivery.routing_key.to_string(),
            delivered: Instant::now(),
            acker: delivery.acker,
            link,
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

    /// Gives up a message of a queue that delivers once, and tells by it that nobody has begun with it: it
    /// dies, and whoever deals with dead letters sends it on as it was.
    ///
    /// # Errors
    /// As [`Self::ack`].
    pub async fn reject(self) -> Result<(), BusError> {
        observe::processed(&self.destination, "reject", self.delivered);
        let options = BasicRejectOptions { requeue: false };
        settled(timeout(SETTLE_TIME_OUT, self.acker.reject(options)).await)
    }

    /// Whether the broker still counts on us: false once the connection is known to be lost, and
    /// the message perhaps in other hands.
    pub fn is_held(&self) -> bool {
        self.link.is_alive()
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
