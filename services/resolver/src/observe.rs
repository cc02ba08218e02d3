//! What the resolver tells of itself. Labels are from closed sets: forests' ids, kinds, reasons.

use std::time::Duration;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use operation::{ForestId, Kind, Reason};
use telemetry::metric;

pub(crate) struct Observer {
    durations: Histogram<f64>,
    asked: Histogram<u64>,
    answers: Counter<u64>,
}

/// What a forest answered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answered {
    Found,
    Nothing,
    Unavailable,
}

impl Answered {
    const ALL: [Self; 3] = [Self::Found, Self::Nothing, Self::Unavailable];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Nothing => "nothing",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Observer {
    pub(crate) fn new() -> Self {
        Self {
            durations: metric::seconds(
                "writeback.resolver.duration",
                "How long finding one account took, by the reason why none was found",
            ),
            asked: metric::meter()
                .u64_histogram("writeback.resolver.domains_asked")
                .with_description(
                    "How many domains were asked for one person; 0 where it was remembered",
                )
                .with_boundaries(vec![1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0])
                .build(),
            answers: metric::counter(
                "writeback.resolver.answers",
                "What each forest's domains answered",
            ),
        }
    }

    /// Counters begin at zero, so that their first increase can be seen.
    pub(crate) fn begin(&self, forest: &ForestId) {
        for answered in Answered::ALL {
            self.count(forest, answered, 0);
        }
    }

    fn count(&self, forest: &ForestId, answered: Answered, times: u64) {
        self.answers.add(
            times,
            &[
                KeyValue::new("forest", forest.to_string()),
                KeyValue::new("answer", answered.as_str()),
            ],
        );
    }

    pub(crate) fn answered(&self, forest: &ForestId, answered: Answered) {
        self.count(forest, answered, 1);
    }

    pub(crate) fn asked(&self, domains: usize) {
        self.asked
            .record(u64::try_from(domains).unwrap_or(u64::MAX), &[]);
    }

    pub(crate) fn resolved(&self, kind: Kind, reason: Option<Reason>, took: Duration) {
        self.durations.record(
            took.as_secs_f64(),
            &[
                KeyValue::new("kind", kind.as_str()),
                KeyValue::new("reason", reason.map_or("", Reason::code)),
            ],
        );
    }
}
