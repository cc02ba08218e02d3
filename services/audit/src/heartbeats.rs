//! Who lives and how they are, as far as heartbeats tell. In memory only: every replica of audit hears
//! every heartbeat, and one that has just started knows all within seconds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bus::{Bus, Deliveries, Queue};
use chassis::Chassis;
use heartbeat::Heart;
use operation::ForestId;
use prost::Message as _;
use proto::v1::{self, ServiceKind};
use tokio::time::Instant;
use uuid::Uuid;

/// How many heartbeats may be on their way to this replica.
const PREFETCH: u16 = 64;

/// Whoever fell silent without a goodbye is missed for so long.
const MISSED_FOR: Duration = Duration::from_mins(10);

/// More services than anybody runs, and more than a heartbeat of one with many forests.
const MOST_HEARD: usize = 2_000;
const LONGEST: usize = 256 * 1024;
const LONGEST_NAME: usize = 128;

/// Longer without any, this replica's own included, means that none can be heard.
const DEAF_AFTER: Duration = Duration::from_secs(20);

/// Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Heartbeats(Arc<Mutex<Roll>>);

/// Who was heard, and when.
#[derive(Debug, Default)]
struct Roll {
    heard: BTreeMap<(ServiceKind, String), Heard>,
    last: Option<Instant>,
    listening_since: Option<Instant>,
}

#[derive(Debug)]
struct Heard {
    heartbeat: v1::Heartbeat,
    at: Instant,
}

/// Why a heartbeat is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Unheard {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] prost::DecodeError),
    #[error("it is too long")]
    TooLong,
    #[error("it does not say who sends it")]
    Anonymous,
    #[error("it names a forest that cannot be")]
    Forest,
    #[error("too many services are heard already")]
    TooMany,
}

impl Heartbeats {
    /// What can be told now: for how long heartbeats have been heard without a break, and who was.
    pub(crate) fn now(&self) -> (Option<Duration>, Vec<v1::HeardHeartbeat>) {
        self.roll().told(Instant::now())
    }

    fn roll(&self) -> MutexGuard<'_, Roll> {
        // each change is one statement
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens to everybody's heartbeats, and tells its own: whoever hears not even that hears nobody.
pub(crate) async fn listen(
    chassis: &Chassis,
    bus: &Bus,
    heartbeats: Heartbeats,
) -> anyhow::Result<()> {
    let queue = Queue::Health(format!("writeback.health.{}", Uuid::now_v7()));
    let deliveries = bus.consume(queue, PREFETCH).await?;
    chassis.spawn("heartbeats", consume(deliveries, heartbeats));
    let heart = Heart::new(chassis, bus, ServiceKind::Audit)?;
    chassis.spawn("heartbeat", heart.beat(Vec::new));
    Ok(())
}

/// Until shutdown. Heartbeats are in no trace.
async fn consume(mut deliveries: Deliveries, heartbeats: Heartbeats) -> anyhow::Result<()> {
    while let Some(delivery) = deliveries.next().await {
        let heard = heartbeats.roll().hear(&delivery.body, Instant::now());
        if let Err(error) = heard {
            tracing::warn!(%error, "a heartbeat is dropped");
        }
        if let Err(error) = delivery.ack().await {
            tracing::debug!(%error, "a heartbeat was not acknowledged");
        }
    }
    Ok(())
}

impl Roll {
    fn hear(&mut self, body: &[u8], now: Instant) -> Result<(), Unheard> {
        if self.last.is_none_or(|last| now - last > DEAF_AFTER) {
            self.listening_since = Some(now);
        }
        self.last = Some(now);
        let heartbeat = parse(body)?;
        self.heard.retain(|_, heard| now - heard.at <= MISSED_FOR);
        let who = (heartbeat.kind(), heartbeat.instance.clone());
        let known = self.heard.get(&who);
        if heartbeat.goodbye {
            // its successor of the same name may have been heard already
            if known.is_some_and(|known| known.heartbeat.started_at <= heartbeat.started_at) {
                self.heard.remove(&who);
            }
            return Ok(());
        }
        if known.is_none() && self.heard.len() >= MOST_HEARD {
            return Err(Unheard::TooMany);
        }
        self.heard.insert(who, Heard { heartbeat, at: now });
        Ok(())
    }

    fn told(&self, now: Instant) -> (Option<Duration>, Vec<v1::HeardHeartbeat>) {
        let is_deaf = self.last.is_none_or(|last| now - last > DEAF_AFTER);
        let listening = self.listening_since.filter(|_| !is_deaf);
        let heard = self
            .heard
            .values()
            .filter(|heard| now - heard.at <= MISSED_FOR)
            .map(|heard| v1::HeardHeartbeat {
                heartbeat: Some(heard.heartbeat.clone()),
                age_ms: u64::try_from((now - heard.at).as_millis()).unwrap_or(u64::MAX),
            });
        (listening.map(|since| now - since), heard.collect())
    }
}

fn parse(body: &[u8]) -> Result<v1::Heartbeat, Unheard> {
    if body.len() > LONGEST {
        return Err(Unheard::TooLong);
    }
    let heartbeat = v1::Heartbeat::decode(body)?;
    let named = 1..=LONGEST_NAME;
    if heartbeat.kind() == ServiceKind::Unspecified
        || !named.contains(&heartbeat.instance.chars().count())
    {
        return Err(Unheard::Anonymous);
    }
    let possible = |forest: &v1::ForestHealth| forest.forest.parse::<ForestId>().is_ok();
    if !heartbeat.forests.iter().all(possible) {
        return Err(Unheard::Forest);
    }
    Ok(heartbeat)
}

/// The forests somebody serves.
pub(crate) fn forests(heard: &[v1::HeardHeartbeat]) -> BTreeSet<String> {
    heard
        .iter()
        .filter_map(|heard| heard.heartbeat.as_ref())
        .filter(|heartbeat| {
            matches!(
                heartbeat.kind(),
                ServiceKind::Resolver | ServiceKind::Writer
            )
        })
        .flat_map(|heartbeat| &heartbeat.forests)
        .map(|forest| forest.forest.clone())
        .collect()
}

#[cfg(test)]
mod tests;
