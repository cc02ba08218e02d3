//! How everything stands, as this replica knows it: heartbeats, the ledger's figures and its chain.

use std::sync::{Arc, Mutex, PoisonError};

use chassis::Gate;
use proto::v1;
use time::OffsetDateTime;
use tokio::{sync::watch, time::Instant};

use crate::{
    heartbeats::Heartbeats,
    news::News,
    tally::{Tally, milliseconds},
};

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Standing {
    replica: String,
    pub(crate) heartbeats: Heartbeats,
    tally: watch::Receiver<Tally>,
    news: News,
    broker: Gate,
    pub(crate) verified: Verified,
}

/// What the last verification found that was asked of this replica.
#[derive(Clone, Default)]
pub(crate) struct Verified(Arc<Mutex<Option<(Instant, bool)>>>);

impl Verified {
    pub(crate) fn found(&self, intact: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), intact));
    }

    fn last(&self) -> Option<(Instant, bool)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    /// With what is to be told of the ledger as it is counted.
    pub(crate) fn new(replica: String, news: News, broker: Gate) -> (Self, watch::Sender<Tally>) {
        let (counted, tally) = watch::channel(Tally::default());
        let standing = Self {
            replica,
            heartbeats: Heartbeats::default(),
            tally,
            news,
            broker,
            verified: Verified::default(),
        };
        (standing, counted)
    }

    pub(crate) fn now(&self) -> v1::StatusResponse {
        let (listening, heard) = self.heartbeats.now();
        let listening = listening.filter(|_| self.broker.is_set());
        let verified = self.verified.last();
        let chain = v1::ChainHealth {
            verified_age_ms: verified.map(|(at, _)| milliseconds(at.elapsed())),
            verified_intact: verified.is_some_and(|(_, intact)| intact),
            ..self.news.chain()
        };
        v1::StatusResponse {
            at: proto::to_micros(OffsetDateTime::now_utc()),
            replica: self.replica.clone(),
            listening_ms: listening.map(milliseconds),
            heard,
            ledger: Some(self.tally.borrow().to_wire(chain)),
        }
    }
}
