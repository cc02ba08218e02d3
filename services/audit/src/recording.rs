//! Recording what came by the queue: it is not let go before it is committed.

use std::time::Duration;

use operation::OperationId;
use tokio_util::sync::CancellationToken;

use crate::{
    appender::Appender,
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
    loop {
        let item = Item::Report(id, Box::new(reported.clone()));
        match appender.append(item).await {
            Ok(Answer::Recorded(record)) => return Recording::Done(record),
            Ok(_) => return Recording::Unknown,
            Err(error) => {
                tracing::warn!(%error, "not recorded yet");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Recording::Abandoned,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}
