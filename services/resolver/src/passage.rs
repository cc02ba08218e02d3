//! One request's way through the resolver.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{Delivery, Destination, Message, PublishError, Publisher, Truth};
use directory::rules::Located;
use operation::{ForestId, Operation, Outcome, Reason, Refusal, Status, Step};
use prost::Message as _;
use proto::v1;
use telemetry::trouble::Trouble;
use time::OffsetDateTime;
use tracing::Instrument as _;

use crate::{
    forests::{Forests, Found, Search},
    observe::Observer,
};

const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);
const HAND_OVER_AGAIN_AFTER: Duration = Duration::from_millis(500);

pub(crate) struct Passage {
    pub(crate) forests: Arc<Forests>,
    pub(crate) publisher: Publisher,
    pub(crate) service: String,
    pub(crate) observer: Arc<Observer>,
}

/// What is to become of the delivery.
enum Settled {
    Done,
    /// It is not known to be handed over, and why: another try.
    Again(String),
}

impl Passage {
    pub(crate) async fn take(self: Arc<Self>, delivery: Delivery) {
        let span = delivery.span();
        async {
            match parse(&delivery.body) {
                Ok((mut request, operation)) => {
                    telemetry::span::current_belongs_to(operation.id);
                    // held, not given back: the broker delivers a message once, and what is given
                    // back goes the long way round by the dead letters
                    let mut trouble = Trouble::none();
                    while let Settled::Again(problem) =
                        self.resolve(request.clone(), &operation, &delivery).await
                    {
                        if let Some(so_far) = trouble.failed() {
                            tracing::warn!(
                                problem,
                                seconds = so_far.seconds,
                                tries = so_far.tries,
                                "not handed over yet: it is tried while the message is held"
                            );
                        }
                        request.perhaps_repeated = true;
                        tokio::time::sleep(HAND_OVER_AGAIN_AFTER).await;
                        if !delivery.is_held() {
                            tracing::info!("left to whoever has the request now");
                            return;
                        }
                    }
                    if let Some(so_far) = trouble.over() {
                        tracing::info!(
                            seconds = so_far.seconds,
                            tries = so_far.tries,
                            "handed over after all"
                        );
                    }
                }
                Err(problem) => {
                    tracing::error!(problem, "a request that cannot be read is dropped");
                }
            }
            if let Err(error) = delivery.ack().await {
                tracing::debug!(%error, "not settled; it will come again");
            }
        }
        .instrument(span)
        .await;
    }

    async fn resolve(
        &self,
        mut request: v1::Request,
        operation: &Operation,
        delivery: &Delivery,
    ) -> Settled {
        // an earlier delivery, or a twin, may have been handed to a forest already
        let perhaps_routed =
            delivery.redelivered || delivery.attempts > 0 || request.perhaps_repeated;
        let sealed_for: Vec<ForestId> = request
            .sealed_for
            .iter()
            .filter_map(|id| id.parse().ok())
            .collect();
        // with a twin about, what is said must be as true as can be
        let search = if perhaps_routed || request.resolve_afresh {
            Search::Afresh
        } else {
            Search::MayRecall
        };
        let began = Instant::now();
        let located = loop {
            match self
                .forests
                .locate(&operation.user, &sealed_for, search)
                .await
            {
                Err(refusal) if perhaps_routed => {
                    // a refusal told now could be contradicted by the forest that has the twin
                    if operation.remaining(now()).is_zero() || !delivery.is_held() {
                        tracing::info!(reason = %refusal.reason, "left to the operation's twin");
                        return Settled::Done;
                    }
                    tokio::time::sleep(ASK_AGAIN_AFTER).await;
                }
                located => break located,
            }
        };
        let reason = located.as_ref().err().map(|refusal| refusal.reason);
        self.observer
            .resolved(operation.kind, reason, began.elapsed());
        match located {
            Ok(found) => {
                if let Some(refusal) = closed(&request, &found.located.forest) {
                    // told by every copy of this operation: it was settled when it was admitted
                    let located = &found.located;
                    let target =
                        v1::Target::new(&located.forest, &located.domain, located.object_guid);
                    request
                        .steps
                        .push(self.step("refused", "by the settings".to_owned()));
                    self.end_at(operation, refusal, request.steps, Some(target), delivery)
                        .await;
                    return Settled::Done;
                }
                // the connection lost meanwhile: somebody else may have it by now
                request.perhaps_repeated = perhaps_routed || !delivery.is_held();
                request.given_back = 0;
                self.route(request, operation, &found, delivery).await
            }
            Err(refusal) => {
                self.end(operation, refusal, request.steps, delivery).await;
                Settled::Done
            }
        }
    }

