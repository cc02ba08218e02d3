//! The ledger in figures, counted every few seconds: what ended lately and how, what is pending, when
//! each forest last had a success.

use std::{collections::BTreeSet, time::Duration};

use operation::Status;
use proto::v1;
use sqlx::PgPool;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    heartbeats::{self, Heartbeats},
    store::{self, StoreError},
};

const EVERY: Duration = Duration::from_secs(5);
const TIME_OUT: Duration = Duration::from_secs(5);

/// What counts as lately.
const WINDOW: Duration = Duration::from_mins(15);

/// How far back a success is looked for.
const LOOK_BACK: Duration = Duration::from_hours(7 * 24);

/// The last count, and whether the last try to count failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    counted: Option<Counted>,
    failed: bool,
}

#[derive(Debug, Clone)]
struct Counted {
    at: Instant,
    ended: Vec<v1::EndedOperations>,
    forests: Vec<v1::ForestLedger>,
    settings: Option<v1::SettingsValues>,
    verified: Option<store::Verified>,
    failing: FailingRow,
}

/// What the last verification found, whichever replica made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastVerified {
    /// Since then; until the first, since the ledger waits for it.
    pub(crate) age: Duration,
    pub(crate) verified: bool,
    pub(crate) findings: u64,
    pub(crate) missed: u64,
}

impl Tally {
    /// None while the database was not asked yet.
    pub(crate) fn verified(&self) -> Option<LastVerified> {
        let counted = self.counted.as_ref()?;
        let kept = counted.verified?;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let age = Duration::from_micros(count(kept.age));
        Some(LastVerified {
            age: age.saturating_add(counted.at.elapsed()),
            verified: kept.done,
            findings: count(kept.findings),
            missed: count(kept.missed),
        })
    }

