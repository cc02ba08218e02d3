//! Recording what came by the queue: it is not let go before it is committed.

use std::time::Duration;

use operation::OperationId;
use telemetry::trouble::Trouble;
use tokio_util::sync::CancellationToken;

use crate::{
    appender::{AppendError, Appender},
    batch::{Answer, Item},
    content::Reported,
    record::Record,
};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Shorter than the time-out of a write, which a writer in doubt waits between asking for a twin's
/// report and acting on there being none.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What became of a report that came by the queue.
pub(crate) enum Recording {
    Done(Box<Record>),
    /// The ledger never admitted it: no service of ours sent it.
    Unknown,
    /// Shutdown came first: the broker will deliver it again.
    Abandoned,
}

/// Tries until it is committed. The message is held meanwhile, not given back.
pub(crate) async fn record_surely(
    appender: &Appender,
    id: OperationId,
    reported: Reported,
    shutdown: &CancellationToken,
) -> Recording {
    let mut pause = FIRST_PAUSE;
    let mut trouble = Trouble::none();
    loop {
        let item = Item::Report(id, Box::new(reported.clone()));
        match appender.append(item).await {
            Ok(Answer::Recorded(record)) => {
                if let Some(so_far) = trouble.over() {
                    tracing::info!(
                        seconds = so_far.seconds,
                        tries = so_far.tries,
                        "recorded after all"
                    );
                }
                return Recording::Done(record);
            }
            Ok(_) => return Recording::Unknown,
            // told once for the whole batch, where it failed
            Err(error @ AppendError::Unavailable(_)) => tracing::debug!(%error, "not recorded yet"),
            Err(error @ AppendError::Overloaded) => {
                if let Some(so_far) = trouble.failed() {
                    tracing::warn!(%error, seconds = so_far.seconds, tries = so_far.tries,
                        "not recorded yet: the message is held until it is");
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Recording::Abandoned,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}
