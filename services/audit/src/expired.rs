//! Dead letters: messages that nobody took in time, or that killed whoever took them.

use std::time::Duration;

use bus::{Deliveries, Delivery, Destination, Message, Publisher};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use operation::{ForestId, OperationId, Reason};
use prost::Message as _;
use proto::v1;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    appender::Appender,
    batch,
    content::{self, End, Reported, Step, Target},
    observe,
    recording::{Recording, record_surely},
    verdict::{Origin, Verdict, judge},
};

pub(crate) const PREFETCH: u16 = 64;

const PAUSE: Duration = Duration::from_secs(2);
/// Work that was already for reconciling and died again: its writers need time to mend.
const PAUSE_BEFORE_ANOTHER_TRY: Duration = Duration::from_secs(30);

/// What dead letters are dealt with by.
pub(crate) struct DeadLetters {
    pub(crate) appender: Appender,
    pub(crate) publisher: Publisher,
    pub(crate) service: String,
    pub(crate) shutdown: CancellationToken,
}

/// The body, whichever queue it died in.
struct Letter {
    id: OperationId,
    work: Option<v1::ForestWork>,
    steps: Vec<v1::Step>,
    perhaps_repeated: bool,
}

impl Letter {
    fn read(origin: &Origin, body: &[u8]) -> Result<Self, String> {
        let (request, work) = match origin {
            Origin::Requests => {
                let request = v1::Request::decode(body).map_err(|error| error.to_string())?;
                (request, None)
            }
            Origin::Forest(_) => {
                let work = v1::ForestWork::decode(body).map_err(|error| error.to_string())?;
                let request = work.request.clone().ok_or("request: missing")?;
                (request, Some(work))
            }
        };
        let id = request
            .operation
            .as_ref()
            .ok_or("operation: missing")?
            .id
            .as_str();
        Ok(Self {
            id: content::operation_id(id).map_err(|error| error.to_string())?,
            work,
            steps: request.steps,
            perhaps_repeated: request.perhaps_repeated,
        })
    }

    fn target(&self) -> Option<Target> {
        let target = self.work.as_ref()?.target.as_ref()?;
        Target::from_wire(target).ok()
    }
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
        let letter = match Letter::read(&origin, &delivery.body) {
            Ok(letter) => letter,
            Err(problem) => {
                tracing::error!(problem, queue = dead.queue, "a dead letter cannot be read");
                return true;
            }
        };
        telemetry::span::current_belongs_to(letter.id);
        let reconciling = letter.work.as_ref().is_some_and(|work| work.reconcile_only);
        let verdict = judge(
            &origin,
            &dead.reason,
            dead.attempts,
            letter.perhaps_repeated || reconciling,
        );
        tracing::info!(
            queue = dead.queue,
            reason = dead.reason,
            attempts = dead.attempts,
            ?verdict,
            "a message died"
        );
        observe::dead_letter(origin.forest(), &dead.reason, verdict.as_str());
        match verdict {
            Verdict::Expire => {
                let at = proto::to_micros(OffsetDateTime::now_utc());
                let detail = format!("undelivered in {}", dead.queue);
                let expired = batch::expiry(at, &self.service, &detail);
                self.end(&letter, expired, delivery.reply_to.clone()).await
            }
            Verdict::Fail => {
                let failed = self.failure(&dead.queue);
                self.end(&letter, failed, delivery.reply_to.clone()).await
            }
            Verdict::Reconcile(forest) => {
                if reconciling && !self.pause(PAUSE_BEFORE_ANOTHER_TRY).await {
                    return false;
                }
                self.reconcile(letter, forest, delivery.reply_to.clone())
                    .await
            }
            Verdict::Leave => true,
        }
    }

    fn failure(&self, queue: &str) -> Reported {
        Reported {
            outcome: Some(End::refusal(
                Reason::DirectoryError,
                "no resolver could deal with the request; nothing was changed",
            )),
            steps: vec![Step {
                at: proto::to_micros(OffsetDateTime::now_utc()),
                service: self.service.clone(),
                step: "given up".to_owned(),
                detail: format!("delivered too often in {queue}"),
            }],
            ..Reported::default()
        }
    }

    /// Records the end, then tells whoever waits what the ledger holds.
    async fn end(&self, letter: &Letter, end: Reported, reply_to: Option<String>) -> bool {
        let mut reported = end;
        reported.target = letter.target();
        let earlier = letter.steps.iter().map(Step::from_wire);
        reported.steps = earlier.chain(reported.steps).collect();
        let recording = record_surely(&self.appender, letter.id, reported, &self.shutdown).await;
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

    /// A write may have begun: only a writer of that forest can find out. There is no hurry any
    /// more, so the message does not expire.
    async fn reconcile(&self, letter: Letter, forest: ForestId, reply_to: Option<String>) -> bool {
        let Some(mut work) = letter.work else {
            return true;
        };
        work.reconcile_only = true;
        let body = work.encode_to_vec();
        loop {
            let message = Message {
                body: body.clone(),
                id: letter.id.to_string(),
                reply_to: reply_to.clone(),
                time_to_live: None,
            };
            let published = self
                .publisher
                .publish(Destination::Forest(forest.clone()), message)
                .await;
            match published {
                Ok(()) => return true,
                // reconciling twice does no harm
                Err(error) => {
                    tracing::warn!(%forest, %error, "not given back to the forest yet");
                }
            }
            if !self.pause(PAUSE).await {
                return false;
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
