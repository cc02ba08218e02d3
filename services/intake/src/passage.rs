//! The passage of one operation through this replica: written down, then published, then awaited.
//!
//! Once the ledger has an operation its passage no longer depends on the caller: it runs in a task
//! of its own and is finished even if the connection is gone.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bus::{Destination, Message, Publisher};
use operation::{ForestId, Operation, Outcome, Reason, Refusal};
use prost::Message as _;
use proto::{to_micros, v1};
use telemetry::trouble::{SoFar, Trouble};
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{
    ledger::{Admission, Ledger, LedgerError, Publication},
    problem::Problem,
    standing::Standing,
    submission::Submission,
    waiters::{Place, Waiters},
};

/// A report usually comes by the reply queue. Later than this it may be lost, with a broken
/// connection to the broker for one, and the ledger is asked as well.
const ASK_THE_LEDGER_AFTER: Duration = Duration::from_secs(2);
/// Past the deadline an expiry still travels: dead letter, ledger, reply.
const EXPIRY_TRAVELS: Duration = Duration::from_secs(3);
/// No answer keeps a connection open longer; operations with a later deadline are then `pending`.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Who sends it and on what terms.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) client: String,
    pub(crate) unthrottled: bool,
}

/// One operation that the ledger has, and a place to hear of its end.
pub(crate) struct Ticket {
    pub(crate) standing: Standing,
    place: Option<Place>,
}

pub(crate) struct Passage {
    pub(crate) ledger: Ledger,
    pub(crate) publisher: Publisher,
    pub(crate) waiters: Waiters,
    /// This replica's reply queue.
    pub(crate) replies: String,
    /// This replica, as steps name it.
    pub(crate) service: String,
    /// For how long who says nothing about it waits for the end.
    pub(crate) patience: Duration,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// That events cannot be admitted.
    pub(crate) unadmitted: Mutex<Trouble>,
}

impl Passage {
    /// Has it written down and sets it on its way; answers as soon as the ledger has it. `sealed_for`
    /// is the refusal if no forest can open its seal: then that is its end, unless the same event
    /// was here before.
    pub(crate) async fn submit(
        self: &Arc<Self>,
        submission: Submission,
        sealed_for: Result<Vec<ForestId>, Refusal>,
        sender: Sender,
        permit: Arc<OwnedSemaphorePermit>,
    ) -> Result<Ticket, Problem> {
        let span = telemetry::span::submit();
        let (answer, answered) = oneshot::channel();
        let passage = Arc::clone(self);
        let task = async move {
            passage.pass(submission, sealed_for, sender, answer).await;
            // What is being published counts as in flight, although its caller may be gone.
            drop(permit);
        };
        self.tasks.spawn(task.instrument(span));
        answered
            .await
            .unwrap_or_else(|_| Err(Problem::ledger_unavailable()))
    }

