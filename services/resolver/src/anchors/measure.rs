//! What an index tells of itself.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use operation::{DomainName, ForestId};
use telemetry::metric;

use super::{Anchors, State};

/// What is read of a domain.
pub(super) const EVERYBODY: &str = "everybody";
pub(super) const CHANGES: &str = "changes";

pub(super) struct Measures {
    labels: [KeyValue; 2],
    readings: Counter<u64>,
    people_read: Counter<u64>,
    look_ups: Histogram<f64>,
}

impl Measures {
    pub(super) fn new(forest: &ForestId, domain: &DomainName) -> Self {
        let measures = Self {
            labels: labels(forest, domain),
            readings: metric::counter(
                "writeback.resolver.anchors.readings",
                "Readings of anchors, by what was read and whether that worked",
            ),
            people_read: metric::counter(
                "writeback.resolver.anchors.people_read",
                "People whose anchors were read, by what was read",
            ),
            look_ups: metric::seconds(
                "writeback.resolver.anchors.lookup.duration",
                "How long looking up an anchor in one domain took, by what answered",
            ),
        };
        // counters begin at zero, so that their first increase can be seen
        for what in [EVERYBODY, CHANGES] {
            measures.people(what, 0);
            measures.readings(what, true, 0);
            measures.readings(what, false, 0);
        }
        measures
    }

    pub(super) fn read(&self, what: &'static str, succeeded: bool) {
        self.readings(what, succeeded, 1);
    }

    fn readings(&self, what: &'static str, succeeded: bool, count: u64) {
        let result = if succeeded { "succeeded" } else { "failed" };
        let labels = [KeyValue::new("what", what), KeyValue::new("result", result)];
        self.readings.add(count, &self.with(labels));
    }

    pub(super) fn people(&self, what: &'static str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.people_read
            .add(count, &self.with([KeyValue::new("what", what)]));
    }

    pub(super) fn looked_up(&self, by: &'static str, took: Duration) {
        self.look_ups
            .record(took.as_secs_f64(), &self.with([KeyValue::new("by", by)]));
    }

    fn with<const N: usize>(&self, more: [KeyValue; N]) -> Vec<KeyValue> {
        self.labels.iter().cloned().chain(more).collect()
    }
}

/// Makes the gauges of this index. What was never read has no age.
pub(super) fn observe(anchors: &Arc<Anchors>) {
    gauge(
        anchors,
        "writeback.resolver.anchors.entries",
        "",
        "People whose anchor is not their objectGUID",
        |state| u32::try_from(state.index.len()).ok().map(f64::from),
    );
    gauge(
        anchors,
        "writeback.resolver.anchors.age",
        "s",
        "How long ago the last good reading of anchors began",
        |state| state.read_at.map(|at| at.elapsed().as_secs_f64()),
    );
    gauge(
        anchors,
        "writeback.resolver.anchors.full.duration",
        "s",
        "How long the last reading of everybody's anchor took",
        |state| state.full_reading_took.map(|took| took.as_secs_f64()),
    );
}

fn gauge(
    anchors: &Arc<Anchors>,
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    value: impl Fn(&State) -> Option<f64> + Send + Sync + 'static,
) {
    let labels = labels(&anchors.forest, &anchors.domain);
    let anchors: Weak<Anchors> = Arc::downgrade(anchors);
    metric::meter()
        .f64_observable_gauge(name)
        .with_unit(unit)
        .with_description(description)
        .with_callback(move |observer| {
            if let Some(anchors) = anchors.upgrade()
                && let Some(value) = value(&anchors.state())
            {
                observer.observe(value, &labels);
            }
        })
        .build();
}

fn labels(forest: &ForestId, domain: &DomainName) -> [KeyValue; 2] {
    [
        KeyValue::new("forest", forest.to_string()),
        KeyValue::new("domain", domain.to_string()),
    ]
}
