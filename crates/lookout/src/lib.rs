//! What one service sees of a forest's domain controllers: each is asked about itself every few
//! seconds, and what it last said is kept as heartbeats carry it.
//!
//! One that does not answer holds up neither the heartbeat nor the look at another domain. The crate
//! draws no conclusion from what it sees.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use directory::{Directory, DirectoryError, RootDse};
use operation::DomainName;
use proto::v1::{self, Contact};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// How often each domain controller is asked.
const EVERY: Duration = Duration::from_secs(5);

/// Longer than any domain controller is waited for: each exchange has a time-out of its own.
const TIME_OUT: Duration = Duration::from_secs(30);

/// A heartbeat is small.
const LONGEST_PROBLEM: usize = 300;

/// What was last seen of one domain's controllers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lookout {
    domain: DomainName,
    directory: Arc<Directory>,
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    took: Duration,
    answer: Result<RootDse, DirectoryError>,
}

impl Lookout {
    pub fn new(domain: DomainName, directory: Arc<Directory>) -> Self {
        Self {
            domain,
            directory,
            seen: Arc::default(),
        }
    }

    /// Looks until shutdown.
    pub async fn watch(self, shutdown: CancellationToken) {
        let looking = async {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                // what does not come back within this is seen as it was before, and grows old
                let _ = tokio::time::timeout(TIME_OUT, self.look()).await;
            }
        };
        shutdown.run_until_cancelled(looking).await;
    }

    /// Recorded in no trace: nobody's operation depends on it.
    async fn look(&self) {
        let began = Instant::now();
        let probing = self.directory.probe_each();
        let probed = probing.instrument(telemetry::span::unrecorded()).await;
        let mut seen = self.seen();
        seen.clear();
        for (endpoint, answer) in probed {
            let at = Instant::now();
            let took = answer.as_ref().map_or(at - began, round_trip);
            seen.insert(endpoint, Seen { at, took, answer });
        }
    }

    /// As heartbeats carry it.
    pub fn health(&self) -> v1::DomainHealth {
        let seen = self.seen();
        let controllers = seen.iter().map(|(endpoint, seen)| {
            let clock = self.directory.clock_of(endpoint);
            controller(endpoint, seen, clock.skew())
        });
        v1::DomainHealth {
            domain: self.domain.to_string(),
            controllers: controllers.collect(),
            anchors_age_ms: None,
        }
    }

    /// Never held across an await; a panic while it was held leaves at worst too few controllers.
    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn round_trip(root: &RootDse) -> Duration {
    Duration::try_from(root.received - root.sent).unwrap_or_default()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn controller(endpoint: &str, seen: &Seen, skew: Option<time::Duration>) -> v1::ControllerHealth {
    let mut health = v1::ControllerHealth {
        endpoint: endpoint.to_owned(),
        asked_age_ms: Some(milliseconds(seen.at.elapsed())),
        latency_us: Some(u64::try_from(seen.took.as_micros()).unwrap_or(u64::MAX)),
        ..v1::ControllerHealth::default()
    };
    let contact = match &seen.answer {
        Ok(root) => {
            health.dns_host_name.clone_from(&root.dns_host_name);
            health.policy_hints = Some(root.policy_hints_control().is_some());
            health.clock_skew_ms =
                skew.map(|skew| i64::try_from(skew.whole_milliseconds()).unwrap_or(i64::MAX));
            health.global_catalog = root.is_global_catalog_ready;
            health.synchronized = root.is_synchronized;
            Contact::Bound
        }
        Err(error) => {
            health.problem = error.to_string().chars().take(LONGEST_PROBLEM).collect();
            match error {
                DirectoryError::Misconfigured { .. } => Contact::Refused,
                DirectoryError::Unavailable { .. } | DirectoryError::Unexpected { .. } => {
                    Contact::Silent
                }
            }
        }
    };
    health.contact = contact.into();
    health
}