    pub(crate) fn to_wire(&self, chain: v1::ChainHealth) -> v1::LedgerHealth {
        let counted = self.counted.as_ref();
        v1::LedgerHealth {
            problem: if self.failed {
                "the database does not answer".to_owned()
            } else {
                String::new()
            },
            counted_age_ms: counted.map(|counted| milliseconds(counted.at.elapsed())),
            window_ms: milliseconds(WINDOW),
            ended: counted
                .map(|counted| counted.ended.clone())
                .unwrap_or_default(),
            forests: counted
                .map(|counted| counted.forests.clone())
                .unwrap_or_default(),
            settings: counted.and_then(|counted| counted.settings.clone()),
            failed_in_a_row: counted
                .and_then(|counted| u64::try_from(counted.failing.count).ok())
                .unwrap_or(0),
            last_failed_age_ms: counted.and_then(|counted| counted.failing.age).map(millis),
            chain: Some(match self.verified().filter(|last| last.verified) {
                None => chain,
                Some(last) => v1::ChainHealth {
                    verified_age_ms: Some(milliseconds(last.age)),
                    verified_intact: last.findings == 0 && last.missed == 0,
                    verified_findings: last.findings,
                    verified_missed: last.missed,
                    ..chain
                },
            }),
        }
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Of an age in microseconds.
fn millis(micros: i64) -> u64 {
    u64::try_from(micros / 1_000).unwrap_or(0)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Counts until shutdown.
pub(crate) async fn run(
    pool: PgPool,
    heartbeats: Heartbeats,
    tally: watch::Sender<Tally>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let counting = async {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (_, heard) = heartbeats.now();
            let counting = count(&pool, heartbeats::forests(&heard));
            let counted = tokio::time::timeout(TIME_OUT, counting).await;
            if let Ok(Err(error)) = &counted {
                tracing::debug!(%error, "the ledger could not be counted");
            }
            tally.send_modify(|tally| match counted {
                Ok(Ok(counted)) => {
                    *tally = Tally {
                        counted: Some(counted),
                        failed: false,
                    };
                }
                Ok(Err(_)) | Err(_) => tally.failed = true,
            });
        }
    };
    shutdown.run_until_cancelled(counting).await;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct EndedRow {
    forest: String,
    status: String,
    reason: String,
    count: i64,
    last: i64,
}

/// Of all forests and of none, what failed or expired after the last that was answered.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
struct FailingRow {
    count: i64,
    age: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct ForestRow {
    forest: String,
    pending: i64,
    oldest_pending: Option<i64>,
    last_applied: Option<i64>,
    failed_since: i64,
}

async fn count(pool: &PgPool, served: BTreeSet<String>) -> Result<Counted, StoreError> {
    let at = Instant::now();
    let now: i64 =
        sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
            .fetch_one(pool)
            .await?;
    let since = now.saturating_sub(micros(WINDOW));
    let ended: Vec<EndedRow> = sqlx::query_as(
        "SELECT COALESCE(forest, '') AS forest, status, \
         COALESCE(outcome::json #>> '{refusal,reason}', '') AS reason, count(*) AS count, \
         max(completed_at) AS last FROM operations WHERE admitted_at >= $1 AND status <> 'pending' \
         GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2, 3",
    )
    .bind(since)
    .fetch_all(pool)
    .await?;
    let served: Vec<String> = served.into_iter().collect();
    // each of its parts goes by an index: operations that are pending, and a forest's by admission
    let forests: Vec<ForestRow> = sqlx::query_as(
        "WITH waiting AS ( \
             SELECT COALESCE(forest, '') AS forest, count(*) AS pending, \
             min(admitted_at) AS oldest_pending \
             FROM operations WHERE status = 'pending' GROUP BY 1 \
         ), named AS ( \
             SELECT unnest($1::text[]) AS forest UNION SELECT forest FROM waiting \
         ) SELECT forest, COALESCE(pending, 0) AS pending, oldest_pending, \
         applied.completed_at AS last_applied, ( \
             SELECT count(*) FROM operations o WHERE o.forest = named.forest \
             AND o.status IN ('failed', 'expired') \
             AND o.admitted_at > greatest(applied.admitted_at, $2) \
         ) AS failed_since \
         FROM named LEFT JOIN waiting USING (forest) LEFT JOIN LATERAL ( \
             SELECT o.admitted_at, o.completed_at FROM operations o \
             WHERE o.forest = named.forest AND o.status = 'applied' AND o.admitted_at > $3 \
             ORDER BY o.admitted_at DESC LIMIT 1 \
         ) applied ON true ORDER BY forest",
    )
    .bind(served)
    .bind(since)
    .bind(now.saturating_sub(micros(LOOK_BACK)))
    .fetch_all(pool)
    .await?;
    let settings = store::settings(pool).await?;
    let verified = store::verified(pool).await?;
    let failing: FailingRow = sqlx::query_as(
        "SELECT count(*) AS count, $2 - max(completed_at) AS age FROM operations \
         WHERE status IN ('failed', 'expired') AND admitted_at > greatest($1, ( \
             SELECT max(admitted_at) FROM operations \
             WHERE admitted_at >= $1 AND status IN ('applied', 'refused') \
         ))",
    )
    .bind(since)
    .bind(now)
    .fetch_one(pool)
    .await?;
    let age = |then: i64| millis(now.saturating_sub(then));
    Ok(Counted {
        at,
        ended: ended.into_iter().map(|row| row.into_wire(now)).collect(),
        forests: forests
            .into_iter()
            .map(|row| v1::ForestLedger {
                forest: row.forest,
                pending: u64::try_from(row.pending).unwrap_or(0),
                oldest_pending_age_ms: row.oldest_pending.map(age),
                last_applied_age_ms: row.last_applied.map(age),
                failed_since: u64::try_from(row.failed_since).unwrap_or(0),
            })
            .collect(),
        settings: settings.map(|settings| settings.to_wire()),
        verified,
        failing,
    })
}

impl EndedRow {
    fn into_wire(self, now: i64) -> v1::EndedOperations {
        v1::EndedOperations {
            forest: self.forest,
            status: Status::parse(&self.status)
                .map_or(v1::Status::Unspecified, v1::Status::from)
                .into(),
            reason: self.reason,
            count: u64::try_from(self.count).unwrap_or(0),
            last_age_ms: millis(now.saturating_sub(self.last)),
        }
    }
}
