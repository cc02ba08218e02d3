//! What is asked of the ledger when nothing is decided: pages, records, counts.

use chain::{Entry, Tip};
use operation::OperationId;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{EntryRow, StoreError};
use crate::{
    observe::PendingNow,
    record::{OVERTAKEN, Record},
    row::Row,
    settings::Settings,
};

/// A minute, in microseconds.
const LATELY: i64 = 60_000_000;

/// The head as it is stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Head {
    pub(crate) sequence: i64,
    pub(crate) at: i64,
    pub(crate) hash: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl Head {
    pub(crate) fn tip(&self) -> Tip {
        Tip {
            sequence: self.sequence,
            at: self.at,
            hash: self.hash.clone(),
        }
    }
}

pub(crate) async fn head(executor: impl PgExecutor<'_>) -> Result<Head, StoreError> {
    let head = sqlx::query_as("SELECT sequence, at, hash, public_key, signature FROM head")
        .fetch_one(executor)
        .await?;
    Ok(head)
}

/// # Errors
/// [`StoreError::Standby`]; or when the database does not answer.
pub(crate) async fn can_append(executor: impl PgExecutor<'_>) -> Result<(), StoreError> {
    let is_standby: bool = sqlx::query_scalar("SELECT pg_is_in_recovery()")
        .fetch_one(executor)
        .await?;
    if is_standby {
        return Err(StoreError::Standby);
    }
    Ok(())
}

/// For who believes nothing: it may have been removed.
pub(crate) async fn head_if_any(executor: impl PgExecutor<'_>) -> Result<Option<Head>, StoreError> {
    let head = sqlx::query_as("SELECT sequence, at, hash, public_key, signature FROM head")
        .fetch_optional(executor)
        .await?;
    Ok(head)
}

/// None when the row was removed, which nothing of ours does.
pub(crate) async fn settings(
    executor: impl PgExecutor<'_>,
) -> Result<Option<Settings>, StoreError> {
    let settings = sqlx::query_as(
        "SELECT writeback, unlock_without_reset, changed_at, changed_by, note, forests \
         FROM settings",
    )
    .fetch_optional(executor)
    .await?;
    Ok(settings)
}

/// What the last verification found, as it is kept, and how old it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Verified {
    /// In microseconds. Until the first verification, of the wait for it.
    pub(crate) age: i64,
    /// Whether there was one.
    pub(crate) done: bool,
    pub(crate) findings: i64,
    pub(crate) missed: i64,
}

/// None when the row was removed, which nothing of ours does.
pub(crate) async fn verified(
    executor: impl PgExecutor<'_>,
) -> Result<Option<Verified>, StoreError> {
    let verified = sqlx::query_as(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - at AS age, \
         verified AS done, findings, missed FROM verification",
    )
    .fetch_optional(executor)
    .await?;
    Ok(verified)
}

pub(crate) async fn record(
    executor: impl PgExecutor<'_>,
    id: OperationId,
) -> Result<Option<Record>, StoreError> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM operations WHERE id = $1")
        .bind(id.as_uuid())
        .fetch_optional(executor)
        .await?;
    Ok(row.map(|row| row.to_record()).transpose()?)
}

pub(crate) async fn rows(
    executor: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query_as("SELECT * FROM operations WHERE id = ANY($1)")
        .bind(ids)
        .fetch_all(executor)
        .await?;
    Ok(rows)
}

/// A page of operations in the order of their ids.
pub(crate) async fn rows_after(
    executor: impl PgExecutor<'_>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query_as("SELECT * FROM operations WHERE id > $1 ORDER BY id LIMIT $2")
        .bind(after)
        .bind(limit)
        .fetch_all(executor)
        .await?;
    Ok(rows)
}

/// A page of entries in order, after this sequence number.
pub(crate) async fn entries_after(
    executor: impl PgExecutor<'_>,
    after: i64,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    let entries: Vec<EntryRow> =
        sqlx::query_as("SELECT * FROM entries WHERE sequence > $1 ORDER BY sequence LIMIT $2")
            .bind(after)
            .bind(limit)
            .fetch_all(executor)
            .await?;
    Ok(entries.into_iter().map(Entry::from).collect())
}

pub(crate) async fn entries_of(
    executor: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> Result<Vec<Entry>, StoreError> {
    let entries: Vec<EntryRow> = sqlx::query_as(
        "SELECT * FROM entries WHERE operation_id = ANY($1) ORDER BY operation_id, sequence",
    )
    .bind(ids)
    .fetch_all(executor)
    .await?;
    Ok(entries.into_iter().map(Entry::from).collect())
}

/// Pending operations that nobody took up, whose deadline passed before this moment.
pub(crate) async fn overdue(
    executor: impl PgExecutor<'_>,
    older_than_micros: i64,
    limit: i64,
) -> Result<Vec<OperationId>, StoreError> {
    // two steps: accepted, and perhaps overtaken
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM operations WHERE status = 'pending' AND step_count <= 2 \
         AND forest IS NULL \
         AND deadline < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $1 \
         ORDER BY deadline LIMIT $2",
    )
    .bind(older_than_micros)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    Ok(ids.into_iter().map(OperationId::from_uuid).collect())
}

