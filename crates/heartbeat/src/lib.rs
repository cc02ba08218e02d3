//! Every service says every few seconds that it lives and how it is: over AMQP, so that audit hears it
//! without a port to any forest.
//!
//! A heartbeat may be lost, and is worth nothing when it is old: it is published once, with a short
//! time to live, and nobody waits for it. The last one says goodbye, so that who ends in order is not
//! missed. The crate knows how heartbeats are sent, and not what they say of a forest.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

use bus::{Bus, Destination, Message, PublishError, Publisher};
use chassis::{Chassis, HeldUntil, config::Section};
use prost::Message as _;
use proto::v1;
use time::OffsetDateTime;
use tracing::Instrument as _;

/// Audit notices within a minute that somebody is missing.
const SECONDS: std::ops::RangeInclusive<u64> = 1..=15;

/// One that was not delivered within this many intervals has been followed by others.
const LIVES_FOR: u32 = 3;

/// Whoever stops sends no more than one message and does not wait long for it.
const GOODBYE_TIME_OUT: Duration = Duration::from_secs(1);

/// What sends this process' heartbeats.
pub struct Heart {
    chassis: Chassis,
    publisher: Publisher,
    kind: v1::ServiceKind,
    started_at: OffsetDateTime,
    interval: Duration,
}

impl Heart {
    /// # Errors
    /// When `service.heartbeat_seconds` is out of range.
    pub fn new(chassis: &Chassis, bus: &Bus, kind: v1::ServiceKind) -> anyhow::Result<Self> {
        let seconds = chassis.config.service.heartbeat_seconds;
        anyhow::ensure!(
            SECONDS.contains(&seconds),
            "service.heartbeat_seconds: from {} to {}",
            SECONDS.start(),
            SECONDS.end()
        );
        Ok(Self {
            chassis: chassis.clone(),
            publisher: bus.publisher(),
            kind,
            started_at: OffsetDateTime::now_utc(),
            interval: Duration::from_secs(seconds),
        })
    }

    /// Beats until shutdown. `forests` tells what is known at that moment, and must not wait.
    ///
    /// # Errors
    /// Never: a service is not worse for not being heard.
    pub async fn beat(
        self,
        forests: impl Fn() -> Vec<v1::ForestHealth> + Send + 'static,
    ) -> anyhow::Result<()> {
        loop {
            let sent = self.send(self.heartbeat(forests(), false));
            let beat = async {
                if let Err(error) = sent.await {
                    // the bus itself says when it is cut off
                    tracing::debug!(%error, "a heartbeat was not sent");
                }
                tokio::time::sleep(jittered(self.interval, random())).await;
            };
            if self
                .chassis
                .shutdown
                .run_until_cancelled(beat)
                .await
                .is_none()
            {
                break;
            }
        }
        // one that ends because it failed is to be missed until it is back
        if !self.chassis.has_failed() {
            let goodbye = self.send(self.heartbeat(Vec::new(), true));
            if !matches!(
                tokio::time::timeout(GOODBYE_TIME_OUT, goodbye).await,
                Ok(Ok(()))
            ) {
                tracing::debug!("goodbye could not be said");
            }
        }
        Ok(())
    }

    fn heartbeat(&self, forests: Vec<v1::ForestHealth>, goodbye: bool) -> v1::Heartbeat {
        let gates = self.chassis.readiness.gates();
        v1::Heartbeat {
            kind: self.kind.into(),
            instance: self.chassis.config.service.name.clone(),
            version: self.chassis.program.version.to_owned(),
            started_at: proto::to_micros(self.started_at),
            sent_at: proto::to_micros(OffsetDateTime::now_utc()),
            interval_ms: u32::try_from(self.interval.as_millis()).unwrap_or(u32::MAX),
            goodbye,
            gates: gates
                .into_iter()
                .map(|(what, open)| v1::ReadinessGate { what, open })
                .collect(),
            forests,
            certificates: self
                .chassis
                .certificates
                .now()
                .into_iter()
                .map(|(section, held)| certificate(section, &held))
                .collect(),
        }
    }

    /// Recorded in no trace: it would be most of what there is.
    async fn send(&self, heartbeat: v1::Heartbeat) -> Result<(), PublishError> {
        let message = Message {
            body: heartbeat.encode_to_vec(),
            id: heartbeat.instance,
            reply_to: None,
            time_to_live: Some(self.interval * LIVES_FOR),
        };
        self.publisher
            .publish(Destination::Health, message)
            .instrument(telemetry::span::unrecorded())
            .await
    }
}

fn certificate(section: Section, held: &HeldUntil) -> v1::ServiceCertificate {
    v1::ServiceCertificate {
        section: section.as_str().to_owned(),
        certificate_begins_at: held.certificate.map(|held| proto::to_micros(held.begins)),
        certificate_expires_at: held.certificate.map(|held| proto::to_micros(held.ends)),
        authority_expires_at: held.authority.map(|held| proto::to_micros(held.ends)),
    }
}

/// A tenth more or less, so that services which were started together do not speak together.
fn jittered(interval: Duration, random: u64) -> Duration {
    let percent = u32::try_from(random % 21).unwrap_or(0);
    interval * (90 + percent) / 100
}

/// As random as the keys of the standard library's hash maps.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_differs_by_a_tenth_at_most() {
        let interval = Duration::from_secs(5);
        let pauses: Vec<Duration> = (0..100).map(|random| jittered(interval, random)).collect();
        assert_eq!(pauses.iter().min(), Some(&Duration::from_millis(4500)));
        assert_eq!(pauses.iter().max(), Some(&Duration::from_millis(5500)));
        assert_eq!(jittered(interval, u64::MAX).as_secs(), 5);
    }
}
