//! What one transaction decides: items in, answers and entries out (pure: time and facts are given).

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chain::{Entry, Tip};
use operation::{ForestId, Kind, OperationId, Reason};
use uuid::Uuid;

use crate::{
    content::{self, ADMITTED, Admission, End, KEYS, REPORTED, Reported, SETTINGS, Step},
    key_act::KeyAct,
    record::{OVERTAKEN, Record, TAKEN_UP},
    settings::{Settings, SettingsChange},
};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// A first publication that has not been heard of for this long may not have happened.
const PERHAPS_UNPUBLISHED: i64 = 2 * SECOND;
/// How long after its deadline an operation that nobody took up is declared expired.
pub(crate) const OVERDUE: i64 = 60 * SECOND;
/// How long nothing must have been heard of an operation before a later one may go first: by then no write can be under
/// way that its writer has not taken up here, for a write that was not has ended ten seconds after admission (the
/// writer's `UNTAKEN_ENDS_WITHIN`). The rest is for clocks that differ.
const OVERTAKEN_AFTER: i64 = 15 * SECOND;

/// Something to append.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// With the forests that alone could carry it out, as far as that is known.
    Admit(Box<Admission>, Vec<ForestId>),
    Report(OperationId, Box<Reported>),
    /// Expire it, if it still is as the sweeper saw it.
    Overdue(OperationId),
    /// Let a later operation go first, asked by this service.
    Overtake(OperationId, String),
    /// A writer is about to begin, late.
    TakeUp(OperationId, String),
    Settings(SettingsChange),
    KeyAct(Box<KeyAct>),
}

impl Item {
    /// How long it may wait for something to share a transaction with. Nobody asks for a step before its
    /// operation ends. An end is told by the reply queue, and whoever looks it up then waits for it; where it is
    /// told only when it is recorded, nothing was written and nobody notices the moment. What comes before the
    /// work does not wait, and takes along what does.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Self::Report(_, reported) if reported.outcome.is_none() => Duration::from_millis(200),
            Self::Report(..) => Duration::from_millis(25),
            Self::Admit(..)
            | Self::Overdue(_)
            | Self::Overtake(..)
            | Self::TakeUp(..)
            | Self::Settings(_)
            | Self::KeyAct(_) => Duration::ZERO,
        }
    }
}

/// What became of an item.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Admitted {
        admitted_at: i64,
        after: Option<OperationId>,
        admission: Box<Admission>,
    },
    Duplicate {
        record: Box<Record>,
        publish_again: bool,
        after: Option<OperationId>,
    },
    Ended(Box<Record>),
    Throttled {
        retry_after_seconds: u32,
    },
    Recorded(Box<Record>),
    Settings(Box<Settings>),
    KeyAct {
        sequence: i64,
        act: Box<KeyAct>,
    },
    UnknownOperation,
    /// Another event already has this operation id.
    IdTaken,
}

/// An operation of a person, as far as others on the same person care.
#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct Peer {
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    pub(crate) person_keys: Vec<String>,
    pub(crate) admitted_at: i64,
}

/// An operation that counts towards its person's throttle.
#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct Counted {
    pub(crate) person_keys: Vec<String>,
    pub(crate) admitted_at: i64,
}

/// The facts, read under the head's lock, and what is decided on them.
pub(crate) struct Batch {
    pub(crate) now: i64,
    pub(crate) tip: Tip,
    pub(crate) settings: Settings,
    pub(crate) records: HashMap<Uuid, Record>,
    /// Pending operations on the persons concerned.
    pub(crate) pending: Vec<Peer>,
    /// Operations of the last hour on the persons concerned that count towards the throttle.
    pub(crate) counted: Vec<Counted>,
    pub(crate) throttle_per_hour: u32,
    /// Who we are, for the steps we add.
    pub(crate) service: String,
    pub(crate) entries: Vec<Entry>,
    pub(crate) changed: BTreeSet<Uuid>,
    pub(crate) settings_changed: bool,
}

fn share_a_key(one: &[String], other: &[String]) -> bool {
    one.iter().any(|key| other.contains(key))
}

impl Batch {
    pub(crate) fn decide(&mut self, item: &Item) -> Result<Answer, serde_json::Error> {
        match item {
            Item::Admit(admission, only) => self.admit(admission, only),
            Item::Report(id, reported) => self.report(*id, reported),
            Item::Overdue(id) => self.overdue(*id),
            Item::Overtake(id, service) => self.overtake(*id, service),
            Item::TakeUp(id, service) => self.take_up(*id, service),
            Item::Settings(change) => self.change_settings(change),
            Item::KeyAct(act) => self.key_act(act),
        }
    }

