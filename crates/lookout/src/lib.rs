//! What one service sees of a domain's controllers, as heartbeats carry it.
//!
//! The directory itself asks each controller every few seconds whether it is well; what it knows is told
//! without asking anybody. The crate draws no conclusion from what it sees.

use std::{sync::Arc, time::Duration};

use directory::{BreakerState, CertificateExpiry, ControllerReport, Directory, DirectoryError};
use operation::DomainName;
use proto::v1::{self, Breaker, Contact};
use time::OffsetDateTime;

/// A heartbeat is small.
const LONGEST_PROBLEM: usize = 300;

/// One domain's controllers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lookout {
    domain: DomainName,
    directory: Arc<Directory>,
}

impl Lookout {
    pub const fn new(domain: DomainName, directory: Arc<Directory>) -> Self {
        Self { domain, directory }
    }

    /// As heartbeats carry it, without those that nobody has asked yet.
    pub fn health(&self) -> v1::DomainHealth {
        let now = OffsetDateTime::now_utc();
        let certificates = self.directory.certificates();
        let controllers = self.directory.controllers();
        let controllers = controllers.iter().filter_map(|report| {
            let certificate = certificates
                .iter()
                .find(|expiry| expiry.domain_controller == report.endpoint);
            Some(v1::ControllerHealth {
                certificate_expires_at: certificate.map(first_end),
                ..controller(report, now)?
            })
        });
        v1::DomainHealth {
            domain: self.domain.to_string(),
            controllers: controllers.collect(),
            anchors_age_ms: None,
        }
    }
}

/// Its own certificate's or its authority's, whichever ends first; Unix time in microseconds.
fn first_end(expiry: &CertificateExpiry) -> i64 {
    let end = expiry
        .certificate
        .map_or(expiry.authority, |end| end.min(expiry.authority));
    end.unix_timestamp().saturating_mul(1_000_000)
}

fn controller(report: &ControllerReport, now: OffsetDateTime) -> Option<v1::ControllerHealth> {
    let failed_at = report.last_error.as_ref().map(|(at, _)| *at);
    let asked_at = report.last_success.max(failed_at)?;
    let age = Duration::try_from(now - asked_at).unwrap_or_default();
    let breaker = match report.breaker {
        BreakerState::Closed => Breaker::Closed,
        BreakerState::HalfOpen => Breaker::HalfOpen,
        BreakerState::Open => Breaker::Open,
    };
    let trouble = trouble(report);
    let contact = match trouble {
        None => Contact::Bound,
        Some(DirectoryError::Misconfigured { .. }) => Contact::Refused,
        Some(DirectoryError::Unavailable { .. } | DirectoryError::Unexpected { .. }) => {
            Contact::Silent
        }
    };
    let problem = trouble.map(ToString::to_string).unwrap_or_default();
    Some(v1::ControllerHealth {
        endpoint: report.endpoint.clone(),
        dns_host_name: report.host_name.clone(),
        asked_age_ms: Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        contact: contact.into(),
        problem: problem.chars().take(LONGEST_PROBLEM).collect(),
        breaker: breaker.into(),
        // until it has answered nothing is known of what it can
        policy_hints: report.last_success.map(|_| report.policy_hints.is_some()),
        clock_skew_ms: report
            .clock_offset
            .map(|offset| i64::try_from(offset.whole_milliseconds()).unwrap_or(i64::MAX)),
        writable: report.writable,
        pdc_emulator: report.pdc,
        global_catalog: None,
        synchronized: None,
        certificate_expires_at: None,
        latency_us: report
            .latency
            .map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)),
        site: report.site.clone().unwrap_or_default(),
    })
}

