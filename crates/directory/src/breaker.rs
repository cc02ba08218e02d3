//! Whether a domain controller may be troubled: a circuit breaker.
//!
//! One that cannot be reached, or does not answer in time, costs whoever asks it their time. It is left
//! alone until one probe, which nobody waits for, has found it answering.

use std::time::Duration;

use tokio::time::Instant;

/// So many in a row that came to nothing mean that the next would too.
const MOST_FALTERING: u32 = 3;

/// A probe comes after a quarter of the time for which the controller has been away, so that a short
/// absence ends soon and a long one costs little: but no sooner and no later than this.
const SOONEST_PROBE: Duration = Duration::from_millis(500);
const LATEST_PROBE: Duration = Duration::from_secs(3);
/// One that is away for so long is probed rarely.
const LONG: Duration = Duration::from_mins(10);
const LATEST_PROBE_AFTER_LONG: Duration = Duration::from_secs(30);

/// What a domain controller's circuit breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing but the probe that is under way.
    HalfOpen,
    /// Nothing.
    Open,
}

impl BreakerState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

/// How an exchange came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection can be had, or no answer came in time: the next would fare no better.
    Unanswered,
    /// A connection broke, or brought what cannot be read: the next may fare better.
    Faltered,
}

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    faltered: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    probed_at: Instant,
    probing: bool,
}

impl Breaker {
    pub(crate) fn state(&self) -> BreakerState {
        match &self.open {
            None => BreakerState::Closed,
            Some(open) if open.probing => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        }
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn failed(&mut self, failure: Failure, now: Instant) {
        self.faltered = match failure {
            Failure::Unanswered => MOST_FALTERING,
            Failure::Faltered => self.faltered.saturating_add(1),
        };
        match &mut self.open {
            // also what was under way when it opened: that tells nothing new
            Some(open) => {
                open.probing = false;
                open.probed_at = now;
            }
            None if self.faltered >= MOST_FALTERING => {
                self.open = Some(Open {
                    since: now,
                    probed_at: now,
                    probing: false,
                });
            }
            None => {}
        }
    }

    /// When the next probe is due; None while none is needed, or one is under way.
    pub(crate) fn probe_due(&self) -> Option<Instant> {
        let open = self.open.as_ref().filter(|open| !open.probing)?;
        let away = open.probed_at - open.since;
        let pause = if away < LONG {
            (away / 4).clamp(SOONEST_PROBE, LATEST_PROBE)
        } else {
            LATEST_PROBE_AFTER_LONG
        };
        Some(open.probed_at + pause)
    }

    /// Whether the caller is to send the one probe, now.
    pub(crate) fn begin_probe(&mut self, now: Instant) -> bool {
        let due = self.probe_due().is_some_and(|due| due <= now);
        if let (true, Some(open)) = (due, &mut self.open) {
            open.probing = true;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_answer_is_left_alone_at_once() {
        let mut breaker = Breaker::default();
        breaker.failed(Failure::Unanswered, Instant::now());
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn what_falters_is_left_alone_the_third_time_in_a_row() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..5 {
            breaker.failed(Failure::Faltered, now);
            breaker.failed(Failure::Faltered, now);
            assert_eq!(breaker.state(), BreakerState::Closed);
            breaker.succeeded();
        }
        for _ in 0..MOST_FALTERING {
            breaker.failed(Failure::Faltered, now);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn one_probe_decides() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.failed(Failure::Unanswered, now);
        assert!(!breaker.begin_probe(now));
        let due = now + SOONEST_PROBE;
        assert!(breaker.begin_probe(due));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(!breaker.begin_probe(due + LATEST_PROBE), "a second one");
        breaker.failed(Failure::Unanswered, due);
        assert_eq!(breaker.state(), BreakerState::Open);
        let due = breaker.probe_due().unwrap();
        assert!(breaker.begin_probe(due));
        breaker.succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(breaker.probe_due(), None);
    }

    #[test]
    fn probes_come_less_often_the_longer_it_is_away() {
        let (mut breaker, began) = (Breaker::default(), Instant::now());
        breaker.failed(Failure::Unanswered, began);
        let mut pauses = Vec::new();
        let mut now = began;
        while now < began + LONG + Duration::from_mins(2) {
            let due = breaker.probe_due().unwrap();
            pauses.push(due - now);
            now = due;
            assert!(breaker.begin_probe(now));
            breaker.failed(Failure::Unanswered, now);
        }
        assert_eq!(pauses.first(), Some(&SOONEST_PROBE));
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses.last(), Some(&LATEST_PROBE_AFTER_LONG));
    }
}
