//! What a writer knows of its forest, for its heartbeat.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bus::{Bus, Queue};
use chassis::config;
use lookout::Lookout;
use operation::{DomainName, ForestId, Outcome, Reason};
use proto::v1;
use time::OffsetDateTime;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    Domain,
    keys::Keys,
    under_way::{Entry, UnderWay},
};

const ASK_QUEUE_EVERY: Duration = Duration::from_secs(5);

/// How the directory names a missing right, and what ends the name.
const MISSING_RIGHT: &str = "missing right: ";

pub(crate) struct Health {
    forest: ForestId,
    lookouts: Vec<Lookout>,
    keys: Arc<Keys>,
    policy_hints_required: bool,
    /// When each operation was accepted that is under way here.
    under_way: UnderWay<OffsetDateTime>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Option<u32>,
    applied: Option<Instant>,
    denied: Option<Denied>,
}

struct Denied {
    at: Instant,
    right: String,
}

impl Health {
    pub(crate) fn new(
        forest: &config::Forest,
        domains: &BTreeMap<DomainName, Domain>,
        keys: Arc<Keys>,
    ) -> Arc<Self> {
        Arc::new(Self {
            forest: forest.id.clone(),
            lookouts: domains
                .iter()
                .map(|(name, domain)| Lookout::new(name.clone(), Arc::clone(&domain.directory)))
                .collect(),
            keys,
            policy_hints_required: forest.policy_hints.users == config::SendHints::Required
                || forest.policy_hints.administrators == config::SendHints::Required,
            under_way: UnderWay::default(),
            state: Mutex::default(),
        })
    }

    /// Asks the broker for the length of the forest's queue until shutdown.
    pub(crate) async fn watch_queue(
        self: Arc<Self>,
        bus: Bus,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let queue = Queue::Forest(self.forest.clone());
        let asking = async {
            let mut ticks = tokio::time::interval(ASK_QUEUE_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let waiting = bus.waiting(&queue).await.ok();
                self.state().waiting = waiting;
            }
        };
        shutdown.run_until_cancelled(asking).await;
        Ok(())
    }

    /// An operation that was accepted then is under way here.
    pub(crate) fn begin(&self, accepted_at: OffsetDateTime) -> Entry<'_, OffsetDateTime> {
        self.under_way.enter(accepted_at)
    }

    /// What an end tells of the service account's rights.
    pub(crate) fn ended(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Applied(_) => self.state().applied = Some(Instant::now()),
            Outcome::NotApplied(refusal) if refusal.reason == Reason::AccessDenied => {
                let right = missing_right(&refusal.detail).to_owned();
                let at = Instant::now();
                self.state().denied = Some(Denied { at, right });
            }
            Outcome::NotApplied(_) => {}
        }
    }

    pub(crate) fn now(&self) -> v1::ForestHealth {
        let domains = self.lookouts.iter().map(Lookout::health).collect();
        let under_way = self.under_way.now();
        let oldest = under_way.iter().min();
        let state = self.state();
        let age = |at: Instant| milliseconds(at.elapsed());
        v1::ForestHealth {
            forest: self.forest.to_string(),
            domains,
            queue: Some(v1::QueueHealth {
                waiting: state.waiting,
                under_way: u32::try_from(under_way.len()).unwrap_or(u32::MAX),
                oldest_age_ms: oldest.map(|accepted_at| {
                    let age = OffsetDateTime::now_utc() - *accepted_at;
                    milliseconds(Duration::try_from(age).unwrap_or_default())
                }),
            }),
            rights: Some(v1::RightsHealth {
                last_applied_age_ms: state.applied.map(age),
                last_denied_age_ms: state.denied.as_ref().map(|denied| age(denied.at)),
                denied_right: state
                    .denied
                    .as_ref()
                    .map(|denied| denied.right.clone())
                    .unwrap_or_default(),
                ..v1::RightsHealth::default()
            }),
            keys: self.keys.key_ids().into_iter().map(key).collect(),
            policy_hints_required: self.policy_hints_required,
        }
    }

    /// Never held across an await; what is inside is whole after each statement.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When it was made is known to those who publish it.
fn key(kid: String) -> v1::SealingKeyHealth {
    v1::SealingKeyHealth { kid, made_at: None }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The right an explanation names; nothing else of it, for it may quote the directory.
fn missing_right(detail: &str) -> &str {
    detail
        .strip_prefix(MISSING_RIGHT)
        .and_then(|rest| rest.split(';').next())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_is_taken_from_an_explanation() {
        for (detail, right) in [
            (
                "missing right: Reset Password; ldaps://dc1 answered: x",
                "Reset Password",
            ),
            ("missing right: lockoutTime", "lockoutTime"),
            ("ldaps://dc1 answered: CN=Ana", ""),
        ] {
            assert_eq!(missing_right(detail), right);
        }
    }
}