/// Why it cannot be worked with now. One exchange that failed is none: the breaker knows.
fn trouble(report: &ControllerReport) -> Option<&DirectoryError> {
    let last = || report.last_error.as_ref().map(|(_, error)| error);
    if report.refusal.is_some() {
        return report.refusal.as_ref();
    }
    match (report.breaker, report.last_success) {
        (BreakerState::Closed, Some(_)) => None,
        (BreakerState::Closed | BreakerState::HalfOpen | BreakerState::Open, _) => last(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn seconds_ago(seconds: u64) -> OffsetDateTime {
        NOW - Duration::from_secs(seconds)
    }

    fn report() -> ControllerReport {
        ControllerReport {
            endpoint: "ldaps://dc1.corp.example.com:636".to_owned(),
            host_name: None,
            site: None,
            writable: Some(true),
            pdc: None,
            breaker: BreakerState::Closed,
            latency: None,
            clock_offset: None,
            policy_hints: None,
            controller_level: None,
            domain_level: None,
            forest_level: None,
            capabilities: std::collections::BTreeSet::new(),
            last_success: Some(seconds_ago(7)),
            last_error: None,
            refusal: None,
        }
    }

    fn unavailable() -> DirectoryError {
        DirectoryError::Unavailable {
            endpoint: "ldaps://dc1.corp.example.com:636".to_owned(),
            cause: "x".repeat(1_000),
        }
    }

    fn misconfigured() -> DirectoryError {
        DirectoryError::Misconfigured {
            endpoint: "ldaps://dc1.corp.example.com:636".to_owned(),
            cause: "wrong password".to_owned(),
        }
    }

    fn seen(report: &ControllerReport) -> v1::ControllerHealth {
        controller(report, NOW).unwrap()
    }

    #[test]
    fn one_that_answers_is_bound_also_after_an_exchange_that_failed() {
        let health = seen(&report());
        assert_eq!(
            (health.contact(), health.asked_age_ms),
            (Contact::Bound, Some(7_000))
        );
        assert_eq!(
            (health.problem.as_str(), health.policy_hints),
            ("", Some(false))
        );
        let once = ControllerReport {
            last_error: Some((seconds_ago(1), unavailable())),
            ..report()
        };
        assert_eq!(
            (seen(&once).contact(), seen(&once).asked_age_ms),
            (Contact::Bound, Some(1_000))
        );
    }

    #[test]
    fn one_that_is_left_alone_does_not_answer() {
        for breaker in [BreakerState::Open, BreakerState::HalfOpen] {
            let away = ControllerReport {
                breaker,
                last_error: Some((seconds_ago(1), unavailable())),
                ..report()
            };
            let health = seen(&away);
            assert_eq!(health.contact(), Contact::Silent);
            assert_eq!(
                health.problem.len(),
                LONGEST_PROBLEM,
                "a heartbeat is small"
            );
            let untrusted = ControllerReport {
                last_error: Some((seconds_ago(1), misconfigured())),
                ..away
            };
            assert_eq!(seen(&untrusted).contact(), Contact::Refused);
        }
    }

    #[test]
    fn an_account_that_is_refused_is_so_although_the_controller_answers() {
        let refused = ControllerReport {
            refusal: Some(misconfigured()),
            ..report()
        };
        assert_eq!(seen(&refused).contact(), Contact::Refused);
        assert!(seen(&refused).problem.contains("wrong password"));
    }

    #[test]
    fn what_ends_first_counts() {
        let authority = NOW + Duration::from_secs(50);
        let expiry = |certificate: Option<u64>| CertificateExpiry {
            domain_controller: String::new(),
            certificate: certificate.map(|seconds| NOW + Duration::from_secs(seconds)),
            authority,
        };
        for (certificate, first) in [(Some(20), 20), (Some(80), 50), (None, 50)] {
            assert_eq!(first_end(&expiry(certificate)), first * 1_000_000);
        }
    }

    #[test]
    fn one_that_was_never_asked_is_not_told_of() {
        let unasked = ControllerReport {
            last_success: None,
            ..report()
        };
        assert_eq!(controller(&unasked, NOW), None);
        let never_answered = ControllerReport {
            last_error: Some((seconds_ago(1), unavailable())),
            ..unasked
        };
        let health = seen(&never_answered);
        assert_eq!(
            (health.contact(), health.policy_hints),
            (Contact::Silent, None)
        );
    }
}
