//! What is told of a domain controller at any time, and not only when something happens there: how
//! long it can be trusted, and which password the service account signs in with.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use expiry::{Reminder, days_left};
use opentelemetry::{KeyValue, metrics::AsyncInstrument};
use telemetry::metric;
use time::OffsetDateTime;

use crate::{Endpoint, PasswordInUse, credentials::Credentials, trust::Trust};

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

#[derive(Debug)]
pub(crate) struct Reported {
    endpoint: Endpoint,
    trust: Arc<Trust>,
    credentials: Arc<Credentials>,
    certificate: Mutex<Option<OffsetDateTime>>,
    certificate_reminder: Reminder,
    authority_reminder: Reminder,
}

impl Reported {
    /// In the metrics for as long as it lives.
    pub(crate) fn new(
        endpoint: Endpoint,
        trust: Arc<Trust>,
        credentials: Arc<Credentials>,
    ) -> Arc<Self> {
        let reported = Arc::new(Self {
            endpoint,
            trust,
            credentials,
            certificate: Mutex::default(),
            certificate_reminder: Reminder::default(),
            authority_reminder: Reminder::default(),
        });
        let mut all = all();
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&reported));
        drop(all);
        observe();
        reported
    }

    /// A new connection showed a certificate that ends then, as far as it can be told.
    pub(crate) fn connected(&self, not_after: Option<OffsetDateTime>) {
        *self.certificate() = not_after;
        self.remind();
    }

    pub(crate) fn expiry(&self) -> CertificateExpiry {
        CertificateExpiry {
            domain_controller: self.endpoint.to_string(),
            certificate: *self.certificate(),
            authority: self.trust.not_after(),
        }
    }

    /// Says what is about to end. Asked often, it says so once a day.
    pub(crate) fn remind(&self) {
        let now = OffsetDateTime::now_utc();
        let CertificateExpiry {
            domain_controller,
            certificate,
            authority,
        } = self.expiry();
        let due = |reminder: &Reminder, end: OffsetDateTime| reminder.due(end, now);
        if let Some(not_after) = certificate
            && let Some(days_left) = due(&self.certificate_reminder, not_after)
        {
            tracing::warn!(endpoint = domain_controller, days_left, %not_after,
                "the domain controller's certificate is about to end");
        }
        if let Some(days_left) = due(&self.authority_reminder, authority) {
            tracing::warn!(endpoint = domain_controller, days_left, not_after = %authority,
                "the forest's certificate authority is about to end");
        }
    }

    /// Never held across an await; a panic while it was held leaves nothing half done.
    fn certificate(&self) -> MutexGuard<'_, Option<OffsetDateTime>> {
        self.certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn host(&self) -> KeyValue {
        KeyValue::new("server.address", self.endpoint.host().to_owned())
    }
}

fn all() -> MutexGuard<'static, Vec<Weak<Reported>>> {
    static ALL: Mutex<Vec<Weak<Reported>>> = Mutex::new(Vec::new());
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Those that live, the least first: of two ports of one host the last observed counts, which is to be
/// the one that ends first.
fn living<V: Ord>(value: impl Fn(&Reported) -> Option<V>) -> Vec<(Arc<Reported>, V)> {
    let mut living: Vec<_> = all()
        .iter()
        .filter_map(Weak::upgrade)
        .filter_map(|reported| value(&reported).map(|value| (reported, value)))
        .collect();
    living.sort_by(|(_, a), (_, b)| b.cmp(a));
    living
}

fn tell_days(
    observer: &dyn AsyncInstrument<i64>,
    end: impl Fn(&Reported) -> Option<OffsetDateTime>,
) {
    let now = OffsetDateTime::now_utc();
    for (reported, end) in living(end) {
        observer.observe(days_left(end, now), &[reported.host()]);
    }
}

fn observe() {
    static OBSERVED: OnceLock<()> = OnceLock::new();
    OBSERVED.get_or_init(|| {
        // the meter keeps them alive
        let _gauge = metric::meter()
            .i64_observable_gauge("writeback.directory.certificate.days_left")
            .with_description("Days until a domain controller's certificate ends")
            .with_callback(|observer| {
                tell_days(observer, |reported| reported.expiry().certificate);
            })
            .build();
        let _gauge = metric::meter()
            .i64_observable_gauge("writeback.directory.authority.days_left")
            .with_description(
                "Days until the authority that signs a domain controller's certificate ends",
            )
            .with_callback(|observer| {
                tell_days(observer, |reported| Some(reported.trust.not_after()));
            })
            .build();
        let _gauge = metric::meter()
            .u64_observable_gauge("writeback.directory.password.next")
            .with_description("Whether the service account signs in with its next password: 1 or 0")
            .with_callback(|observer| {
                let next = |reported: &Reported| {
                    Some(reported.credentials.in_use() != Some(PasswordInUse::Next))
                };
                for (reported, first) in living(next) {
                    observer.observe(u64::from(!first), &[reported.host()]);
                }
            })
            .build();
    });
}

#[cfg(test)]
mod tests {
    use std::io;

    use time::Duration;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The warnings while these were asked for, with an authority that ends so far ahead.
    fn warned(authority: Duration, ask: impl FnOnce(&Reported)) -> Vec<String> {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = OffsetDateTime::now_utc() + authority;
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let reported = Reported::new(
            "ldaps://dc1.corp.example.com".parse().unwrap(),
            Arc::new(Trust::new(pem.as_bytes()).unwrap()),
            Arc::new(Credentials::new("svc".to_owned(), "secret".into())),
        );
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || ask(&reported));
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let warnings = text.lines().filter(|line| line.contains("WARN"));
        warnings.map(str::to_owned).collect()
    }

    #[test]
    fn an_end_is_told_once_a_day_and_not_by_connection() {
        let in_days =
            |days| Some(OffsetDateTime::now_utc() + Duration::days(days) + Duration::HOUR);
        let years = Duration::days(3650);
        let warnings = warned(years, |reported| {
            for _ in 0..5 {
                reported.connected(in_days(7));
                reported.remind();
            }
        });
        let [warning] = &warnings[..] else {
            panic!("{warnings:?}");
        };
        assert!(warning.contains("days_left=7"), "{warning}");
        assert!(
            warning.contains("ldaps://dc1.corp.example.com:636"),
            "{warning}"
        );
        assert!(warned(years, |reported| reported.connected(in_days(31))).is_empty());
        assert!(warned(years, |reported| reported.connected(None)).is_empty());
        let warnings = warned(Duration::days(12) + Duration::HOUR, |reported| {
            reported.connected(in_days(300));
            reported.connected(in_days(300));
        });
        let [warning] = &warnings[..] else {
            panic!("{warnings:?}");
        };
        assert!(
            warning.contains("authority") && warning.contains("days_left=12"),
            "{warning}"
        );
    }
}
