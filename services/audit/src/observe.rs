//! What the ledger tells of itself. Labels are from closed sets: kinds, statuses, reasons, forests'
//! ids; never an operation's id, an event's, or a person's.

mod standing;

use std::{collections::HashSet, sync::OnceLock, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use operation::{Kind, Reason, Status};
use telemetry::metric;
use uuid::Uuid;

use crate::{
    batch::{Answer, Batch, Item},
    content::End,
    record::Record,
};

pub(crate) use standing::{Pending, PendingNow};

/// What one transaction changed, told once it is committed.
pub(crate) struct Committed {
    entries: usize,
    items: usize,
    admissions: Vec<(Kind, &'static str)>,
    ended: Vec<Ended>,
    swept: u64,
    /// When the reports' last steps were taken.
    reported: Vec<i64>,
}

struct Ended {
    kind: Kind,
    status: Status,
    reason: Option<Reason>,
    forest: String,
}

impl Ended {
    fn new(record: &Record) -> Self {
        Self {
            kind: record.admission.kind,
            status: record.status(),
            reason: match &record.outcome {
                Some(End::Refusal { reason, .. }) => Some(*reason),
                _ => None,
            },
            forest: record
                .target
                .as_ref()
                .map(|target| target.forest.to_string())
                .unwrap_or_default(),
        }
    }
}

/// The operations that had ended before anything was decided.
pub(crate) fn ended_before(batch: &Batch) -> HashSet<Uuid> {
    batch
        .records
        .iter()
        .filter(|(_, record)| !record.is_pending())
        .map(|(id, _)| *id)
        .collect()
}

impl Committed {
    pub(crate) fn new(
        batch: &Batch,
        before: &HashSet<Uuid>,
        items: &[Item],
        answers: &[Answer],
    ) -> Self {
        let ended_now = |id: &Uuid| {
            batch
                .records
                .get(id)
                .filter(|record| !before.contains(id) && !record.is_pending())
        };
        let mut committed = Self {
            entries: batch.entries.len(),
            items: items.len(),
            admissions: Vec::new(),
            ended: batch
                .changed
                .iter()
                .filter_map(ended_now)
                .map(Ended::new)
                .collect(),
            swept: 0,
            reported: Vec::new(),
        };
        for (item, answer) in items.iter().zip(answers) {
            match item {
                Item::Admit(asked, _) => {
                    let answer = match answer {
                        Answer::Admitted { .. } => "admitted",
                        Answer::Duplicate { .. } => "duplicate",
                        Answer::Ended(_) => "ended",
                        Answer::Throttled { .. } => "throttled",
                        _ => continue,
                    };
                    committed.admissions.push((asked.kind, answer));
                }
                Item::Report(_, reported) => {
                    committed
                        .reported
                        .extend(reported.steps.iter().map(|step| step.at).max());
                }
                Item::Overdue(id) => {
                    committed.swept += u64::from(ended_now(&id.as_uuid()).is_some());
                }
                Item::Overtake(..) | Item::TakeUp(..) | Item::Settings(_) | Item::KeyAct(_) => {}
            }
        }
        committed
    }
}

/// Of the task that appends.
pub(crate) struct Observer {
    admissions: Counter<u64>,
    outcomes: Counter<u64>,
    entries: Counter<u64>,
    swept: Counter<u64>,
    batches: Histogram<u64>,
    commits: Histogram<f64>,
    lag: Histogram<f64>,
}

impl Observer {
    /// Counters begin at zero, so that their first increase can be seen.
    pub(crate) fn new() -> Self {
        let observer = Self {
            admissions: metric::counter(
                "writeback.ledger.admissions",
                "Events asked to be admitted, by what the ledger made of them",
            ),
            outcomes: metric::counter(
                "writeback.ledger.outcomes",
                "Operations that ended, each counted once over all replicas",
            ),
            entries: metric::counter("writeback.ledger.entries", "Entries appended"),
            swept: metric::counter(
                "writeback.ledger.swept",
                "Operations ended because no service took them up",
            ),
            batches: metric::meter()
                .u64_histogram("writeback.ledger.batch.size")
                .with_description("How many items were committed together")
                .with_boundaries(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0])
                .build(),
            commits: metric::seconds(
                "writeback.ledger.commit.duration",
                "How long one transaction took, by whether it was committed",
            ),
            lag: metric::seconds(
                "writeback.ledger.lag.duration",
                "From the last step a report tells of until it was committed",
            ),
        };
        for kind in Kind::ALL {
            for answer in ["admitted", "duplicate", "ended", "throttled"] {
                observer.admitted(kind, answer, 0);
            }
            for reason in Reason::ALL {
                observer.ended(kind, reason.status(), Some(*reason), String::new(), 0);
            }
        }
        count_dead_letter("", "expired", "expire", 0);
        observer.entries.add(0, &[]);
        observer.swept.add(0, &[]);
        observer
    }

    fn admitted(&self, kind: Kind, answer: &'static str, times: u64) {
        self.admissions.add(
            times,
            &[
                KeyValue::new("kind", kind.as_str()),
                KeyValue::new("answer", answer),
            ],
        );
    }

    fn ended(
        &self,
        kind: Kind,
        status: Status,
        reason: Option<Reason>,
        forest: String,
        times: u64,
    ) {
        self.outcomes.add(
            times,
            &[
                KeyValue::new("kind", kind.as_str()),
                KeyValue::new("status", status.as_str()),
                KeyValue::new("reason", reason.map_or("", Reason::code)),
                KeyValue::new("forest", forest),
            ],
        );
    }

    pub(crate) fn committed(&self, committed: Committed, now: i64) {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.entries.add(count(committed.entries), &[]);
        self.batches.record(count(committed.items), &[]);
        self.swept.add(committed.swept, &[]);
        for (kind, answer) in committed.admissions {
            self.admitted(kind, answer, 1);
        }
        for ended in committed.ended {
            self.ended(ended.kind, ended.status, ended.reason, ended.forest, 1);
        }
        for at in committed.reported {
            let lag = Duration::from_micros(u64::try_from(now.saturating_sub(at)).unwrap_or(0));
            self.lag.record(lag.as_secs_f64(), &[]);
        }
    }

    pub(crate) fn transaction(&self, result: &'static str, took: Duration) {
        self.commits
            .record(took.as_secs_f64(), &[KeyValue::new("result", result)]);
    }
}

/// Tells how many items wait to be appended, asked anew each time.
pub(crate) fn observe_waiting(waiting: impl Fn() -> Option<usize> + Send + Sync + 'static) {
    // the meter keeps it alive
    let _gauge = metric::meter()
        .u64_observable_gauge("writeback.ledger.waiting")
        .with_description("Items that wait to be appended by this replica")
        .with_callback(move |observer| {
            if let Some(items) = waiting() {
                observer.observe(u64::try_from(items).unwrap_or(u64::MAX), &[]);
            }
        })
        .build();
}

/// A message that died, and what was done about it.
pub(crate) fn dead_letter(died_in: &str, reason: &str, verdict: &'static str) {
    // the broker's words (rabbitmq.com/docs/dlx)
    let reason = match reason {
        "expired" => "expired",
        "delivery_limit" => "delivery-limit",
        "rejected" => "rejected",
        "maxlen" => "maxlen",
        _ => telemetry::span::OTHER,
    };
    count_dead_letter(died_in, reason, verdict, 1);
}

fn count_dead_letter(died_in: &str, reason: &'static str, verdict: &'static str, times: u64) {
    static DEAD: OnceLock<Counter<u64>> = OnceLock::new();
    DEAD.get_or_init(|| {
        metric::counter(
            "writeback.ledger.dead_letters",
            "Messages that died, by the forest whose queue they died in and what followed",
        )
    })
    .add(
        times,
        &[
            KeyValue::new("forest", died_in.to_owned()),
            KeyValue::new("reason", reason),
            KeyValue::new("verdict", verdict),
        ],
    );
}
