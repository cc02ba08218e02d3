//! How everything stands, as this replica knows it: heartbeats, the ledger's figures and its chain.

use chassis::Gate;
use proto::v1;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::{
    heartbeats::Heartbeats,
    news::News,
    tally::{LastVerified, Tally, milliseconds},
};

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Standing {
    replica: String,
    pub(crate) heartbeats: Heartbeats,
    tally: watch::Receiver<Tally>,
    news: News,
    broker: Gate,
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
        };
        (standing, counted)
    }

    /// What the last verification found, as it is kept in the database.
    pub(crate) fn verified(&self) -> Option<LastVerified> {
        self.tally.borrow().verified()
    }

    pub(crate) fn now(&self) -> v1::StatusResponse {
        let (listening, heard) = self.heartbeats.now();
        let listening = listening.filter(|_| self.broker.is_set());
        v1::StatusResponse {
            at: proto::to_micros(OffsetDateTime::now_utc()),
            replica: self.replica.clone(),
            listening_ms: listening.map(milliseconds),
            heard,
            ledger: Some(self.tally.borrow().to_wire(self.news.chain())),
        }
    }
}
