//! What a dead letter holds, and where it goes on to.

use std::time::Duration;

use bus::{DeadLetter, Destination, Fate};
use operation::{ForestId, OperationId};
use prost::Message as _;
use proto::v1;
use time::OffsetDateTime;

use crate::{
    content,
    record::Record,
    verdict::{Death, Origin},
};

/// The body, whichever queue it died in.
pub(super) struct Letter {
    pub(super) id: OperationId,
    admitted_at: OffsetDateTime,
    deadline: OffsetDateTime,
    pub(super) request: v1::Request,
    /// Of a message that died in a forest's queue.
    pub(super) work: Option<Work>,
}

pub(super) struct Work {
    pub(super) forest: ForestId,
    pub(super) target: v1::Target,
    pub(super) reconcile_only: bool,
}

impl Letter {
    pub(super) fn read(origin: Origin, body: &[u8]) -> Result<Self, String> {
        let (request, work) = match origin {
            Origin::Requests => {
                let request = v1::Request::decode(body).map_err(|error| error.to_string())?;
                (request, None)
            }
            Origin::Forest(forest) => {
                let work = v1::ForestWork::decode(body).map_err(|error| error.to_string())?;
                let request = work.request.ok_or("request: missing")?;
                let work = Work {
                    forest,
                    target: work.target.ok_or("target: missing")?,
                    reconcile_only: work.reconcile_only,
                };
                (request, Some(work))
            }
        };
        let operation = request.operation.as_ref().ok_or("operation: missing")?;
        let moment = |micros| proto::from_micros(micros).map_err(|error| error.to_string());
        Ok(Self {
            id: content::operation_id(&operation.id).map_err(|error| error.to_string())?,
            admitted_at: moment(operation.admitted_at)?,
            deadline: moment(operation.deadline)?,
            request,
            work,
        })
    }

    /// Zero once the deadline has passed.
    pub(super) fn remaining(&self) -> Duration {
        Duration::try_from(self.deadline - OffsetDateTime::now_utc()).unwrap_or_default()
    }

    /// Since its admission.
    pub(super) fn age(&self) -> time::Duration {
        OffsetDateTime::now_utc() - self.admitted_at
    }

    /// The queue it died in.
    pub(super) fn home(&self) -> Destination {
        self.work.as_ref().map_or(Destination::Requests, |work| {
            Destination::Forest(work.forest.clone())
        })
    }

    /// Once more, by somebody who did not finish with it.
    pub(super) fn given_back(mut self) -> Self {
        self.request.given_back = self.request.given_back.saturating_add(1);
        self
    }

    pub(super) fn is_reconciling(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.reconcile_only)
    }

    pub(super) fn death(&self, fate: Fate) -> Death {
        Death {
            fate,
            in_doubt: self.request.perhaps_repeated || self.is_reconciling(),
            deadline_passed: self.remaining().is_zero() || self.is_reconciling(),
            given_back: self.request.given_back,
        }
    }
}

/// A dead letter that somebody dealt with before may have been handed on by them already.
pub(super) fn fate(dead: &DeadLetter, dealt_with_before: bool) -> Fate {
    match dead.fate {
        Fate::Rejected if dealt_with_before => Fate::PerhapsTaken,
        fate => fate,
    }
}

/// Back to its forest; or to the resolvers, unless the ledger knows already where one has sent it.
pub(super) fn address(letter: &Letter, record: &Record, reconcile: bool) -> (Destination, Vec<u8>) {
    let known = match &letter.work {
        Some(work) => Some((work.forest.clone(), work.target.clone())),
        None => record
            .target
            .as_ref()
            .filter(|_| reconcile)
            .map(|target| (target.forest.clone(), target.to_wire())),
    };
    match known {
        Some((forest, target)) => {
            let work = v1::ForestWork {
                request: Some(letter.request.clone()),
                target: Some(target),
                reconcile_only: reconcile,
                remembered: false,
            };
            (Destination::Forest(forest), work.encode_to_vec())
        }
        None => (letter.home(), letter.request.encode_to_vec()),
    }
}
