//! Work that came to the wrong account: the resolver remembered where somebody was, and that is no
//! longer true. The request goes back to be resolved afresh; nothing was written.

use bus::{Delivery, Destination, Message};
use operation::{Reason, Status};
use prost::Message as _;
use proto::v1;
use telemetry::trouble::Trouble;
use time::OffsetDateTime;
use tokio::time::sleep;

use super::{ASK_AGAIN_AFTER, End, Passage};
use crate::work::Work;

/// The request to be resolved afresh, if the end is one that only a remembered target explains.
/// Where somebody may have begun to write there is no way back: this forest must tell the end.
pub(super) fn request(work: &mut Work, end: &End) -> Option<v1::Request> {
    let is_about_the_target = end.outcome.status() != Status::Applied
        && matches!(
            end.outcome.reason(),
            Some(Reason::UserNotFound | Reason::OutOfScope | Reason::AccountDisabled)
        );
    if work.perhaps_begun || !is_about_the_target {
        return None;
    }
    work.resolvable.take()
}

impl Passage {
    /// Publishes the request, for as long as the message is ours.
    pub(super) async fn resolve_afresh(
        &self,
        mut work: Work,
        request: v1::Request,
        delivery: &Delivery,
    ) {
        work.step(
            &self.service,
            "given back",
            "the account no longer fits; it is to be looked for afresh",
        );
        tracing::info!("remembered wrongly, to be resolved afresh");
        // whoever has it next need not wait until it is no longer kept for us
        work.tenure.end();
        let id = work.operation.id;
        if let Err(problem) = self.ledger.claim(id, &work.target, None).await {
            tracing::debug!(problem, "the account could not be left to others");
        }
        let mut request = v1::Request {
            resolve_afresh: true,
            steps: work.steps,
            ..request
        };
        let mut trouble = Trouble::none();
        while delivery.is_held() {
            let remaining = work.operation.remaining(OffsetDateTime::now_utc());
            let message = Message {
                body: request.encode_to_vec(),
                id: work.operation.id.to_string(),
                reply_to: delivery.reply_to.clone(),
                // past the deadline it dies at once, and audit tells that nobody had it
                time_to_live: Some(remaining.try_into().unwrap_or_default()),
            };
            match self.publisher.publish(Destination::Requests, message).await {
                Ok(()) => {
                    if let Some(so_far) = trouble.over() {
                        tracing::info!(
                            seconds = so_far.seconds,
                            tries = so_far.tries,
                            "given back after all"
                        );
                    }
                    return;
                }
                Err(error) => {
                    request.perhaps_repeated |= !error.certainly_not_published();
                    if let Some(so_far) = trouble.failed() {
                        tracing::warn!(%error, seconds = so_far.seconds, tries = so_far.tries,
                            "not given back yet: it is tried while the message is held");
                    }
                }
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }
}
