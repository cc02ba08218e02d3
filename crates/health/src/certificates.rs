//! What the services of one kind show and believe, and when it ends. By the clock of whoever tells it.

use std::collections::BTreeMap;

use proto::v1;
use time::Duration;

use crate::{limits::CERTIFICATE_DAYS, pulse::Pulse, verdict::Finding};

const DAY_MICROS: i64 = 86_400_000_000;

/// One thing that ends soon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ending {
    days: i64,
    section: String,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Certificate,
    Authority,
}

pub(crate) fn ending(pulse: &Pulse<'_>) -> Vec<Ending> {
    let now = pulse.heartbeat.sent_at;
    let held = pulse.heartbeat.certificates.iter();
    held.flat_map(|held| [certificate(held, now), authority(held, now)])
        .flatten()
        .collect()
}

fn certificate(held: &v1::ServiceCertificate, now: i64) -> Option<Ending> {
    let ends = held.certificate_expires_at?;
    let lifetime = ends.saturating_sub(held.certificate_begins_at.unwrap_or(i64::MIN));
    let ahead = expiry::ahead(Duration::microseconds(lifetime));
    let left = ends.saturating_sub(now);
    (Duration::microseconds(left) < ahead).then(|| Ending {
        days: left.div_euclid(DAY_MICROS),
        section: held.section.clone(),
        what: What::Certificate,
    })
}

fn authority(held: &v1::ServiceCertificate, now: i64) -> Option<Ending> {
    let left = held.authority_expires_at?.saturating_sub(now);
    let days = left.div_euclid(DAY_MICROS);
    (days < CERTIFICATE_DAYS).then(|| Ending {
        days,
        section: held.section.clone(),
        what: What::Authority,
    })
}

/// Those who share one have one finding together.
pub(crate) fn findings<'a>(
    services: impl Iterator<Item = (&'a str, &'a [Ending])>,
) -> Vec<Finding> {
    let mut ending: BTreeMap<&Ending, Vec<&str>> = BTreeMap::new();
    for (name, endings) in services {
        for one in endings {
            ending.entry(one).or_default().push(name);
        }
    }
    ending
        .into_iter()
        .map(|(one, names)| {
            let (names, section) = (names.join(", "), &one.section);
            let when = match one.days {
                ..0 => "has ended".to_owned(),
                days => format!("ends in {days} days"),
            };
            match one.what {
                What::Certificate => Finding::degraded(
                    format!("{names}: its certificate {when} (certificate_file in [{section}])"),
                    "put a new certificate and its key into the files, from the same authority: they are taken without a restart",
                ),
                What::Authority => {
                    let key = if section == "audit" { "client_ca_file" } else { "ca_file" };
                    Finding::degraded(
                        format!("{names}: the authority it trusts {when} ({key} in [{section}])"),
                        "put the new authority beside the old one into the file, then renew the certificates that it is to sign",
                    )
                }
            }
        })
        .collect()
}
