//! The names and properties of exchanges and queues, in one place.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use operation::ForestId;

const REQUESTS: &str = "writeback.requests";
const FORESTS: &str = "writeback.forests";
const OUTCOMES: &str = "writeback.outcomes";
const REPLIES: &str = "writeback.replies";
const EXPIRED: &str = "writeback.expired";
const HEALTH: &str = "writeback.health";

/// The most heartbeats that wait for one replica of audit; the oldest go first.
const HEARTBEATS: i32 = 10_000;

/// A message of these queues is delivered once. Given back, or its consumer lost, it is dead-lettered
/// with the reason `delivery_limit`, and with `rejected` if its consumer tells that it did not begin: so
/// its reason tells for certain whether anybody can have begun with it, which nothing else about a dead
/// letter does. Whoever deals with dead letters sends it on again.
const DELIVERED_ONCE: i32 = 0;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Requests,
    Forest(ForestId),
    Outcome,
    /// The reply queue of one intake replica, by its name.
    Reply(String),
    /// Everybody who listens to heartbeats.
    Health,
}

impl Destination {
    pub(crate) const fn exchange(&self) -> &'static str {
        match self {
            Self::Requests => REQUESTS,
            Self::Forest(_) => FORESTS,
            Self::Outcome => OUTCOMES,
            Self::Reply(_) => REPLIES,
            Self::Health => HEALTH,
        }
    }

    pub(crate) fn routing_key(&self) -> &str {
        match self {
            Self::Requests => REQUESTS,
            Self::Forest(forest) => forest.as_str(),
            Self::Outcome => OUTCOMES,
            Self::Reply(queue) => queue,
            Self::Health => HEALTH,
        }
    }

    /// What telemetry calls it: exchange and routing key, one where both are the same, and of the
    /// replies' queues only the exchange, for there is one per process.
    pub(crate) fn telemetry_name(&self) -> String {
        match self {
            Self::Forest(forest) => format!("{FORESTS}:{forest}"),
            Self::Requests | Self::Outcome | Self::Reply(_) | Self::Health => {
                self.exchange().to_owned()
            }
        }
    }

    /// Replies are worth nothing to a caller that has gone, and heartbeats nothing when they are old;
    /// all else must survive the broker.
    pub(crate) const fn is_persistent(&self) -> bool {
        !matches!(self, Self::Reply(_) | Self::Health)
    }
}

/// What can be consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queue {
    Requests,
    Forest(ForestId),
    Outcomes,
    /// Dead letters.
    Expired,
    /// A reply queue of this process alone, by its name: `writeback.replies.<uuid>`.
    Replies(String),
    /// Heartbeats, as this process alone hears them, by its name: `writeback.health.<uuid>`.
    Health(String),
}

impl Queue {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Requests => REQUESTS.to_owned(),
            Self::Forest(forest) => format!("writeback.forest.{forest}"),
            Self::Outcomes => OUTCOMES.to_owned(),
            Self::Expired => EXPIRED.to_owned(),
            Self::Replies(name) | Self::Health(name) => name.clone(),
        }
    }

    /// As [`Destination::telemetry_name`].
    pub(crate) fn telemetry_name(&self) -> String {
        match self {
            Self::Forest(forest) => format!("{FORESTS}:{forest}"),
            other => other.exchange().to_owned(),
        }
    }

    fn exchange(&self) -> &'static str {
        match self {
            Self::Requests => REQUESTS,
            Self::Forest(_) => FORESTS,
            Self::Outcomes => OUTCOMES,
            Self::Expired => EXPIRED,
            Self::Replies(_) => REPLIES,
            Self::Health(_) => HEALTH,
        }
    }

    /// Of this process alone, and gone with it.
    const fn is_own(&self) -> bool {
        matches!(self, Self::Replies(_) | Self::Health(_))
    }

    pub(crate) fn routing_key(&self) -> String {
        match self {
            Self::Forest(forest) => forest.to_string(),
            other => other.name(),
        }
    }

    fn arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        let mut set = |key: &str, value: AMQPValue| {
            arguments.insert(key.into(), value);
        };
        let text = |text: &str| AMQPValue::LongString(text.into());
        if !self.is_own() {
            set("x-queue-type", text("quorum"));
        }
        match self {
            Self::Requests | Self::Forest(_) => {
                // at-least-once dead-lettering wants reject-publish (rabbitmq.com/docs/quorum-queues)
                set("x-dead-letter-exchange", text(EXPIRED));
                set("x-dead-letter-strategy", text("at-least-once"));
                set("x-overflow", text("reject-publish"));
                set("x-delivery-limit", AMQPValue::LongInt(DELIVERED_ONCE));
            }
            // RabbitMQ 4 would drop after 20 deliveries; an outcome is never dropped
            Self::Outcomes | Self::Expired => {
                set("x-delivery-limit", AMQPValue::LongInt(i32::MAX));
            }
            Self::Health(_) => set("x-max-length", AMQPValue::LongInt(HEARTBEATS)),
            Self::Replies(_) => {}
        }
        arguments
    }

    /// Declares the queue, what it is bound to and where its dead letters go.
    pub(crate) async fn declare(&self, channel: &Channel) -> Result<(), lapin::Error> {
        declare_exchange(channel, self.exchange()).await?;
        if matches!(self, Self::Requests | Self::Forest(_)) {
            declare_exchange(channel, EXPIRED).await?;
        }
        let options = QueueDeclareOptions {
            durable: !self.is_own(),
            exclusive: self.is_own(),
            auto_delete: self.is_own(),
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(self.name().into(), options, self.arguments())
            .await?;
        channel
            .queue_bind(
                self.name().into(),
                self.exchange().into(),
                self.routing_key().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
    }
}

pub(crate) async fn declare_exchange(
    channel: &Channel,
    name: &'static str,
) -> Result<(), lapin::Error> {
    let kind = if name == EXPIRED || name == HEALTH {
        ExchangeKind::Fanout
    } else {
        ExchangeKind::Direct
    };
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(name.into(), kind, options, FieldTable::default())
        .await
}