    /// Strictly later than everything before: admission times order operations without ties.
    fn next_at(&self) -> i64 {
        self.now.max(self.tip.at.saturating_add(1))
    }

    fn admit(&mut self, asked: &Admission, only: &[ForestId]) -> Result<Answer, serde_json::Error> {
        let same_event = |record: &&Record| {
            record.admission.event_source == asked.event_source
                && record.admission.event_id == asked.event_id
        };
        if let Some(first) = self.records.values().find(same_event) {
            return Ok(self.duplicate(first, asked));
        }
        let id = asked.id.as_uuid();
        if self.records.contains_key(&id) {
            return Ok(Answer::IdTaken);
        }
        let keys = asked.person_keys();
        if asked.counted()
            && let Some(retry_after_seconds) = self.throttled(&keys)
        {
            return Ok(Answer::Throttled {
                retry_after_seconds,
            });
        }
        let at = self.next_at();
        let admission = Admission {
            admitted_at: at,
            closed: self.settings.closed(asked.kind),
            ..asked.clone()
        };
        let after = self.after(admission.kind, &keys, at);
        let text = content::to_text(&admission)?;
        self.entries
            .push(self.tip.append(at, ADMITTED, Some(id), text));
        if admission.counted() {
            self.counted.push(Counted {
                person_keys: keys.clone(),
                admitted_at: at,
            });
        }
        self.pending.push(Peer {
            id,
            kind: admission.kind,
            person_keys: keys,
            admitted_at: at,
        });
        let refused = self.settings.refusal(admission.kind, only);
        self.records.insert(id, Record::admitted(admission.clone()));
        self.changed.insert(id);
        let Some(outcome) = refused else {
            return Ok(Answer::Admitted {
                admitted_at: at,
                after,
                admission: Box::new(admission),
            });
        };
        let ended = Reported {
            outcome: Some(outcome),
            steps: vec![Step {
                at,
                service: self.service.clone(),
                step: "refused".to_owned(),
                detail: "by the settings".to_owned(),
            }],
            ..Reported::default()
        };
        match self.report(asked.id, &ended)? {
            Answer::Recorded(record) => Ok(Answer::Ended(record)),
            other => Ok(other),
        }
    }

    fn duplicate(&self, first: &Record, asked: &Admission) -> Answer {
        // the same id is the same admission, asked for again because its answer was lost: whoever asks
        // has published nothing yet
        let same_admission = first.admission.id == asked.id;
        let long_ago = self.now.saturating_sub(first.admission.admitted_at) > PERHAPS_UNPUBLISHED;
        let publish_again = first.is_untouched()
            && (same_admission || long_ago)
            && first.admission.content_digest == asked.content_digest;
        let after = publish_again
            .then(|| {
                let first = &first.admission;
                self.after(first.kind, &first.person_keys(), first.admitted_at)
            })
            .flatten();
        Answer::Duplicate {
            record: Box::new(first.clone()),
            publish_again,
            after,
        }
    }

    /// The operation on this person, admitted before this moment and pending, that must end first: the latest that sets
    /// a password, else the latest unlock. An unlock leaves the password alone, and waits for nobody.
    fn after(&self, kind: Kind, keys: &[String], before: i64) -> Option<OperationId> {
        if !kind.sets_password() {
            return None;
        }
        self.pending
            .iter()
            .filter(|peer| peer.admitted_at < before && share_a_key(&peer.person_keys, keys))
            .filter(|peer| {
                // it may have ended within this very batch
                self.records.get(&peer.id).is_none_or(Record::is_pending)
            })
            .max_by_key(|peer| (peer.kind.sets_password(), peer.admitted_at))
            .map(|peer| OperationId::from_uuid(peer.id))
    }

