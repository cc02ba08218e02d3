//! What the writer tells of itself. Labels are from closed sets: the forest's id, kinds, statuses,
//! reasons; never anything of a person's.

use std::time::Duration;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use operation::{ForestId, Kind, Outcome, Reason, Status};
use telemetry::metric;

pub(crate) struct Observer {
    forest: KeyValue,
    operations: Counter<u64>,
    queued: Histogram<f64>,
    directory: Histogram<f64>,
    in_doubt: Counter<u64>,
    reconciled: Counter<u64>,
    redelivered: Counter<u64>,
}

/// Why it is not known whether a write happened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Doubt {
    AnswerLost,
    Redelivered,
}

impl Doubt {
    const ALL: [Self; 2] = [Self::AnswerLost, Self::Redelivered];

    const fn as_str(self) -> &'static str {
        match self {
            Self::AnswerLost => "answer-lost",
            Self::Redelivered => "redelivered",
        }
    }
}

fn seconds(duration: time::Duration) -> f64 {
    duration.as_seconds_f64().max(0.0)
}

impl Observer {
    /// Counters begin at zero, so that their first increase can be seen.
    pub(crate) fn new(forest: &ForestId) -> Self {
        let observer = Self {
            forest: KeyValue::new("forest", forest.to_string()),
            operations: metric::counter(
                "writeback.writer.operations",
                "Operations this writer ended, by status and reason",
            ),
            queued: metric::seconds(
                "writeback.writer.queue.duration",
                "From an operation's acceptance until a writer started on it",
            ),
            directory: metric::seconds(
                "writeback.writer.directory.duration",
                "What reading and writing one account took, tries again included",
            ),
            in_doubt: metric::counter(
                "writeback.writer.in_doubt",
                "Writes of which it was not known whether they happened, by why",
            ),
            reconciled: metric::counter(
                "writeback.writer.reconciled",
                "Writes in doubt, by what was found",
            ),
            redelivered: metric::counter(
                "writeback.writer.redelivered",
                "Messages that had been delivered before",
            ),
        };
        for kind in Kind::ALL {
            observer.count(kind, Status::Applied, None, 0);
            for reason in Reason::ALL {
                observer.count(kind, reason.status(), Some(*reason), 0);
            }
        }
        for doubt in Doubt::ALL {
            observer.doubted(doubt, 0);
        }
        for applied in [true, false] {
            observer.found(applied, 0);
        }
        observer
            .redelivered
            .add(0, std::slice::from_ref(&observer.forest));
        observer
    }

    fn count(&self, kind: Kind, status: Status, reason: Option<Reason>, times: u64) {
        self.operations.add(
            times,
            &[
                self.forest.clone(),
                KeyValue::new("kind", kind.as_str()),
                KeyValue::new("status", status.as_str()),
                KeyValue::new("reason", reason.map_or("", Reason::code)),
            ],
        );
    }

    fn doubted(&self, doubt: Doubt, times: u64) {
        self.in_doubt.add(
            times,
            &[self.forest.clone(), KeyValue::new("why", doubt.as_str())],
        );
    }

    fn found(&self, applied: bool, times: u64) {
        let found = if applied { "applied" } else { "not-applied" };
        self.reconciled
            .add(times, &[self.forest.clone(), KeyValue::new("found", found)]);
    }

    fn of_kind(&self, kind: Kind) -> [KeyValue; 2] {
        [self.forest.clone(), KeyValue::new("kind", kind.as_str())]
    }

    pub(crate) fn started(&self, kind: Kind, after: time::Duration, redelivered: bool) {
        self.queued.record(seconds(after), &self.of_kind(kind));
        if redelivered {
            self.redelivered.add(1, std::slice::from_ref(&self.forest));
        }
    }

    pub(crate) fn directory(&self, kind: Kind, took: Duration) {
        self.directory
            .record(took.as_secs_f64(), &self.of_kind(kind));
    }

    pub(crate) fn in_doubt(&self, doubt: Doubt) {
        self.doubted(doubt, 1);
    }

    pub(crate) fn reconciled(&self, applied: bool) {
        self.found(applied, 1);
    }

    pub(crate) fn ended(&self, kind: Kind, outcome: &Outcome) {
        self.count(kind, outcome.status(), outcome.reason(), 1);
    }
}
