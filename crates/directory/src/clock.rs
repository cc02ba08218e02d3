//! A domain controller's clock, as far as its answers let us know it.
//!
//! The times in an account (`pwdLastSet`) are the domain controller's. They are compared with ours
//! only through `currentTime` of the same domain controller's rootDSE (MS-ADTS 3.1.1.3.2.5), which
//! counts in whole seconds: one answer leaves the offset open by a second and the round trip, so the
//! possible offsets are kept as an interval and narrowed with every answer.

use time::{Duration, OffsetDateTime};

/// `currentTime` is cut to the second.
const GRANULARITY: Duration = Duration::SECOND;

/// How far two disciplined clocks may run apart: RFC 5905 names 15 ppm as usual; 100 is generous.
const DRIFT_PARTS_PER_MILLION: i32 = 100;

/// How a controller's time lies to one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Earlier,
    Later,
    /// Within the uncertainty: nothing may be concluded.
    Unsure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offsets {
    least: Duration,
    most: Duration,
    at: OffsetDateTime,
}

/// What is known of controller time minus local time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControllerClock {
    offsets: Option<Offsets>,
}

impl ControllerClock {
    /// Takes in one answer: `current_time` was read by the controller between `sent` and `received`.
    pub fn observe(
        &mut self,
        sent: OffsetDateTime,
        received: OffsetDateTime,
        current_time: OffsetDateTime,
    ) {
        if received < sent {
            return; // our own clock stepped back meanwhile: the answer says nothing
        }
        let fresh = Offsets {
            least: current_time - received,
            most: current_time + GRANULARITY - sent,
            at: received,
        };
        let narrowed = self.offsets.and_then(|known| {
            let drift = (received - known.at).abs() * DRIFT_PARTS_PER_MILLION / 1_000_000;
            let least = fresh.least.max(known.least - drift);
            let most = fresh.most.min(known.most + drift);
            (least <= most).then_some(Offsets {
                least,
                most,
                at: received,
            })
        });
        // an empty intersection means that one of the clocks was set: only the newest answer holds
        self.offsets = Some(narrowed.unwrap_or(fresh));
    }

    /// Whether `controller_time` lies before or after `local_time` by more than `allowance`.
    pub fn compare(
        &self,
        controller_time: OffsetDateTime,
        local_time: OffsetDateTime,
        allowance: Duration,
    ) -> Comparison {
        let Some(Offsets { least, most, .. }) = self.offsets else {
            return Comparison::Unsure;
        };
        // controller_time is some moment between these two in our time; differences never overflow
        let ahead = controller_time - local_time;
        if ahead - least < -allowance {
            Comparison::Earlier
        } else if ahead - most > allowance {
            Comparison::Later
        } else {
            Comparison::Unsure
        }
    }

    /// The earliest the controller's clock can have shown at `local_time`; ours, when unknown.
    pub fn earliest(&self, local_time: OffsetDateTime) -> OffsetDateTime {
        self.shifted(local_time, |offsets| offsets.least)
    }

    /// The latest the controller's clock can have shown at `local_time`; ours, when unknown.
    pub fn latest(&self, local_time: OffsetDateTime) -> OffsetDateTime {
        self.shifted(local_time, |offsets| offsets.most)
    }

    /// The middle of the possible offsets, for telling how far the clocks are apart.
    pub fn skew(&self) -> Option<Duration> {
        self.offsets.map(|known| (known.least + known.most) / 2)
    }

    fn shifted(
        &self,
        local_time: OffsetDateTime,
        by: impl Fn(Offsets) -> Duration,
    ) -> OffsetDateTime {
        self.offsets
            .and_then(|known| local_time.checked_add(by(known)))
            .unwrap_or(local_time)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ZERO: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn ms(milliseconds: i64) -> Duration {
        Duration::milliseconds(milliseconds)
    }

    /// What a controller that is `offset` ahead answers at `local`.
    fn current_time(local: OffsetDateTime, offset: Duration) -> OffsetDateTime {
        (local + offset).replace_millisecond(0).unwrap()
    }

    #[test]
    fn knows_nothing_before_the_first_answer() {
        assert_eq!(
            ControllerClock::default().compare(ZERO, ZERO + Duration::DAY, Duration::ZERO),
            Comparison::Unsure
        );
    }

    #[test]
    fn answers_narrow_the_interval() {
        let mut clock = ControllerClock::default();
        clock.observe(ZERO, ZERO + ms(10), current_time(ZERO + ms(5), ms(300)));
        let password_set = ZERO + ms(1_000 + 300); // one second after ZERO, by the controller
        assert_eq!(
            clock.compare(password_set, ZERO + ms(500), Duration::ZERO),
            Comparison::Unsure
        );
        for step in 1..20 {
            let sent = ZERO + ms(step * 950);
            clock.observe(sent, sent + ms(4), current_time(sent + ms(2), ms(300)));
        }
        assert_eq!(
            clock.compare(password_set, ZERO + ms(900), Duration::ZERO),
            Comparison::Later
        );
        assert_eq!(
            clock.compare(password_set, ZERO + ms(1_100), Duration::ZERO),
            Comparison::Earlier
        );
        assert_eq!(
            clock.compare(password_set, ZERO + ms(1_100), ms(500)),
            Comparison::Unsure
        );
    }

    #[test]
    fn a_clock_that_was_set_starts_afresh() {
        let mut clock = ControllerClock::default();
        clock.observe(ZERO, ZERO, ZERO);
        clock.observe(ZERO + ms(1), ZERO + ms(1), ZERO + Duration::HOUR);
        assert_eq!(
            clock.compare(ZERO + Duration::HOUR, ZERO + ms(3_000), Duration::ZERO),
            Comparison::Earlier
        );
    }

    proptest! {
        /// Whatever the offset and the round trips: a definite answer is a true one.
        #[test]
        fn never_wrong(
            offset in -7_200_000i64..7_200_000,
            trips in proptest::collection::vec((0i64..600_000, 0i64..2_000, 0.0f64..=1.0), 1..12),
            set in 0i64..700_000, admitted in 0i64..700_000,
        ) {
            let mut clock = ControllerClock::default();
            let mut trips = trips;
            trips.sort_by_key(|trip| trip.0);
            for (sent, trip, share) in trips {
                let sent = ZERO + ms(sent);
                #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "test times are small")]
                let read = sent + ms((trip as f64 * share) as i64);
                clock.observe(sent, sent + ms(trip), current_time(read, ms(offset)));
            }
            match clock.compare(ZERO + ms(set + offset), ZERO + ms(admitted), Duration::ZERO) {
                Comparison::Earlier => prop_assert!(set < admitted),
                Comparison::Later => prop_assert!(set > admitted),
                Comparison::Unsure => (),
            }
        }
    }
}
