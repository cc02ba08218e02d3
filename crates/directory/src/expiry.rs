//! When certificates end, and when to remind of it.

use std::sync::{Mutex, PoisonError};

use time::{Duration, OffsetDateTime};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

/// An administrator needs this long to have a certificate made, and to find out who makes them.
const AHEAD: Duration = Duration::days(30);
const REMIND_EVERY: Duration = Duration::days(1);

/// Until when one domain controller can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateExpiry {
    /// The endpoint, as in the configuration.
    pub domain_controller: String,
    /// The end of its certificate, as the newest connection showed it; None before the first one.
    pub certificate: Option<OffsetDateTime>,
    /// The end of the forest's authority; of several, of the first that ends.
    pub authority: OffsetDateTime,
}

/// Whole days from now until this; below zero once it is over.
pub fn days_left(not_after: OffsetDateTime, now: OffsetDateTime) -> i64 {
    (not_after - now)
        .whole_seconds()
        .div_euclid(Duration::DAY.whole_seconds())
}

/// The end of a certificate's validity (RFC 5280 4.1.2.5). None if it is no certificate.
pub(crate) fn not_after(der: &[u8]) -> Option<OffsetDateTime> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.validity().not_after.to_datetime())
}

/// Reminds of an end from thirty days ahead, once a day.
#[derive(Debug, Default)]
pub(crate) struct Reminder(Mutex<Option<OffsetDateTime>>);

impl Reminder {
    /// The days left, if it is time to say so.
    pub(crate) fn due(&self, not_after: OffsetDateTime, now: OffsetDateTime) -> Option<i64> {
        if not_after - now >= AHEAD {
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
    fn a_certificate_s_end_is_read() {
        let mut params = rcgen::CertificateParams::default();
        params.not_after = datetime!(2027-03-04 5:06:07 UTC);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(not_after(certificate.der()), Some(params.not_after));
        assert_eq!(not_after(b"nothing"), None);
    }
}
