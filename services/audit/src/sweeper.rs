//! Ends what nobody took up: a second net under the dead letters, for messages that were lost or
//! never published.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{
    appender::Appender,
    batch::{Answer, Item, OVERDUE},
    observe::Pending,
    store,
};

const EVERY: Duration = Duration::from_secs(10);
const AT_MOST: i64 = 100;
const QUERY_TIME_OUT: Duration = Duration::from_secs(5);

pub(crate) async fn sweep(
    pool: PgPool,
    appender: Appender,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let pending = Pending::observe();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        match tokio::time::timeout(QUERY_TIME_OUT, store::pending(&pool)).await {
            Ok(Ok((operations, oldest))) => pending.set(operations, oldest),
            Ok(Err(error)) => tracing::debug!(%error, "pending operations could not be counted"),
            Err(_) => tracing::debug!("pending operations could not be counted in time"),
        }
        let overdue = store::overdue(&pool, OVERDUE, AT_MOST);
        let ids = match tokio::time::timeout(QUERY_TIME_OUT, overdue).await {
            Ok(Ok(ids)) => ids,
            Ok(Err(error)) => {
                tracing::warn!(%error, "overdue operations could not be read");
                continue;
            }
            Err(_) => {
                tracing::warn!("overdue operations could not be read in time");
                continue;
            }
        };
        // decided again under the lock: another replica or a late report may have been first
        let appender = &appender;
        let expiring = ids
            .into_iter()
            .map(|id| async move { (id, appender.append(Item::Overdue(id)).await) });
        for (id, answer) in futures_util::future::join_all(expiring).await {
            match answer {
                Ok(Answer::Recorded(record)) => {
                    tracing::warn!(operation_id = %id, status = %record.status(), "nobody took it up");
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(operation_id = %id, %error, "not expired yet"),
            }
        }
    }
}