    async fn route(
        &self,
        mut request: v1::Request,
        operation: &Operation,
        found: &Found,
        delivery: &Delivery,
    ) -> Settled {
        let remaining = operation.remaining(now());
        let perhaps_repeated = request.perhaps_repeated;
        if remaining.is_zero() && !perhaps_repeated {
            let refusal = Refusal::new(
                Reason::DeadlineExceeded,
                "the deadline passed before a writer had it",
            );
            self.end(operation, refusal, request.steps, delivery).await;
            return Settled::Done;
        }
        let Found {
            located,
            remembered,
        } = found;
        tracing::info!(forest = %located.forest, remembered, "routed");
        let target = v1::Target::new(&located.forest, &located.domain, located.object_guid);
        if !located.preferred_to.is_empty() {
            request
                .steps
                .push(self.step("preferred", preference(located)));
        }
        let how = if *remembered { ", as before" } else { "" };
        // it goes on with the work as well: whoever ends the operation tells the whole way
        request.steps.push(self.step(
            "routed",
            format!(
                "to forest {}, domain {}{how}",
                located.forest, located.domain
            ),
        ));
        let report = v1::Report {
            operation_id: operation.id.to_string(),
            target: Some(target.clone()),
            steps: request.steps.clone(),
            ..v1::Report::default()
        };
        let work = v1::ForestWork {
            request: Some(request),
            target: Some(target),
            reconcile_only: remaining.is_zero(),
            remembered: *remembered,
        };
        let id = operation.id.to_string();
        let message = |body: Vec<u8>| Message {
            body,
            id: id.clone(),
            reply_to: None,
            time_to_live: None,
        };
        // in this order on one channel: the ledger's queue has the step before the forest has the work
        let (recorded, handed_over) = tokio::join!(
            self.publisher
                .publish(Destination::Outcome, message(report.encode_to_vec())),
            self.publisher.publish(
                Destination::Forest(located.forest.clone()),
                Message {
                    reply_to: delivery.reply_to.clone(),
                    time_to_live: (!remaining.is_zero()).then(|| remaining.unsigned_abs()),
                    ..message(work.encode_to_vec())
                },
            ),
        );
        match (recorded, handed_over) {
            (Ok(()), Ok(())) => Settled::Done,
            (_, Err(PublishError::Unroutable(_))) if !perhaps_repeated => {
                let refusal = Refusal::new(
                    Reason::ForestUnavailable,
                    format!(
                        "forest {} has no writer: its queue does not exist",
                        located.forest
                    ),
                );
                self.end(operation, refusal, Vec::new(), delivery).await;
                Settled::Done
            }
            (recorded, handed_over) => {
                let problems = [recorded.err(), handed_over.err()].into_iter().flatten();
                let problems: Vec<_> = problems.map(|error| error.to_string()).collect();
                Settled::Again(problems.join("; "))
            }
        }
    }

    async fn end(
        &self,
        operation: &Operation,
        refusal: Refusal,
        steps: Vec<v1::Step>,
        delivery: &Delivery,
    ) {
        self.end_at(operation, refusal, steps, None, delivery).await;
    }

    async fn end_at(
        &self,
        operation: &Operation,
        refusal: Refusal,
        mut steps: Vec<v1::Step>,
        target: Option<v1::Target>,
        delivery: &Delivery,
    ) {
        if refusal.reason.status() == Status::Failed {
            tracing::warn!(reason = %refusal.reason, detail = refusal.detail, "ended by the resolver");
        } else {
            tracing::info!(reason = %refusal.reason, detail = refusal.detail, "ended by the resolver");
        }
        steps.push(self.step("ended", refusal.reason.code().to_owned()));
        let report = v1::Report {
            operation_id: operation.id.to_string(),
            target,
            outcome: Some((&Outcome::from(refusal)).into()),
            steps,
            ..v1::Report::default()
        };
        let message = Message {
            body: report.encode_to_vec(),
            id: operation.id.to_string(),
            reply_to: delivery.reply_to.clone(),
            time_to_live: None,
        };
        // told only once it is confirmed: were it lost, the request would be resolved anew
        self.publisher
            .report(message, Truth::WhileHeld(delivery))
            .await;
    }

    fn step(&self, step: &str, detail: String) -> v1::Step {
        v1::Step::from(&Step {
            at: now(),
            service: self.service.clone(),
            step: step.to_owned(),
            detail,
        })
    }
}

/// What is to be said instead of handing it to this forest: it was turned off there when the
/// operation was admitted.
fn closed(request: &v1::Request, forest: &ForestId) -> Option<Refusal> {
    let forest = forest.to_string();
    let closed = { request.closed.iter() }.find(|closed| closed.forest == forest)?;
    // a reason of a newer release is still a reason to keep out
    let reason = closed.reason.parse().unwrap_or(Reason::WritebackDisabled);
    let what = match reason {
        Reason::UnlockDisabled => "unlocking without a reset",
        _ => "password writeback",
    };
    Some(Refusal::new(
        reason,
        format!("{what} is turned off in forest {forest}"),
    ))
}

/// Which account was chosen of those in several forests, and by what.
fn preference(located: &Located) -> String {
    let others: Vec<&str> = located.preferred_to.iter().map(ForestId::as_str).collect();
    format!(
        "forest {}: the person is enabled in {} too, and resolver.enabled_in_two_forests decides",
        located.forest,
        others.join(", ")
    )
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn parse(body: &[u8]) -> Result<(v1::Request, Operation), String> {
    let request = v1::Request::decode(body).map_err(|error| error.to_string())?;
    let operation = request
        .parse_operation()
        .map_err(|error| error.to_string())?;
    Ok((request, operation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forest_that_was_turned_off_is_handed_nothing_and_others_are() {
        let request = v1::Request {
            closed: vec![
                v1::ClosedForest {
                    forest: "corp".to_owned(),
                    reason: "unlock-disabled".to_owned(),
                },
                v1::ClosedForest {
                    forest: "emea".to_owned(),
                    reason: "of-tomorrow".to_owned(),
                },
            ],
            ..v1::Request::default()
        };
        let reason =
            |forest: &str| closed(&request, &forest.parse().unwrap()).map(|refusal| refusal.reason);
        assert_eq!(reason("corp"), Some(Reason::UnlockDisabled));
        assert_eq!(reason("emea"), Some(Reason::WritebackDisabled));
        assert_eq!(reason("apac"), None);
    }
}
