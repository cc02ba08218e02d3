//! Dead letters: messages that nobody took in time, that killed whoever took them, or that gave way to others.

mod letter;

use std::time::Duration;

use bus::{Deliveries, Delivery, Destination, Message, Publisher};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use operation::OperationId;
use prost::Message as _;
use sqlx::PgPool;
use telemetry::trouble::Trouble;
use time::OffsetDateTime;
use tokio::sync::{Semaphore, broadcast::error::RecvError};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    appender::Appender,
    batch,
    content::{Step, Target},
    news::News,
    observe,
    record::Record,
    recording::{Recording, record_surely},
    store,
    verdict::{Origin, TRIES, Verdict, rest},
};
use letter::{Letter, address, fate};

pub(crate) const PREFETCH: u16 = 256;
/// How many of these may rest.
pub(crate) const RESTING: usize = 192;

/// How long the others rest, which are left to go round.
const CROWDED: Duration = Duration::from_millis(250);
const QUERY_TIME_OUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(2);
/// Work that was already for reconciling and died again: its writers need time to mend.
const PAUSE_BEFORE_ANOTHER_TRY: Duration = Duration::from_secs(5);

/// What dead letters are dealt with by.
pub(crate) struct DeadLetters {
    pub(crate) pool: PgPool,
    pub(crate) appender: Appender,
    pub(crate) publisher: Publisher,
    pub(crate) service: String,
    pub(crate) news: News,
    pub(crate) resting: Semaphore,
    pub(crate) shutdown: CancellationToken,
}

