//! How the endpoint has answered lately, and so whether it is to be troubled.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use super::Pool;
use crate::{
    DirectoryError,
    breaker::{BreakerState, Failure},
    error::ConnectError,
    observe::Watched,
};

/// How long an endpoint that failed is asked last.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(5);

impl Pool {
    /// Whether the controller may be troubled.
    ///
    /// # Errors
    /// What it was last seen to fail with.
    pub(crate) fn admit(&self) -> Result<(), DirectoryError> {
        let state = self.state();
        if state.breaker.state() == BreakerState::Closed {
            return Ok(());
        }
        let last = state.last_error.as_ref().map(|(_, error)| error.clone());
        Err(last.unwrap_or_else(|| {
            ConnectError::Unreachable("it did not answer a moment ago".to_owned())
                .at(&self.endpoint)
        }))
    }

    /// An exchange ended well.
    pub(crate) fn answered(&self) {
        let mut state = self.state();
        state.failed_at = None;
        state.answered_at = Some(Instant::now());
        state.last_success = Some(OffsetDateTime::now_utc());
        let was = state.breaker.state();
        state.breaker.succeeded();
        if was != BreakerState::Closed {
            state.watched = Watched::new(&self.endpoint, BreakerState::Closed);
            tracing::info!(endpoint = %self.endpoint, "the domain controller answers again");
        }
    }

    /// What it failed for may be over.
    pub(crate) fn try_anew(&self) {
        let mut state = self.state();
        state.failed_at = None;
        if state.breaker.state() != BreakerState::Closed {
            state.breaker.succeeded();
            state.watched = Watched::new(&self.endpoint, BreakerState::Closed);
        }
    }

    /// An exchange that began then failed: in time, or for want of an answer in time.
    pub(crate) fn came_to_nothing(&self, began: Instant, error: &DirectoryError) {
        let failure = if began.elapsed() >= self.time_out {
            Failure::Unanswered
        } else {
            Failure::Faltered
        };
        self.failed(failure, error);
    }

    pub(crate) fn failed(&self, failure: Failure, error: &DirectoryError) {
        let mut state = self.state();
        let now = Instant::now();
        let was = state.breaker.state();
        state.failed_at = Some(now);
        state.breaker.failed(failure, now);
        let is = state.breaker.state();
        let suspects = if is == BreakerState::Closed {
            Vec::new()
        } else {
            std::mem::take(&mut state.idle)
        };
        if was != is {
            state.watched = Watched::new(&self.endpoint, is);
        }
        state.last_error = Some((OffsetDateTime::now_utc(), error.clone()));
        drop(state);
        drop(suspects);
        if is == BreakerState::Open {
            self.made_with.opened.notify_one();
        }
        if was == BreakerState::Closed && is == BreakerState::Open {
            tracing::warn!(endpoint = %self.endpoint, %error, "the domain controller is left alone until it answers a probe");
        }
    }

    /// For a while others are asked first.
    pub(crate) fn rest(&self) {
        self.state().failed_at = Some(Instant::now());
    }

    /// Failed a moment ago: others are asked first.
    pub(crate) fn rests(&self) -> bool {
        self.state()
            .failed_at
            .is_some_and(|at| at.elapsed() < REST_AFTER_FAILURE)
    }

    pub(crate) fn breaker(&self) -> BreakerState {
        self.state().breaker.state()
    }

    /// Whether the caller is to ask the controller whether it is well: the one probe of an open breaker,
    /// or after a silence; at once if it was never asked and others may be chosen in its place.
    ///
    /// # Errors
    /// When that will be, unless it is being asked.
    pub(crate) fn begin_check(
        &self,
        silence: Duration,
        choosing: bool,
    ) -> Result<(), Option<Instant>> {
        let now = Instant::now();
        let mut state = self.state();
        if state.checking {
            return Err(None);
        }
        if state.breaker.state() == BreakerState::Closed {
            let due = match state.answered_at.max(state.checked_at) {
                Some(at) => at + silence,
                None if choosing => now,
                None => self.made_at + silence,
            };
            if due > now {
                return Err(Some(due));
            }
        } else if state.breaker.begin_probe(now) {
            state.watched = Watched::new(&self.endpoint, BreakerState::HalfOpen);
        } else {
            return Err(state.breaker.probe_due());
        }
        state.checking = true;
        state.checked_at = Some(now);
        Ok(())
    }

    pub(crate) fn end_check(&self) {
        self.state().checking = false;
    }
}
