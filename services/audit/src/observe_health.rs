//! Heartbeats and verdicts as metrics: what cannot be scraped, in a forest nobody can dial into, is
//! told here.

mod forests;
mod verified;

use std::{collections::BTreeMap, time::Duration};

use health::{Level, is_alive, kind_name};
use opentelemetry::{KeyValue, metrics::AsyncInstrument};
use proto::v1::{self, ServiceKind};
use telemetry::metric;

use crate::standing::Standing;

/// The kinds, each with the forest it serves; only writers have one.
type Group = (&'static str, String);

#[derive(Debug, Default, PartialEq)]
struct Heard {
    alive: u64,
    missing: u64,
    /// Since any of them was heard.
    age: Option<Duration>,
}

/// Tells what is known, asked anew each time.
pub(crate) fn observe(standing: &Standing) {
    let (ages, instances, levels) = (standing.clone(), standing.clone(), standing.clone());
    let meter = metric::meter();
    // the meter keeps them alive
    let _ages = meter
        .f64_observable_gauge("writeback.heartbeat.age")
        .with_unit("s")
        .with_description("How long ago any service of this kind was last heard")
        .with_callback(move |observer| {
            for (group, heard) in groups(&ages.now()) {
                if let Some(age) = heard.age {
                    observer.observe(age.as_secs_f64(), &labels(group));
                }
            }
        })
        .build();
    let _instances = meter
        .u64_observable_gauge("writeback.heartbeat.instances")
        .with_description("Services heard of lately, by whether they still are")
        .with_callback(move |observer| {
            for (group, heard) in groups(&instances.now()) {
                for (state, count) in [("alive", heard.alive), ("missing", heard.missing)] {
                    let state = KeyValue::new("state", state);
                    let labels = labels(group.clone());
                    observer.observe(
                        count,
                        &labels.into_iter().chain([state]).collect::<Vec<_>>(),
                    );
                }
            }
        })
        .build();
    let _levels = meter
        .u64_observable_gauge("writeback.status.level")
        .with_description("What `writebackctl status` says: 0 healthy, 1 degraded, 2 down")
        .with_callback(move |observer| tell_levels(&levels.now(), observer))
        .build();
    forests::observe(standing);
    verified::observe(standing);
}

fn labels((service, forest): Group) -> [KeyValue; 2] {
    [
        KeyValue::new("service", service),
        KeyValue::new("forest", forest),
    ]
}

fn tell_levels(status: &v1::StatusResponse, observer: &dyn AsyncInstrument<u64>) {
    let report = health::judge(status);
    let tell = |part: &'static str, forest: &str, level: Level| {
        let level = match level {
            Level::Healthy => 0,
            Level::Degraded => 1,
            Level::Down => 2,
        };
        let forest = forest.to_owned();
        observer.observe(
            level,
            &[KeyValue::new("part", part), KeyValue::new("forest", forest)],
        );
    };
    tell("all", "", report.level);
    tell("broker", "", report.broker.level());
    tell("ledger", "", report.ledger.level());
    tell("outcomes", "", report.outcomes.verdict.level());
    for service in &report.services {
        tell(kind_name(service.kind), "", service.verdict.level());
    }
    for forest in &report.forests {
        tell("forest", &forest.id, forest.level());
    }
}

/// Every kind is there, and every forest that is served, also with nobody alive.
fn groups(status: &v1::StatusResponse) -> BTreeMap<Group, Heard> {
    let served = crate::heartbeats::forests(&status.heard);
    let expected = [
        ServiceKind::Intake,
        ServiceKind::Resolver,
        ServiceKind::Audit,
    ]
    .into_iter()
    .map(|kind| (kind_name(kind), String::new()))
    .chain(
        served
            .into_iter()
            .map(|forest| (kind_name(ServiceKind::Writer), forest)),
    );
    let mut groups: BTreeMap<Group, Heard> =
        expected.map(|group| (group, Heard::default())).collect();
    for heard in &status.heard {
        let Some(heartbeat) = &heard.heartbeat else {
            continue;
        };
        let age = Duration::from_millis(heard.age_ms);
        let forest = match (heartbeat.kind(), heartbeat.forests.as_slice()) {
            (ServiceKind::Writer, [only, ..]) => only.forest.clone(),
            _ => String::new(),
        };
        let group = groups
            .entry((kind_name(heartbeat.kind()), forest))
            .or_default();
        if is_alive(heartbeat, age) {
            group.alive += 1;
        } else {
            group.missing += 1;
        }
        group.age = Some(group.age.map_or(age, |least| least.min(age)));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(kind: ServiceKind, forests: &[&str], age_ms: u64) -> v1::HeardHeartbeat {
        let forests = forests.iter().map(|forest| v1::ForestHealth {
            forest: (*forest).to_owned(),
            ..v1::ForestHealth::default()
        });
        v1::HeardHeartbeat {
            heartbeat: Some(v1::Heartbeat {
                kind: kind.into(),
                interval_ms: 5_000,
                forests: forests.collect(),
                ..v1::Heartbeat::default()
            }),
            age_ms,
        }
    }

    #[test]
    fn a_forest_without_writers_is_told_of_too() {
        let status = v1::StatusResponse {
            heard: vec![
                heard(ServiceKind::Resolver, &["corp", "emea"], 1_000),
                heard(ServiceKind::Writer, &["corp"], 2_000),
                heard(ServiceKind::Writer, &["corp"], 100_000),
            ],
            ..v1::StatusResponse::default()
        };
        let groups = groups(&status);
        let of = |kind, forest: &str| &groups[&(kind, forest.to_owned())];
        let corp = Heard {
            alive: 1,
            missing: 1,
            age: Some(Duration::from_secs(2)),
        };
        assert_eq!(of("writer", "corp"), &corp);
        assert_eq!(of("writer", "emea"), &Heard::default());
        assert_eq!(of("resolver", "").alive, 1);
        assert_eq!(of("intake", ""), &Heard::default());
    }
}