impl DeadLetters {
    /// Until shutdown.
    pub(crate) async fn consume(self, mut deliveries: Deliveries) -> anyhow::Result<()> {
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                delivery = deliveries.next() => match delivery {
                    Some(delivery) => under_way.push(self.take_in(delivery)),
                    None => break,
                },
                Some(()) = under_way.next() => {}
            }
        }
        while under_way.next().await.is_some() {}
        Ok(())
    }

    async fn take_in(&self, delivery: Delivery) {
        let span = delivery.span();
        async {
            if self.settle(&delivery).await
                && let Err(error) = delivery.ack().await
            {
                tracing::debug!(%error, "not acknowledged; it will come again");
            }
        }
        .instrument(span)
        .await;
    }

    /// Whether it is dealt with and may be acknowledged.
    async fn settle(&self, delivery: &Delivery) -> bool {
        let Some(dead) = &delivery.dead_letter else {
            tracing::error!("a message that did not die is dropped from the dead letters");
            return true;
        };
        let Some(origin) = Origin::of_queue(&dead.queue) else {
            tracing::error!(
                queue = dead.queue,
                "a dead letter from a queue that is not ours"
            );
            return true;
        };
        let letter = match Letter::read(origin, &delivery.body) {
            Ok(letter) => letter,
            Err(problem) => {
                tracing::error!(problem, queue = dead.queue, "a dead letter cannot be read");
                return true;
            }
        };
        telemetry::span::current_belongs_to(letter.id);
        let fate = fate(dead, delivery.redelivered || delivery.attempts > 0);
        let verdict = letter.death(fate).verdict();
        if verdict == Verdict::HandOn {
            // many, while operations wait for one another
            tracing::debug!(queue = dead.queue, "a message gave way to others");
        } else {
            tracing::info!(
                queue = dead.queue,
                reason = dead.reason,
                ?fate,
                ?verdict,
                "a message died"
            );
        }
        let forest = letter.work.as_ref().map_or("", |work| work.forest.as_str());
        observe::dead_letter(forest, &dead.reason, verdict.as_str());
        let reply_to = delivery.reply_to.clone();
        match verdict {
            Verdict::Expire => self.expire(&letter, &dead.queue, reply_to).await,
            Verdict::HandOn => {
                self.rest(&letter).await;
                // not known to have been sent on, it may have a twin from then on
                self.hand_on(&letter, &delivery.body, reply_to.clone())
                    .await
                    || self.send_on(letter, false, reply_to).await
            }
            Verdict::GiveBack => self.send_on(letter.given_back(), false, reply_to).await,
            Verdict::Reconcile => self.send_on(letter.given_back(), true, reply_to).await,
        }
    }

    /// Records the end, then tells whoever waits what the ledger holds.
    async fn expire(&self, letter: &Letter, queue: &str, reply_to: Option<String>) -> bool {
        let at = proto::to_micros(OffsetDateTime::now_utc());
        let mut expired = batch::expiry(at, &self.service, &format!("undelivered in {queue}"));
        expired.target = letter
            .work
            .as_ref()
            .and_then(|work| Target::from_wire(&work.target).ok());
        let earlier = letter.request.steps.iter().map(Step::from_wire);
        expired.steps = earlier.chain(expired.steps).collect();
        let recording = record_surely(&self.appender, letter.id, expired, &self.shutdown).await;
        let record = match recording {
            Recording::Done(record) => record,
            Recording::Unknown => {
                tracing::error!("a dead letter about an operation that was never admitted");
                return true;
            }
            Recording::Abandoned => return false,
        };
        if let Some(reply_to) = reply_to {
            let message = Message {
                body: record.to_report().encode_to_vec(),
                id: letter.id.to_string(),
                reply_to: None,
                time_to_live: Some(Duration::from_mins(1)),
            };
            let reply = self
                .publisher
                .publish(Destination::Reply(reply_to), message);
            if let Err(error) = reply.await {
                // the ledger has it: who asked may ask again
                tracing::debug!(%error, "nobody was told");
            }
        }
        true
    }

    /// Until what it waits for has ended, or for as long as it is not worth to ask after it again. Only so many rest, lest
    /// they keep other dead letters waiting.
    async fn rest(&self, letter: &Letter) {
        let Ok(_rests) = self.resting.try_acquire() else {
            self.pause(CROWDED).await;
            return;
        };
        let rest = rest(letter.age()).min(letter.remaining());
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = tokio::time::sleep(rest) => {}
            () = self.its_turn(letter) => {}
        }
    }

    /// As far as can be told from here: a writer has the last word.
    async fn its_turn(&self, letter: &Letter) {
        // subscribed before the question is asked: no end falls between the two
        let mut news = self.news.subscribe();
        let object = letter
            .work
            .as_ref()
            .and_then(|work| work.target.parse_object_guid().ok());
        let waits_for = match store::waits_for(&self.pool, letter.id, object).await {
            Ok(Some(waits_for)) => waits_for,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "what it waits for is not known");
                return std::future::pending().await;
            }
        };
        loop {
            match news.recv().await {
                Ok(event) if event.operation_id == Some(waits_for.as_uuid()) => {
                    let ended = |record: &Record| !record.is_pending();
                    if event.record.as_ref().is_some_and(ended) {
                        return;
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }

    /// As it was, for nobody has begun with it; behind all others of its queue.
    async fn hand_on(&self, letter: &Letter, body: &[u8], reply_to: Option<String>) -> bool {
        let message = Message {
            body: body.to_vec(),
            id: letter.id.to_string(),
            reply_to,
            time_to_live: Some(letter.remaining()),
        };
        let handed_on = self.publisher.publish(letter.home(), message).await;
        if let Err(error) = &handed_on {
            tracing::info!(operation = %letter.id, %error, "not known to be handed on");
        }
        handed_on.is_ok()
    }

    /// Somebody may have begun with it, so only a writer of its forest can find out how it stands:
    /// the message goes on, marked. To be reconciled, it has no hurry any more and does not expire.
    async fn send_on(&self, mut letter: Letter, reconcile: bool, reply_to: Option<String>) -> bool {
        let record = match self.known(letter.id).await {
            Recording::Done(record) => record,
            Recording::Unknown => {
                tracing::error!(operation = %letter.id, "a dead letter about an operation that was never admitted");
                return true;
            }
            Recording::Abandoned => return false,
        };
        if !record.is_pending() {
            tracing::info!(operation = %letter.id, status = %record.status(), "ended already");
            return true;
        }
        // whoever had it needs time to mend
        let again_and_again = letter.is_reconciling() || letter.request.given_back > TRIES + 1;
        if again_and_again && !self.pause(PAUSE_BEFORE_ANOTHER_TRY).await {
            return false;
        }
        letter.request.perhaps_repeated = true;
        let time_to_live = (!reconcile).then(|| letter.remaining());
        let (to, body) = address(&letter, &record, reconcile);
        let mut trouble = Trouble::none();
        loop {
            let message = Message {
                body: body.clone(),
                id: letter.id.to_string(),
                reply_to: reply_to.clone(),
                time_to_live,
            };
            match self.publisher.publish(to.clone(), message).await {
                Ok(()) => {
                    if let Some(so_far) = trouble.over() {
                        tracing::info!(
                            seconds = so_far.seconds,
                            tries = so_far.tries,
                            "sent on after all"
                        );
                    }
                    return true;
                }
                // twins do no harm: both are marked, and one at a time has the account
                Err(error) => {
                    if let Some(so_far) = trouble.failed() {
                        tracing::warn!(?to, %error, seconds = so_far.seconds, tries = so_far.tries,
                            "not sent on yet: the message is held until it is");
                    }
                }
            }
            if !self.pause(PAUSE).await {
                return false;
            }
        }
    }

    /// The operation as the ledger has it.
    async fn known(&self, id: OperationId) -> Recording {
        let mut trouble = Trouble::none();
        loop {
            let asked = tokio::time::timeout(QUERY_TIME_OUT, store::record(&self.pool, id)).await;
            let problem = match asked {
                Ok(Ok(known)) => {
                    if let Some(so_far) = trouble.over() {
                        tracing::info!(
                            seconds = so_far.seconds,
                            tries = so_far.tries,
                            "the ledger can be read again"
                        );
                    }
                    return known.map_or(Recording::Unknown, |record| {
                        Recording::Done(Box::new(record))
                    });
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
            if let Some(so_far) = trouble.failed() {
                tracing::warn!(
                    problem,
                    seconds = so_far.seconds,
                    tries = so_far.tries,
                    "the ledger cannot be read yet: a dead letter is held until it can"
                );
            }
            if !self.pause(PAUSE).await {
                return Recording::Abandoned;
            }
        }
    }

    /// False when shutdown came first.
    async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.shutdown.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }
}

#[cfg(test)]
mod tests;
