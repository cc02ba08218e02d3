//! Which operation may write to an account, and which has to wait.

use operation::{ObjectGuid, OperationId};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    StoreError, predecessor,
    reading::{WAITED_FOR, overtaken},
};

/// `$1` accounts, each once, `$2` the operation that asks for each, `$3` as [`WAITED_FOR`], `$4` the step of who was overtaken,
/// `$5` as [`UNKNOWN_FOR`], `$6` the delivery that asks for each, `$7` as [`KEPT_FOR`].
///
/// The row is the latest even where another replica has just written it; what is known of the operation in it is as old as
/// the statement. So one that has just ended may seem to be pending, and one that was admitted meanwhile is not known:
/// either is asked for again. One that stays unknown is of a ledger that was put back.
///
/// Past its deadline an operation writes no more, so it keeps no newer one waiting. An older one has to know whether it has
/// written before.
///
/// All replicas lock accounts in the same order: none waits for one that waits for it.
const CLAIM: &str = "\
    WITH clock AS MATERIALIZED ( \
        SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now \
    ), asked AS MATERIALIZED ( \
        SELECT * FROM unnest($1::bytea[], $2::uuid[], $6::uuid[]) AS asked (object_guid, operation_id, claimant) \
    ), before AS MATERIALIZED ( \
        SELECT c.object_guid, c.operation_id, o.completed_at \
        FROM asked JOIN claims c USING (object_guid) JOIN operations o ON o.id = c.operation_id \
    ), claimed AS ( \
        INSERT INTO claims AS c (object_guid, operation_id, at, claimant) \
        SELECT object_guid, operation_id, now, claimant FROM asked, clock ORDER BY object_guid \
        ON CONFLICT (object_guid) DO UPDATE \
        SET operation_id = excluded.operation_id, at = excluded.at, claimant = excluded.claimant \
        WHERE c.operation_id = excluded.operation_id \
        AND (c.claimant = excluded.claimant OR c.claimant IS NULL OR excluded.claimant IS NULL \
            OR c.at < excluded.at - $7) OR EXISTS ( \
            SELECT FROM operations o WHERE o.id = c.operation_id AND ( \
                o.status <> 'pending' OR strpos(o.steps, $4) > 0 OR o.deadline <= excluded.at - $3 AND \
                o.admitted_at < (SELECT mine.admitted_at FROM operations mine WHERE mine.id = excluded.operation_id)) \
        ) OR c.at < excluded.at - $5 AND NOT EXISTS (SELECT FROM operations o WHERE o.id = c.operation_id) \
        RETURNING object_guid, operation_id, xmax = 0 AS first \
    ) \
    SELECT asked.object_guid, asked.operation_id, first, before.operation_id AS other, \
        clock.now - before.completed_at AS ago, NOT EXISTS ( \
            SELECT FROM operations mine JOIN operations o \
            ON o.object_guid = asked.object_guid AND o.admitted_at >= mine.admitted_at \
            WHERE mine.id = asked.operation_id AND o.status <> 'pending' \
        ) AS none_ended_since \
    FROM clock, asked LEFT JOIN claimed USING (object_guid) LEFT JOIN before USING (object_guid)";

/// For how long a claim of an operation that the ledger does not know is kept, in microseconds.
const UNKNOWN_FOR: i64 = 60_000_000;

/// For how long an account is kept for the delivery that claimed it, in microseconds: a writer that goes on with it claims
/// it again every second, and one that has died keeps no other from finding out how it stands.
const KEPT_FOR: i64 = 4_000_000;

/// One account that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) object: ObjectGuid,
    pub(crate) id: OperationId,
    /// Which delivery of the operation asks; none stands for any.
    pub(crate) claimant: Option<Uuid>,
}

/// Whether an account is now an operation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    Granted {
        /// How long ago the operation that had it before ended, in microseconds; none when there was none.
        other_ended_ago: Option<i64>,
        /// Neither the operation itself nor one on the account that was admitted after it has ended.
        none_ended_since: bool,
    },
    Held {
        /// By another delivery of the operation.
        by_twin: bool,
    },
}

#[derive(sqlx::FromRow)]
struct Row {
    object_guid: Vec<u8>,
    operation_id: Uuid,
    /// None where it was not claimed.
    first: Option<bool>,
    other: Option<Uuid>,
    ago: Option<i64>,
    none_ended_since: bool,
}

impl Row {
    fn claim(&self) -> Claim {
        match self.first {
            Some(first) => Claim::Granted {
                other_ended_ago: self.other_ended_ago(first),
                none_ended_since: self.none_ended_since,
            },
            None => Claim::Held {
                by_twin: self.other == Some(self.operation_id),
            },
        }
    }

    fn other_ended_ago(&self, first: bool) -> Option<i64> {
        match self.other {
            _ if first => None,
            // whoever asks again did not hear the answer, which may have been that another had just ended
            Some(other) if other == self.operation_id => Some(0),
            // of one that was given up the time is zero, and long ago
            Some(_) => Some(self.ago.unwrap_or_default()),
            // claimed and ended since the statement began
            None => Some(0),
        }
    }
}

/// Of each account asked for, whether it is now the operation's: not while another one that has not ended has it, or another
/// delivery of the same. None is asked for twice. Nothing is flushed to disk.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    asked: &[Asked],
) -> Result<Vec<Claim>, StoreError> {
    let objects: Vec<&[u8]> =
        { asked.iter().map(|one| one.object.as_bytes().as_slice()) }.collect();
    let ids: Vec<Uuid> = asked.iter().map(|one| one.id.as_uuid()).collect();
    let claimants: Vec<Option<Uuid>> = asked.iter().map(|one| one.claimant).collect();
    let rows: Vec<Row> = sqlx::query_as(CLAIM)
        .bind(objects)
        .bind(ids)
        .bind(WAITED_FOR)
        .bind(overtaken())
        .bind(UNKNOWN_FOR)
        .bind(claimants)
        .bind(KEPT_FOR)
        .fetch_all(connection)
        .await?;
    let claim = |asked: &Asked| {
        let mut rows = rows.iter();
        let row = rows.find(|row| row.object_guid == asked.object.as_bytes());
        row.map_or(Claim::Held { by_twin: false }, Row::claim)
    };
    Ok(asked.iter().map(claim).collect())
}

/// An operation that has not ended and keeps another one waiting: one before it on its person, else the one that has its
/// account; the operation itself while another delivery of it has the account.
pub(crate) async fn waits_for(
    pool: &PgPool,
    id: OperationId,
    object: Option<ObjectGuid>,
) -> Result<Option<OperationId>, StoreError> {
    if let Some(predecessor) = predecessor(pool, id).await? {
        return Ok(Some(OperationId::from_uuid(predecessor.id)));
    }
    let Some(object) = object else {
        return Ok(None);
    };
    let holder: Option<Uuid> = sqlx::query_scalar(
        "SELECT c.operation_id FROM claims c JOIN operations o ON o.id = c.operation_id \
         WHERE c.object_guid = $1 AND o.status = 'pending' \
         AND (c.operation_id <> $2 OR c.at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $5) \
         AND (c.operation_id = $2 OR o.deadline > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $3 \
         OR o.admitted_at > (SELECT mine.admitted_at FROM operations mine WHERE mine.id = $2)) \
         AND strpos(o.steps, $4) = 0",
    )
    .bind(object.as_bytes().as_slice())
    .bind(id.as_uuid())
    .bind(WAITED_FOR)
    .bind(overtaken())
    .bind(KEPT_FOR)
    .fetch_optional(pool)
    .await?;
    Ok(holder.map(OperationId::from_uuid))
}
