//! When to read, and how long to believe what was read. Time and chance are arguments.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

/// An index not read for this long is not believed when it knows nobody.
const USABLE_FOR: Duration = Duration::from_mins(1);

/// Requests that wait for changes have them read this often at most.
pub(crate) const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// Everybody is read again this often: who becomes visible because the rights on their
/// organizational unit were mended has not changed themselves.
const IN_FULL_EVERY: time::Duration = time::Duration::DAY;

const FIRST_PAUSE: Duration = Duration::from_secs(1);

pub(crate) fn is_usable(read_at: Option<Instant>, now: Instant) -> bool {
    read_at.is_some_and(|at| now.saturating_duration_since(at) <= USABLE_FOR)
}

/// Whether everybody is to be read. A time in the future says that a clock was set: then too.
pub(crate) fn is_due_in_full(read_in_full_at: Option<OffsetDateTime>, now: OffsetDateTime) -> bool {
    read_in_full_at.is_none_or(|at| now < at || now - at >= IN_FULL_EVERY)
}

/// The pauses between readings.
#[derive(Debug)]
pub(crate) struct Pace {
    every: Duration,
    failures: u32,
}

impl Pace {
    pub(crate) const fn new(every: Duration) -> Self {
        Self { every, failures: 0 }
    }

    pub(crate) const fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// `chance` is from 0 to 1: replicas that started together must not read together for ever.
    pub(crate) fn after_success(&mut self, chance: f64) -> Duration {
        self.failures = 0;
        self.every.mul_f64(0.8 + 0.2 * chance)
    }

    pub(crate) fn after_failure(&mut self, chance: f64) -> Duration {
        let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        longest.min(self.every).mul_f64(0.5 + 0.5 * chance)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_index_is_believed_for_a_minute() {
        let read_at = Instant::now();
        let after = |seconds| read_at + Duration::from_secs(seconds);
        assert!(!is_usable(None, read_at), "never read");
        assert!(is_usable(Some(read_at), read_at));
        assert!(is_usable(Some(read_at), after(60)));
        assert!(!is_usable(Some(read_at), after(61)));
        assert!(is_usable(Some(after(1)), read_at), "read meanwhile");
    }

    #[test]
    fn everybody_is_read_daily() {
        let now = datetime!(2026-11-21 12:00 UTC);
        assert!(is_due_in_full(None, now));
        assert!(!is_due_in_full(Some(datetime!(2026-11-20 12:01 UTC)), now));
        assert!(is_due_in_full(Some(datetime!(2026-11-20 12:00 UTC)), now));
        assert!(is_due_in_full(Some(datetime!(2026-11-21 12:01 UTC)), now));
    }

    #[test]
    fn failures_lengthen_the_pause_up_to_the_usual_one() {
        let mut pace = Pace::new(Duration::from_secs(15));
        let pauses: Vec<u64> = (0..6).map(|_| pace.after_failure(1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15]);
        assert_eq!(pace.after_failure(0.0), Duration::from_millis(7500));
        assert!(pace.is_failing());
        assert_eq!(pace.after_success(1.0), Duration::from_secs(15));
        assert!(!pace.is_failing());
        assert_eq!(pace.after_success(0.0), Duration::from_secs(12));
        assert_eq!(pace.after_failure(1.0), Duration::from_secs(1));
    }

    #[test]
    fn a_long_outage_does_not_overflow() {
        let mut pace = Pace::new(Duration::from_secs(20));
        pace.failures = u32::MAX;
        assert_eq!(pace.after_failure(1.0), Duration::from_secs(20));
    }
}
