//! What is known of one domain controller: what it says of itself, and what was seen of it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{RootDse, clock::ControllerClock};

/// How long an answer proves that a connection is alive, and an observation that the controller's
/// clock runs as we know it. The golden section of a second: observations at this distance fall
/// evenly over the second that `currentTime` is cut to, which narrows the clock's offset fastest.
pub(crate) const LATELY: Duration = Duration::from_millis(618);

/// How long a reset that left the password valid proves that the next one will. The right is one on
/// the domain object, the same for everybody in it, and hardly ever taken away; to read every account
/// again would cost each reset a round trip. Where it was found missing, every reset is looked at.
const UNEXPIRE_PROVEN_FOR: Duration = Duration::from_mins(1);

/// How much a new measurement of the latency counts against those before.
const LATENCY_WEIGHT: u32 = 4;

#[derive(Debug, Default)]
pub(crate) struct Facts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// What the last answer about itself said.
    root: Option<RootDse>,
    clock: ControllerClock,
    clock_observed_at: Option<Instant>,
    unexpire_proven_at: Option<Instant>,
    latency: Option<Duration>,
    met: bool,
    inquired_at: Option<Instant>,
    /// What others of its domain say of it.
    is_pdc: Option<bool>,
    is_read_only: Option<bool>,
}

impl Facts {
    pub(crate) fn observe(&self, root: RootDse) {
        let mut known = self.known();
        known
            .clock
            .observe(root.sent, root.received, root.current_time);
        known.clock_observed_at = Some(Instant::now());
        if let Ok(took) = Duration::try_from(root.received - root.sent) {
            known.latency = Some(known.latency.map_or(took, |before| {
                (before * (LATENCY_WEIGHT - 1) + took) / LATENCY_WEIGHT
            }));
        }
        known.root = Some(root);
    }

    /// What it said of itself, when it was last asked.
    pub(crate) fn root(&self) -> Option<RootDse> {
        self.known().root.clone()
    }

    /// The policy-hints control that the controller named when it was last asked.
    pub(crate) fn policy_hints(&self) -> Option<&'static str> {
        self.known().root.as_ref()?.policy_hints_control()
    }

    pub(crate) fn clock(&self) -> ControllerClock {
        self.known().clock.clone()
    }

    /// The clock was observed a moment ago: were it set since, we would not know.
    pub(crate) fn clock_is_fresh(&self) -> bool {
        self.known()
            .clock_observed_at
            .is_some_and(|at| at.elapsed() < LATELY)
    }

    pub(crate) fn latency(&self) -> Option<Duration> {
        self.known().latency
    }

    pub(crate) fn is_pdc(&self) -> Option<bool> {
        self.known().is_pdc
    }

    pub(crate) fn set_pdc(&self, is_pdc: bool) {
        self.known().is_pdc = Some(is_pdc);
    }

    pub(crate) fn set_read_only(&self, is_read_only: bool) {
        self.known().is_read_only = Some(is_read_only);
    }

    /// None until the controller has been asked.
    pub(crate) fn is_read_only(&self) -> Option<bool> {
        let known = self.known();
        let says = known.root.as_ref().map(RootDse::is_read_only);
        match (says, known.is_read_only) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (said, read) => read.or(said),
        }
    }

    /// A reset here left the password valid a while ago.
    pub(crate) fn unexpire_is_proven(&self) -> bool {
        self.known()
            .unexpire_proven_at
            .is_some_and(|at| at.elapsed() < UNEXPIRE_PROVEN_FOR)
    }

    pub(crate) fn unexpire_seen(&self, valid: bool) {
        self.known().unexpire_proven_at = valid.then(Instant::now);
    }

    /// Whether this is the first meeting.
    pub(crate) fn is_met_first(&self) -> bool {
        !std::mem::replace(&mut self.known().met, true)
    }

    /// Whether the caller is to ask for what changes rarely.
    pub(crate) fn begin_inquiry(&self, every: Duration) -> bool {
        let mut known = self.known();
        let due = known.inquired_at.is_none_or(|at| at.elapsed() >= every);
        if due {
            known.inquired_at = Some(Instant::now());
        }
        due
    }

    /// Never held across an await; a panic while it was held leaves nothing half done.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
