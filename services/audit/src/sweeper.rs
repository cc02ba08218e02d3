//! Ends what nobody took up: a second net under the dead letters, for messages that were lost or
//! never published.

use std::time::Duration;

use bus::{Bus, Queue};
use sqlx::PgPool;
use telemetry::trouble::Trouble;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    appender::Appender,
    batch::{Answer, Item, OVERDUE},
    observe::Pending,
    outcomes::UnderWay,
    store,
};

const EVERY: Duration = Duration::from_secs(10);
const AT_MOST: i64 = 100;
const QUERY_TIME_OUT: Duration = Duration::from_secs(5);
/// Longer than another replica may take to record, or to lose, the reports it has taken.
const CAUGHT_UP_FOR: Duration = Duration::from_mins(1);

/// Since when, without a break, no report has been waiting.
#[derive(Debug, Default)]
struct CaughtUp(Option<Instant>);

impl CaughtUp {
    fn long_enough(&mut self, nothing_waits: bool, now: Instant) -> bool {
        if !nothing_waits {
            self.0 = None;
            return false;
        }
        now.duration_since(*self.0.get_or_insert(now)) >= CAUGHT_UP_FOR
    }
}

pub(crate) struct Sweeper {
    pub(crate) pool: PgPool,
    pub(crate) appender: Appender,
    pub(crate) bus: Bus,
    pub(crate) under_way: UnderWay,
    pub(crate) shutdown: CancellationToken,
}

impl Sweeper {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let pending = Pending::observe();
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut caught_up = CaughtUp::default();
        let mut trouble = Trouble::none();
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            match tokio::time::timeout(QUERY_TIME_OUT, store::pending(&self.pool)).await {
                Ok(Ok(counted)) => pending.set(counted),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "pending operations could not be counted");
                }
                Err(_) => tracing::debug!("pending operations could not be counted in time"),
            }
            // That the ledger has heard nothing of an operation says nothing while reports wait to
            // be heard: with the broker or this ledger away for a while, it may have been applied.
            let swept = match self.nothing_waits().await {
                Ok(nothing_waits) if caught_up.long_enough(nothing_waits, Instant::now()) => {
                    self.sweep().await
                }
                Ok(_) => Ok(()),
                Err(problem) => {
                    caught_up = CaughtUp::default();
                    Err(problem)
                }
            };
            tell(&mut trouble, swept);
        }
    }

    /// Whether every report that has reached the broker is recorded, as far as this replica sees.
    async fn nothing_waits(&self) -> Result<bool, String> {
        let waiting = self.bus.waiting(&Queue::Outcomes).await;
        let waiting =
            waiting.map_err(|error| format!("it is not known what the broker holds: {error}"))?;
        Ok(waiting == 0 && self.under_way.count() == 0)
    }

    async fn sweep(&self) -> Result<(), String> {
        let overdue = store::overdue(&self.pool, OVERDUE, AT_MOST);
        let ids = match tokio::time::timeout(QUERY_TIME_OUT, overdue).await {
            Ok(Ok(ids)) => ids,
            Ok(Err(error)) => return Err(format!("overdue operations cannot be read: {error}")),
            Err(_) => return Err("overdue operations cannot be read in time".to_owned()),
        };
        // decided again under the lock: another replica or a late report may have been first
        let expiring = ids
            .into_iter()
            .map(|id| async move { (id, self.appender.append(Item::Overdue(id)).await) });
        for (id, answer) in futures_util::future::join_all(expiring).await {
            match answer {
                Ok(Answer::Recorded(record)) => {
                    tracing::warn!(operation_id = %id, status = %record.status(), "nobody took it up");
                }
                Ok(_) => {}
                Err(error) => return Err(format!("operation {id} cannot be expired: {error}")),
            }
        }
        Ok(())
    }
}

fn tell(trouble: &mut Trouble, swept: Result<(), String>) {
    match swept {
        Ok(()) => {
            if let Some(so_far) = trouble.over() {
                tracing::info!(
                    seconds = so_far.seconds,
                    tries = so_far.tries,
                    "overdue operations are looked for again"
                );
            }
        }
        Err(problem) => {
            if let Some(so_far) = trouble.failed() {
                tracing::warn!(
                    problem,
                    seconds = so_far.seconds,
                    tries = so_far.tries,
                    "overdue operations are not looked for: they stay pending"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_swept_until_reports_have_long_been_heard() {
        let mut caught_up = CaughtUp::default();
        let start = Instant::now();
        assert!(!caught_up.long_enough(true, start), "at the start");
        assert!(!caught_up.long_enough(true, start + CAUGHT_UP_FOR / 2));
        assert!(caught_up.long_enough(true, start + CAUGHT_UP_FOR));
        let away = start + CAUGHT_UP_FOR + EVERY;
        assert!(!caught_up.long_enough(false, away), "a report waits");
        assert!(!caught_up.long_enough(true, away + EVERY), "heard just now");
        assert!(caught_up.long_enough(true, away + EVERY + CAUGHT_UP_FOR));
    }
}
