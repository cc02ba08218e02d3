//! A service's own certificates and the authorities it believes: followed for as long as it runs; and until when they hold is told
//! in the metrics, in its heartbeats, and in the log from thirty days ahead.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use expiry::{AHEAD, Reminder, Validity, ahead};
use opentelemetry::{KeyValue, metrics::AsyncInstrument};
use time::OffsetDateTime;

use crate::{
    Chassis,
    config::{CertificateFiles, ConfigError, Section},
    rpc::{self, LedgerChannel, LedgerChannelError},
    tls::{Following, ServerTls},
};

const REMIND_EVERY: Duration = Duration::from_mins(1);
const DAY_SECONDS: f64 = 86_400.0;

/// Of everything this process shows and believes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Certificates(Arc<Mutex<BTreeMap<Section, Told>>>);

#[derive(Debug, Default)]
struct Told {
    held: HeldUntil,
    certificate_reminder: Reminder,
    authority_reminder: Reminder,
}

/// What one section's files hold. None where it names none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeldUntil {
    /// Of those that are shown, the first to end.
    pub certificate: Option<Validity>,
    /// Of those that are believed, the first to end.
    pub authority: Option<Validity>,
}

impl Certificates {
    pub(crate) fn set(&self, section: Section, held: HeldUntil) {
        self.told().entry(section).or_default().held = held;
    }

    pub fn now(&self) -> Vec<(Section, HeldUntil)> {
        let told = self.told();
        told.iter()
            .map(|(section, told)| (*section, told.held))
            .collect()
    }

    /// Says once a day what is about to end. Runs until it is dropped.
    pub(crate) async fn remind(self) {
        let mut ticks = tokio::time::interval(REMIND_EVERY);
        loop {
            ticks.tick().await;
            self.remind_of(OffsetDateTime::now_utc());
        }
    }

    fn remind_of(&self, now: OffsetDateTime) {
        for (section, told) in &*self.told() {
            let section = section.as_str();
            if let Some(held) = told.held.certificate {
                let reminder = &told.certificate_reminder;
                let ahead = ahead(held.lifetime());
                if let Some(days_left) = reminder.due_within(ahead, held.ends, now) {
                    tracing::warn!(section, days_left, not_after = %held.ends,
                        "this service's own certificate is about to end; put a new one, and its key, in the place of the old");
                }
            }
            if let Some(held) = told.held.authority
                && let Some(days_left) = told.authority_reminder.due_within(AHEAD, held.ends, now)
            {
                tracing::warn!(section, days_left, not_after = %held.ends,
                    "an authority that this service believes is about to end; put the new one beside it");
            }
        }
    }

    /// Tells them as metrics, for as long as the process lives.
    pub(crate) fn observe(&self) {
        self.gauge(
            "writeback.service.certificate.days_left",
            "Days until the certificate ends that a service itself shows",
            |held, now| Some(days(held.certificate?.ends - now)),
        );
        self.gauge(
            "writeback.service.certificate.lifetime_days",
            "For how many days the certificate was made that a service itself shows",
            |held, _| Some(days(held.certificate?.lifetime())),
        );
        self.gauge(
            "writeback.service.authority.days_left",
            "Days until the authority ends that a service believes when another shows its certificate",
            |held, now| Some(days(held.authority?.ends - now)),
        );
    }

    fn gauge(
        &self,
        name: &'static str,
        description: &'static str,
        value: impl Fn(&HeldUntil, OffsetDateTime) -> Option<f64> + Send + Sync + 'static,
    ) {
        let certificates = self.clone();
        // the meter keeps it alive
        let _gauge = telemetry::metric::meter()
            .f64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |observer: &dyn AsyncInstrument<f64>| {
                let now = OffsetDateTime::now_utc();
                for (section, held) in certificates.now() {
                    if let Some(value) = value(&held, now) {
                        observer.observe(value, &[KeyValue::new("section", section.as_str())]);
                    }
                }
            })
            .build();
    }

    /// Never held across an await; each change is one statement.
    fn told(&self) -> MutexGuard<'_, BTreeMap<Section, Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chassis {
    /// TLS for a listener by these files, which are followed from now on; none without files.
    ///
    /// # Errors
    /// When they cannot be read, or what is in them cannot be used.
    pub fn server_tls(
        &self,
        files: Option<CertificateFiles>,
        protocol: &'static [u8],
    ) -> Result<Option<ServerTls>, ConfigError> {
        let Some(files) = files else {
            return Ok(None);
        };
        let (tls, following) = ServerTls::read(files, protocol)?;
        self.follow(following);
        Ok(Some(tls))
    }

    /// A channel over all of audit's replicas, whose certificates are followed from now on.
    ///
    /// # Errors
    /// As [`rpc::ledger_channel`].
    pub fn ledger_channel(&self) -> Result<LedgerChannel, LedgerChannelError> {
        let (channel, following) = rpc::ledger_channel(&self.config.ledger)?;
        self.follow(following);
        Ok(channel)
    }

    fn follow(&self, following: Following) {
        let certificates = self.certificates.clone();
        let shutdown = self.shutdown.clone();
        self.spawn("certificates", async move {
            shutdown
                .run_until_cancelled(following.run(certificates))
                .await;
            Ok(())
        });
    }
}

/// With their fractions: there are certificates that live for hours.
fn days(span: time::Duration) -> f64 {
    span.as_seconds_f64() / DAY_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_renewed_is_what_is_told() {
        let certificates = Certificates::default();
        let now = OffsetDateTime::now_utc();
        let validity = |days| Validity {
            begins: now,
            ends: now + time::Duration::days(days),
        };
        for days in [10, 90] {
            let held = HeldUntil {
                certificate: Some(validity(days)),
                authority: None,
            };
            certificates.set(Section::Audit, held);
            assert_eq!(certificates.now(), [(Section::Audit, held)]);
        }
        assert!((days(time::Duration::hours(36)) - 1.5).abs() < f64::EPSILON);
    }
}
