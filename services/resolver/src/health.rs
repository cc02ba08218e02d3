//! What the resolver knows of the forests, for its heartbeat.

use std::collections::BTreeMap;

use proto::v1;

use crate::forests::{Domain, Forests};

/// Every forest that is asked now.
pub(crate) fn of(forests: &Forests) -> Vec<v1::ForestHealth> {
    let mut health: BTreeMap<String, v1::ForestHealth> = BTreeMap::new();
    for domain in &forests.asked().domains {
        let forest = domain.forest.to_string();
        let entry = health.entry(forest.clone()).or_insert(v1::ForestHealth {
            forest,
            ..v1::ForestHealth::default()
        });
        entry.domains.push(of_domain(domain));
    }
    health.into_values().collect()
}

fn of_domain(domain: &Domain) -> v1::DomainHealth {
    let age = domain.anchors.age();
    v1::DomainHealth {
        anchors_age_ms: age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        ..domain.lookout.health()
    }
}
