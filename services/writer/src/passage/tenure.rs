//! One delivery of an operation keeps the account it has claimed while it goes on.
//!
//! An operation may be in its forest's queue several times: whoever published it could not know whether the first had
//! arrived. Two writers that found out at the same time that nothing had been written would both write.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use operation::OperationId;
use proto::v1;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::Passage;

/// The ledger keeps an account for four times as long (`KEPT_FOR`).
const AGAIN_EVERY: Duration = Duration::from_secs(1);

/// Of one delivery.
#[derive(Debug)]
pub(crate) struct Tenure {
    claimant: Uuid,
    holds: AtomicBool,
}

impl Tenure {
    pub(crate) fn new() -> Self {
        Self {
            claimant: Uuid::new_v4(),
            holds: AtomicBool::new(false),
        }
    }

    /// Tells this delivery from others of the operation.
    pub(super) const fn claimant(&self) -> Uuid {
        self.claimant
    }

    pub(super) fn begin(&self) {
        self.holds.store(true, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.holds.store(false, Ordering::Relaxed);
    }

    fn holds(&self) -> bool {
        self.holds.load(Ordering::Relaxed)
    }
}

impl Passage {
    /// Claims the account again and again from when it was claimed first; what comes of that is told to who claims it before
    /// a write.
    pub(super) async fn keep(
        &self,
        id: OperationId,
        target: v1::Target,
        tenure: &Tenure,
    ) -> Infallible {
        let mut ticks = interval(AGAIN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if tenure.holds() {
                let claim = self.ledger.claim(id, &target, Some(tenure.claimant()));
                if let Err(problem) = claim.await {
                    tracing::debug!(problem, "the account could not be claimed again");
                }
            }
        }
    }
}