    /// In how many seconds the person may try again, if there were too many in the last hour.
    fn throttled(&self, keys: &[String]) -> Option<u32> {
        let limit = usize::try_from(self.throttle_per_hour).ok()?;
        let since = self.now.saturating_sub(HOUR);
        let mut times: Vec<i64> = self
            .counted
            .iter()
            .filter(|peer| peer.admitted_at > since && share_a_key(&peer.person_keys, keys))
            .map(|peer| peer.admitted_at)
            .collect();
        if limit == 0 || times.len() < limit {
            return None;
        }
        times.sort_unstable();
        // one is free once fewer than `limit` of them are within the hour
        let frees = times.get(times.len() - limit)?.saturating_add(HOUR);
        let seconds = frees.saturating_sub(self.now).max(0) / SECOND + 1;
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    fn report(
        &mut self,
        id: OperationId,
        reported: &Reported,
    ) -> Result<Answer, serde_json::Error> {
        let at = self.next_at();
        let Some(record) = self.records.get_mut(&id.as_uuid()) else {
            return Ok(Answer::UnknownOperation);
        };
        if let Some(news) = record.news(reported.clone()) {
            let text = content::to_text(&news)?;
            self.entries
                .push(self.tip.append(at, REPORTED, Some(id.as_uuid()), text));
            record.apply(at, news);
            self.changed.insert(id.as_uuid());
        }
        Ok(Answer::Recorded(Box::new(record.clone())))
    }

    fn overdue(&mut self, id: OperationId) -> Result<Answer, serde_json::Error> {
        let Some(record) = self.records.get(&id.as_uuid()) else {
            return Ok(Answer::UnknownOperation);
        };
        let still_overdue =
            record.is_untouched() && record.admission.deadline < self.now.saturating_sub(OVERDUE);
        if !still_overdue {
            return Ok(Answer::Recorded(Box::new(record.clone())));
        }
        let expired = expiry(self.now, &self.service, "no service took it up");
        self.report(id, &expired)
    }

    fn overtake(&mut self, id: OperationId, service: &str) -> Result<Answer, serde_json::Error> {
        let Some(record) = self.records.get(&id.as_uuid()) else {
            return Ok(Answer::UnknownOperation);
        };
        let long_ago = record.admission.admitted_at < self.now.saturating_sub(OVERTAKEN_AFTER);
        if !record.is_untouched() || record.is_overtaken() || !long_ago {
            return Ok(Answer::Recorded(Box::new(record.clone())));
        }
        let detail = "nothing had been heard of it when a later operation on the person came";
        self.step(id, service, OVERTAKEN, detail)
    }

    fn take_up(&mut self, id: OperationId, service: &str) -> Result<Answer, serde_json::Error> {
        let Some(record) = self.records.get(&id.as_uuid()) else {
            return Ok(Answer::UnknownOperation);
        };
        if !record.is_pending() || record.is_overtaken() || record.is_taken_up() {
            return Ok(Answer::Recorded(Box::new(record.clone())));
        }
        self.step(id, service, TAKEN_UP, "")
    }

    fn step(
        &mut self,
        id: OperationId,
        service: &str,
        step: &str,
        detail: &str,
    ) -> Result<Answer, serde_json::Error> {
        let step = Step {
            at: self.now,
            service: service.to_owned(),
            step: step.to_owned(),
            detail: detail.to_owned(),
        };
        let steps = Reported {
            steps: vec![step],
            ..Reported::default()
        };
        self.report(id, &steps)
    }

    fn change_settings(&mut self, change: &SettingsChange) -> Result<Answer, serde_json::Error> {
        let at = self.next_at();
        if let Some(wanted) = self.settings.changed(change, at) {
            let text = content::to_text(&wanted)?;
            self.entries.push(self.tip.append(at, SETTINGS, None, text));
            self.settings = wanted;
            self.settings_changed = true;
        }
        Ok(Answer::Settings(Box::new(self.settings.clone())))
    }

    fn key_act(&mut self, act: &KeyAct) -> Result<Answer, serde_json::Error> {
        let at = self.next_at();
        let act = KeyAct { at, ..act.clone() };
        let entry = self.tip.append(at, KEYS, None, content::to_text(&act)?);
        let sequence = entry.sequence;
        self.entries.push(entry);
        Ok(Answer::KeyAct {
            sequence,
            act: Box::new(act),
        })
    }
}

/// The report that an operation expired unwritten.
pub(crate) fn expiry(at: i64, service: &str, detail: &str) -> Reported {
    Reported {
        outcome: Some(End::refusal(
            Reason::DeadlineExceeded,
            "the operation was not carried out before its deadline; nothing was changed",
        )),
        steps: vec![Step {
            at,
            service: service.to_owned(),
            step: "expired".to_owned(),
            detail: detail.to_owned(),
        }],
        ..Reported::default()
    }
}

#[cfg(test)]
mod tests;
