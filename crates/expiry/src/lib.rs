//! When a certificate ends, and from when on somebody is to be told: one rule for domain controllers' certificates and
//! for the services' own, for the log, the metrics and the operator's screen.
//!
//! Pure: it reads a certificate's dates and compares them with a time it is given. It must not know whose it is.

use std::sync::{Mutex, PoisonError};

use time::{Duration, OffsetDateTime};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

/// An administrator needs this long to have a certificate made, and to find out who makes them.
pub const AHEAD: Duration = Duration::days(30);

/// A certificate that was made for a short time is renewed by a machine, which does so when a third of its life is left (the
/// default of cert-manager): of such a one it is said when less than this part is left, and so never while the machine works.
pub const LAST_PART: i32 = 4;

const REMIND_EVERY: Duration = Duration::days(1);

/// From when until when a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub begins: OffsetDateTime,
    pub ends: OffsetDateTime,
}

impl Validity {
    /// Of a certificate in DER (RFC 5280 4.1.2.5). None if it is no certificate.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        Some(Self {
            begins: validity.not_before.to_datetime(),
            ends: validity.not_after.to_datetime(),
        })
    }

    pub fn lifetime(&self) -> Duration {
        self.ends - self.begins
    }
}

/// The end of a certificate's validity. None if it is no certificate.
pub fn not_after(der: &[u8]) -> Option<OffsetDateTime> {
    Validity::of(der).map(|validity| validity.ends)
}

/// How long before its end a certificate that was made for so long is to be told of.
pub fn ahead(lifetime: Duration) -> Duration {
    AHEAD.min(lifetime / LAST_PART)
}

/// Whole days from now until this; below zero once it is over.
pub fn days_left(not_after: OffsetDateTime, now: OffsetDateTime) -> i64 {
    (not_after - now)
        .whole_seconds()
        .div_euclid(Duration::DAY.whole_seconds())
}

/// Reminds of an end once a day.
#[derive(Debug, Default)]
pub struct Reminder(Mutex<Option<OffsetDateTime>>);

impl Reminder {
    /// The days left, if it is time to say so: from thirty days ahead.
    pub fn due(&self, not_after: OffsetDateTime, now: OffsetDateTime) -> Option<i64> {
        self.due_within(AHEAD, not_after, now)
    }

    /// The days left, if it is time to say so.
    pub fn due_within(
        &self,
        ahead: Duration,
        not_after: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Option<i64> {
        if not_after - now >= ahead {
            return None;
        }
        let mut reminded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reminded.is_some_and(|at| (now - at).abs() < REMIND_EVERY) {
            return None;
        }
        *reminded = Some(now);
        Some(days_left(not_after, now))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    #[test]
    fn days_are_whole_and_fall_below_zero() {
        let left = [
            Duration::days(30),
            Duration::hours(25),
            Duration::hours(1),
            Duration::seconds(-1),
            Duration::hours(-25),
        ]
        .map(|left| days_left(NOW + left, NOW));
        assert_eq!(left, [30, 1, 0, -1, -2]);
    }

    #[test]
    fn what_is_renewed_every_few_weeks_is_told_of_later() {
        let days = [825, 120, 90, 28, 1].map(|lifetime| ahead(Duration::days(lifetime)));
        assert_eq!(days[..2], [AHEAD, AHEAD]);
        assert_eq!(days[2], Duration::hours(24 * 22 + 12));
        assert_eq!(days[3..], [Duration::days(7), Duration::hours(6)]);
    }

    #[test]
    fn reminds_from_thirty_days_ahead_once_a_day() {
        let reminder = Reminder::default();
        let end = NOW + Duration::days(30);
        assert_eq!(reminder.due(end, NOW), None);
        let second = Duration::SECOND;
        assert_eq!(reminder.due(end, NOW + second), Some(29));
        assert_eq!(reminder.due(end, NOW + second + Duration::hours(23)), None);
        assert_eq!(reminder.due(end, NOW + second + Duration::DAY), Some(28));
        assert_eq!(reminder.due(end, end + Duration::DAY), Some(-1));
        // renewed
        assert_eq!(
            reminder.due(end + Duration::days(365), end + Duration::days(3)),
            None
        );
    }

    #[test]
    fn a_certificate_s_dates_are_read() {
        let mut params = rcgen::CertificateParams::default();
        params.not_before = datetime!(2027-02-02 5:06:07 UTC);
        params.not_after = datetime!(2027-03-04 5:06:07 UTC);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(not_after(certificate.der()), Some(params.not_after));
        let validity = Validity::of(certificate.der()).unwrap();
        assert_eq!(validity.lifetime(), Duration::days(30));
        assert_eq!(not_after(b"nothing"), None);
    }
}