/// How many operations have not ended, and how long ago the oldest of them was admitted, by the forest
/// they were handed to; empty while that is not known. A forest that had work lately is among them
/// although nothing of it is pending: that it has none is known too.
pub(crate) async fn pending(
    executor: impl PgExecutor<'_>,
) -> Result<Vec<(String, PendingNow)>, StoreError> {
    let pending: Vec<(String, i64, i64)> = sqlx::query_as(
        "WITH now AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS at) \
         SELECT COALESCE(forest, ''), count(*) FILTER (WHERE status = 'pending'), \
         COALESCE(max(now.at - admitted_at) FILTER (WHERE status = 'pending'), 0) \
         FROM operations, now WHERE status = 'pending' OR admitted_at >= now.at - $1 GROUP BY forest",
    )
    .bind(LATELY)
    .fetch_all(executor)
    .await?;
    let now = |(forest, operations, oldest_micros)| {
        let now = PendingNow {
            operations,
            oldest_micros,
        };
        (forest, now)
    };
    Ok(pending.into_iter().map(now).collect())
}

/// What `ListOperations` may ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) person_key: Option<String>,
    pub(crate) object_guid: Option<Vec<u8>>,
    pub(crate) forest: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) since: Option<i64>,
    pub(crate) until: Option<i64>,
    /// Only what was admitted before this.
    pub(crate) before: Option<i64>,
}

pub(crate) async fn list(
    executor: impl PgExecutor<'_>,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Record>, StoreError> {
    // planned anew each time: which index fits depends on what was asked
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM operations WHERE \
         ($1::text IS NULL OR person_keys @> ARRAY[$1] OR object_guid = $2) \
         AND ($3::text IS NULL OR forest = $3) AND ($4::text IS NULL OR status = $4) \
         AND ($5::bigint IS NULL OR admitted_at >= $5) \
         AND ($6::bigint IS NULL OR admitted_at < $6) \
         AND ($7::bigint IS NULL OR admitted_at < $7) \
         ORDER BY admitted_at DESC LIMIT $8",
    )
    .bind(&filter.person_key)
    .bind(&filter.object_guid)
    .bind(&filter.forest)
    .bind(&filter.status)
    .bind(filter.since)
    .bind(filter.until)
    .bind(filter.before)
    .bind(limit)
    .persistent(false)
    .fetch_all(executor)
    .await?;
    Ok(rows.iter().map(Row::to_record).collect::<Result<_, _>>()?)
}

/// How long after its deadline an operation that has not ended is waited for, in microseconds: for clocks that differ. No
/// write of it begins or goes on then, though it may take long to find out whether one has happened.
pub(crate) const WAITED_FOR: i64 = 2_000_000;

/// What an operation has to wait for.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub(crate) struct Predecessor {
    pub(crate) id: Uuid,
    pub(crate) admitted_at: i64,
    pub(crate) heard_of: bool,
    /// With those before it.
    pub(crate) waiting: i64,
}

/// How the step is written. Reading steps as JSON takes longer than all else where many wait for one another.
pub(super) fn overtaken() -> String {
    format!("\"step\":\"{OVERTAKEN}\"")
}

/// The latest operation on the person that was admitted before this one, is pending in time and was not overtaken. It comes after
/// all that are before it, so one by one all are waited for.
pub(crate) async fn predecessor(
    executor: impl PgExecutor<'_>,
    id: OperationId,
) -> Result<Option<Predecessor>, StoreError> {
    let predecessor = sqlx::query_as(
        "SELECT earlier.id, earlier.admitted_at, \
         earlier.step_count > 1 OR earlier.forest IS NOT NULL AS heard_of, count(*) OVER () AS waiting \
         FROM operations mine JOIN operations earlier ON earlier.status = 'pending' \
         AND earlier.person_keys && mine.person_keys AND earlier.admitted_at < mine.admitted_at \
         WHERE mine.id = $1 AND strpos(earlier.steps, $2) = 0 \
         AND earlier.deadline > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $3 \
         ORDER BY earlier.admitted_at DESC LIMIT 1",
    )
    .bind(id.as_uuid())
    .bind(overtaken())
    .bind(WAITED_FOR)
    .fetch_optional(executor)
    .await?;
    Ok(predecessor)
}

/// Other operations on the same person or object since a moment, newest first.
pub(crate) async fn others(
    executor: impl PgExecutor<'_>,
    id: OperationId,
    person_keys: &[String],
    object_guid: Option<&[u8]>,
    since: i64,
    limit: i64,
) -> Result<Vec<Record>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM operations WHERE id <> $1 AND admitted_at >= $2 \
         AND (person_keys && $3 OR object_guid = $4) ORDER BY admitted_at DESC LIMIT $5",
    )
    .bind(id.as_uuid())
    .bind(since)
    .bind(person_keys)
    .bind(object_guid)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    Ok(rows.iter().map(Row::to_record).collect::<Result<_, _>>()?)
}

/// Operations that entries speak of and the projection does not have.
pub(crate) async fn operations_without_row(
    executor: impl PgExecutor<'_>,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar(
        "SELECT DISTINCT e.operation_id FROM entries e WHERE e.operation_id IS NOT NULL \
         AND NOT EXISTS (SELECT FROM operations o WHERE o.id = e.operation_id) LIMIT $1",
    )
    .bind(limit)
    .fetch_all(executor)
    .await?;
    Ok(ids)
}