    async fn pass(
        &self,
        submission: Submission,
        sealed_for: Result<Vec<ForestId>, Refusal>,
        sender: Sender,
        answer: oneshot::Sender<Result<Ticket, Problem>>,
    ) {
        let mut operation = v1::Operation::from(&submission.operation);
        operation.admitted_at = 0;
        let request = v1::AdmitRequest {
            operation: Some(operation),
            content_digest: submission.digest,
            caller: sender.client,
            service: self.service.clone(),
            unthrottled: sender.unthrottled,
            sealed_for: sealed_for
                .iter()
                .flatten()
                .map(ToString::to_string)
                .collect(),
        };
        let admission = match self.ledger.admit(&submission.operation, &request).await {
            Ok(admission) => {
                if let Some(so_far) = self.unadmitted(Trouble::calm) {
                    tracing::info!(
                        seconds = so_far.seconds,
                        tries = so_far.tries,
                        "events are admitted again"
                    );
                }
                admission
            }
            Err(error) => {
                if let Some(so_far) = self.unadmitted(Trouble::failed) {
                    tracing::warn!(%error, seconds = so_far.seconds, tries = so_far.tries,
                        "not admitted: the caller is to send the event again");
                }
                let _ = answer.send(Err(Problem::ledger_unavailable()));
                return;
            }
        };
        let (standing, publish) = match admission {
            Admission::New {
                operation,
                after,
                closed,
            } => {
                let standing = Standing::admitted(&operation).with_acceptance(&self.service);
                let publication = Publication {
                    operation,
                    after,
                    closed,
                };
                (standing, Some((publication, false)))
            }
            Admission::Known { standing, publish } => {
                (standing, publish.map(|publication| (publication, true)))
            }
            Admission::Ended(standing) => (standing, None),
            Admission::Throttled {
                retry_after_seconds,
            } => {
                let _ = answer.send(Err(Problem::too_many(
                    "too many operations for this person; wait before the next",
                    retry_after_seconds,
                )));
                return;
            }
        };
        telemetry::span::current_belongs_to(standing.id);
        tracing::info!(kind = %standing.kind, status = %standing.status(), "admitted");
        let place = publish
            .is_some()
            .then(|| self.waiters.wait_for(standing.id));
        let _ = answer.send(Ok(Ticket { standing, place }));
        let Some((publication, perhaps_repeated)) = publish else {
            return;
        };
        let Publication {
            operation,
            after,
            closed,
        } = publication;
        let sealed_for = match sealed_for {
            Ok(forests) => forests,
            // a twin may be with a writer that still has the key: it alone can tell the end
            Err(_) if perhaps_repeated => Vec::new(),
            Err(refusal) => return self.end(&operation, refusal).await,
        };
        let request = v1::Request {
            operation: Some(operation.as_ref().into()),
            sealed_password: submission.seal.map(|seal| seal.text).unwrap_or_default(),
            sealed_for: sealed_for.iter().map(ToString::to_string).collect(),
            after,
            perhaps_repeated,
            resolve_afresh: false,
            steps: Vec::new(),
            given_back: 0,
            closed,
        };
        self.publish(&operation, request).await;
    }

