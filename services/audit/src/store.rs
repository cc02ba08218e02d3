//! The statements: what a batch needs to know, what it leaves behind, and what is asked later.

use operation::OperationId;
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use crate::{
    batch::{Batch, Item, Peer},
    chain::{Entry, Tip},
    content::Settings,
    observe::PendingNow,
    record::Record,
    row::{Row, RowError},
    signing::SigningKey,
};

/// Notifications about new entries go to this channel.
pub(crate) const CHANNEL: &str = "writeback_ledger";

const HOUR: i64 = 3_600_000_000;

#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Row(#[from] RowError),
    #[error("content cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

#[derive(sqlx::FromRow)]
struct HeadAndSettings {
    sequence: i64,
    at: i64,
    hash: Vec<u8>,
    now: i64,
    writeback: bool,
    unlock_without_reset: bool,
    changed_at: i64,
    changed_by: String,
}

/// Takes the head's lock and reads what these items are to be decided on.
pub(crate) async fn open_batch(
    connection: &mut PgConnection,
    items: &[Item],
    throttle_per_hour: u32,
    service: &str,
) -> Result<Batch, StoreError> {
    // The clock is the database's, read once the lock is held: one clock for all replicas.
    // The settings change only under the same lock, but a joined row would be read by the snapshot
    // from before the wait: they are read afterwards.
    let (sequence, at, hash): (i64, i64, Vec<u8>) =
        sqlx::query_as("SELECT sequence, at, hash FROM head FOR UPDATE")
            .fetch_one(&mut *connection)
            .await?;
    let facts: HeadAndSettings = sqlx::query_as(
        "SELECT $1::bigint AS sequence, $2::bigint AS at, $3::bytea AS hash, \
         (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now, \
         writeback, unlock_without_reset, changed_at, changed_by FROM settings",
    )
    .bind(sequence)
    .bind(at)
    .bind(hash)
    .fetch_one(&mut *connection)
    .await?;

    let mut ids: Vec<Uuid> = Vec::new();
    let mut events: (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut keys: Vec<String> = Vec::new();
    let mut counted_keys: Vec<String> = Vec::new();
    for item in items {
        match item {
            Item::Admit(admission) => {
                ids.push(admission.id.as_uuid());
                events.0.push(&admission.event_source);
                events.1.push(&admission.event_id);
                keys.extend(admission.person_keys());
                if admission.counted() && throttle_per_hour > 0 {
                    counted_keys.extend(admission.person_keys());
                }
            }
            Item::Report(id, _) | Item::Overdue(id) => ids.push(id.as_uuid()),
            Item::Settings(_) => {}
        }
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM operations WHERE id = ANY($1) UNION \
         SELECT o.* FROM unnest($2::text[], $3::text[]) AS e (source, id) \
         JOIN operations o ON o.event_source = e.source AND o.event_id = e.id",
    )
    .bind(ids)
    .bind(&events.0)
    .bind(&events.1)
    .fetch_all(&mut *connection)
    .await?;
    // a repeat may be published again: what it must wait for is a matter of the first one's person
    keys.extend(rows.iter().flat_map(|row| row.person_keys.iter().cloned()));
    let records = rows
        .iter()
        .map(|row| Ok((row.id, row.to_record()?)))
        .collect::<Result<_, RowError>>()?;
    let pending = if events.0.is_empty() {
        Vec::new()
    } else {
        sqlx::query_as(
            "SELECT id, person_keys, admitted_at FROM operations \
             WHERE status = 'pending' AND person_keys && $1",
        )
        .bind(keys)
        .fetch_all(&mut *connection)
        .await?
    };
    let counted: Vec<Peer> = if counted_keys.is_empty() {
        Vec::new()
    } else {
        sqlx::query_as(
            "SELECT id, person_keys, admitted_at FROM operations \
             WHERE counted AND admitted_at > $2 AND person_keys && $1",
        )
        .bind(counted_keys)
        .bind(facts.now.saturating_sub(HOUR))
        .fetch_all(&mut *connection)
        .await?
    };
    Ok(Batch {
        now: facts.now,
        tip: Tip {
            sequence: facts.sequence,
            at: facts.at,
            hash: facts.hash,
        },
        settings: Settings {
            writeback: facts.writeback,
            unlock_without_reset: facts.unlock_without_reset,
            changed_at: facts.changed_at,
            changed_by: facts.changed_by,
        },
        records,
        pending,
        counted,
        throttle_per_hour,
        service: service.to_owned(),
        entries: Vec::new(),
        changed: std::collections::BTreeSet::new(),
        settings_changed: false,
    })
}

/// Writes what the batch decided, with the signed head.
pub(crate) async fn close_batch(
    connection: &mut PgConnection,
    batch: &Batch,
    key: &SigningKey,
) -> Result<(), StoreError> {
    if batch.entries.is_empty() {
        return Ok(());
    }
    let rows = batch
        .changed
        .iter()
        .filter_map(|id| batch.records.get(id))
        .map(Row::from_record)
        .collect::<Result<Vec<_>, _>>()?;
    if batch.settings_changed {
        sqlx::query(
            "UPDATE settings SET writeback = $1, unlock_without_reset = $2, \
             changed_at = $3, changed_by = $4",
        )
        .bind(batch.settings.writeback)
        .bind(batch.settings.unlock_without_reset)
        .bind(batch.settings.changed_at)
        .bind(&batch.settings.changed_by)
        .execute(&mut *connection)
        .await?;
    }
    // one round trip while the head is locked; all parts are carried out (PostgreSQL, 7.8.4)
    sqlx::query(
        "WITH appended AS ( \
             INSERT INTO entries SELECT * FROM jsonb_populate_recordset(NULL::entries, $1) \
         ), projected AS ( \
             INSERT INTO operations SELECT * FROM jsonb_populate_recordset(NULL::operations, $2) \
             ON CONFLICT (id) DO UPDATE SET status = excluded.status, outcome = excluded.outcome, \
             completed_at = excluded.completed_at, forest = excluded.forest, \
             domain = excluded.domain, object_guid = excluded.object_guid, \
             steps = excluded.steps, step_count = excluded.step_count, write = excluded.write \
         ), moved AS ( \
             UPDATE head SET sequence = $3, at = $4, hash = $5, public_key = $6, signature = $7 \
         ) SELECT pg_notify($8, $9)",
    )
    .bind(Json(&batch.entries))
    .bind(Json(&rows))
    .bind(batch.tip.sequence)
    .bind(batch.tip.at)
    .bind(&batch.tip.hash)
    .bind(key.public_key())
    .bind(key.sign(&batch.tip))
    .bind(CHANNEL)
    .bind(batch.tip.sequence.to_string())
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn write_head(
    connection: &mut PgConnection,
    tip: &Tip,
    key: &SigningKey,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE head SET sequence = $1, at = $2, hash = $3, public_key = $4, signature = $5",
    )
    .bind(tip.sequence)
    .bind(tip.at)
    .bind(&tip.hash)
    .bind(key.public_key())
    .bind(key.sign(tip))
    .execute(connection)
    .await?;
    Ok(())
}

/// Signs the head of a ledger that has no entries yet, so that its emptiness is vouched for too.
/// Under the lock: another replica may be appending already.
pub(crate) async fn sign_empty_head(pool: &PgPool, key: &SigningKey) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    let head: Head =
        sqlx::query_as("SELECT sequence, at, hash, public_key, signature FROM head FOR UPDATE")
            .fetch_one(&mut *transaction)
            .await?;
    if head.sequence == 0 && head.signature.is_empty() {
        write_head(&mut transaction, &head.tip(), key).await?;
    }
    transaction.commit().await?;
    Ok(())
}

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
        "SELECT writeback, unlock_without_reset, changed_at, changed_by FROM settings",
    )
    .fetch_optional(executor)
    .await?;
    Ok(settings)
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
    let entries =
        sqlx::query_as("SELECT * FROM entries WHERE sequence > $1 ORDER BY sequence LIMIT $2")
            .bind(after)
            .bind(limit)
            .fetch_all(executor)
            .await?;
    Ok(entries)
}

pub(crate) async fn entries_of(
    executor: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> Result<Vec<Entry>, StoreError> {
    let entries = sqlx::query_as(
        "SELECT * FROM entries WHERE operation_id = ANY($1) ORDER BY operation_id, sequence",
    )
    .bind(ids)
    .fetch_all(executor)
    .await?;
    Ok(entries)
}

/// Pending operations that nobody took up, whose deadline passed before this moment.
pub(crate) async fn overdue(
    executor: impl PgExecutor<'_>,
    older_than_micros: i64,
    limit: i64,
) -> Result<Vec<OperationId>, StoreError> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM operations WHERE status = 'pending' AND step_count <= 1 \
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
/// they were handed to; empty while that is not known.
pub(crate) async fn pending(
    executor: impl PgExecutor<'_>,
) -> Result<Vec<(String, PendingNow)>, StoreError> {
    let pending: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT COALESCE(forest, ''), count(*), \
         (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - min(admitted_at) \
         FROM operations WHERE status = 'pending' GROUP BY forest",
    )
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