    fn unadmitted(&self, tell: impl FnOnce(&mut Trouble) -> Option<SoFar>) -> Option<SoFar> {
        tell(
            &mut self
                .unadmitted
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Publishes until the broker has confirmed it or the deadline has passed. If it certainly
    /// never reached the broker, only this replica knows that nothing was written, and says so.
    async fn publish(&self, operation: &Operation, mut request: v1::Request) {
        let mut pause = FIRST_PAUSE;
        let mut tried = false;
        let mut trouble = Trouble::none();
        let refusal = loop {
            let left = operation.remaining(OffsetDateTime::now_utc());
            let Some(time_to_live) = Duration::try_from(left).ok().filter(|left| !left.is_zero())
            else {
                let why = if tried {
                    "the message broker could not be reached before the deadline"
                } else {
                    "the deadline had passed when the event arrived; nothing was changed"
                };
                break Refusal::new(Reason::DeadlineExceeded, why);
            };
            tried = true;
            let message = Message {
                body: request.encode_to_vec(),
                id: operation.id.to_string(),
                reply_to: Some(self.replies.clone()),
                time_to_live: Some(time_to_live),
            };
            match self.publisher.publish(Destination::Requests, message).await {
                Ok(()) => {
                    if let Some(so_far) = trouble.over() {
                        tracing::info!(
                            seconds = so_far.seconds,
                            tries = so_far.tries,
                            "published after all"
                        );
                    }
                    return;
                }
                Err(error) => {
                    // Its twin may be on the queue: the writer must know before it judges.
                    request.perhaps_repeated |= !error.certainly_not_published();
                    if let Some(so_far) = trouble.failed() {
                        tracing::warn!(%error, seconds = so_far.seconds, tries = so_far.tries,
                            perhaps_repeated = request.perhaps_repeated,
                            "not published yet: it is tried until the deadline");
                    }
                }
            }
            tokio::select! {
                () = self.shutdown.cancelled() => break Refusal::new(
                    Reason::ForestUnavailable,
                    "this intake stopped before the message broker could be reached; send it again as a new event",
                ),
                () = tokio::time::sleep(pause.min(time_to_live)) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        if request.perhaps_repeated {
            // Not known: whoever finds the message, or its dead letter, tells the end.
            tracing::warn!("it is not known whether it was published");
            return;
        }
        self.end(operation, refusal).await;
    }

    /// Ends what only this replica knows of: recorded first, then told.
    async fn end(&self, operation: &Operation, refusal: Refusal) {
        let report = self.certain_end(operation, refusal);
        match self.ledger.record(report.clone()).await {
            Ok(()) => self.waiters.complete(operation.id, &report),
            // whoever waits asks the ledger, and believes only that
            Err(error) => {
                tracing::error!(%error, "its end could not be recorded");
            }
        }
    }

    fn certain_end(&self, operation: &Operation, refusal: Refusal) -> v1::Report {
        let step = v1::Step {
            at: to_micros(OffsetDateTime::now_utc()),
            service: self.service.clone(),
            step: "not published".to_owned(),
            detail: refusal.detail.clone(),
        };
        v1::Report {
            operation_id: operation.id.to_string(),
            target: None,
            outcome: Some((&Outcome::from(refusal)).into()),
            steps: vec![step],
            write: None,
        }
    }

    /// Waits for the end, at most as long as the caller wants to; what is known then.
    pub(crate) async fn outcome(&self, ticket: Ticket, wait: Option<Duration>) -> Standing {
        let Ticket { standing, place } = ticket;
        if standing.status().is_terminal() {
            return standing;
        }
        let left = (standing.deadline - OffsetDateTime::now_utc()).max(time::Duration::ZERO);
        let until_known = Duration::try_from(left)
            .unwrap_or(LONGEST_WAIT)
            .saturating_add(EXPIRY_TRAVELS)
            .min(LONGEST_WAIT);
        let patience = self.patience.saturating_add(EXPIRY_TRAVELS);
        let wait = wait.unwrap_or(patience).min(until_known);
        if wait.is_zero() {
            return standing;
        }
        let ask_after = if place.is_some() {
            ASK_THE_LEDGER_AFTER
        } else {
            Duration::ZERO
        };
        let ended = tokio::select! {
            ended = reported(&standing, place) => Some(ended),
            ended = self.asked(&standing, ask_after, wait) => Some(ended),
            () = tokio::time::sleep(wait) => None,
            () = self.shutdown.cancelled() => None,
        };
        match ended {
            Some(ended) => ended,
            // The last word before "pending": the report may have been lost on the way.
            None => self.ledger.standing(standing.id).await.unwrap_or(standing),
        }
    }

    /// The end as the ledger tells it; does not end while it is pending.
    async fn asked(&self, standing: &Standing, ask_after: Duration, wait: Duration) -> Standing {
        tokio::time::sleep(ask_after.min(wait)).await;
        loop {
            match self.ledger.wait(standing.id, wait).await {
                Ok(known) if known.status().is_terminal() => return known,
                Ok(_) => {}
                Err(error @ LedgerError::Malformed(_)) => {
                    tracing::error!(operation_id = %standing.id, %error, "cannot be told");
                }
                Err(error) => {
                    tracing::debug!(operation_id = %standing.id, %error, "asked in vain");
                }
            }
            tokio::time::sleep(FIRST_PAUSE * 4).await;
        }
    }
}

/// The end as the reply queue tells it; never ends if there will be no report.
async fn reported(standing: &Standing, place: Option<Place>) -> Standing {
    let Some(mut place) = place else {
        return std::future::pending().await;
    };
    let report = place.report().await;
    match standing
        .clone()
        .with_report(&report, OffsetDateTime::now_utc())
    {
        Ok(ended) => ended,
        Err(error) => {
            tracing::error!(operation_id = %standing.id, %error, "the report cannot be read");
            std::future::pending().await
        }
    }
}
