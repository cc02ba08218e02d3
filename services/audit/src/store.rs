//! The statements: what a batch needs to know, what it leaves behind, and what is asked later.

mod claims;
mod facts;
mod reading;

use chain::{Entry, Tip};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use crate::{
    batch::Batch,
    row::{Row, RowError},
    signing::SigningKey,
    verify::Verdict,
};

pub(crate) use claims::{Asked, Claim, claim, waits_for};
pub(crate) use facts::{TAKE_HEAD, open_batch};
pub(crate) use reading::{
    Filter, Head, Verified, can_append, entries_after, entries_of, head, head_if_any, list,
    operations_without_row, others, overdue, pending, predecessor, record, rows, rows_after,
    settings, verified,
};

/// Notifications about new entries go to this channel.
pub(crate) const CHANNEL: &str = "writeback_ledger";

#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the database is a standby: it answers, and records nothing")]
    Standby,
    #[error(transparent)]
    Row(#[from] RowError),
    #[error("content cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// An entry as the table `entries` holds it.
#[derive(serde::Serialize, sqlx::FromRow)]
struct EntryRow {
    sequence: i64,
    at: i64,
    kind: String,
    operation_id: Option<Uuid>,
    content: String,
    #[serde(serialize_with = "crate::row::bytea")]
    previous: Vec<u8>,
    #[serde(serialize_with = "crate::row::bytea")]
    hash: Vec<u8>,
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        Self {
            sequence: row.sequence,
            at: row.at,
            kind: row.kind,
            operation_id: row.operation_id,
            content: row.content,
            previous: row.previous,
            hash: row.hash,
        }
    }
}

impl From<&Entry> for EntryRow {
    fn from(entry: &Entry) -> Self {
        Self {
            sequence: entry.sequence,
            at: entry.at,
            kind: entry.kind.clone(),
            operation_id: entry.operation_id,
            content: entry.content.clone(),
            previous: entry.previous.clone(),
            hash: entry.hash.clone(),
        }
    }
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
    let entries: Vec<EntryRow> = batch.entries.iter().map(EntryRow::from).collect();
    let rows = batch
        .changed
        .iter()
        .filter_map(|id| batch.records.get(id))
        .map(Row::from_record)
        .collect::<Result<Vec<_>, _>>()?;
    if batch.settings_changed {
        sqlx::query(
            "UPDATE settings SET writeback = $1, unlock_without_reset = $2, \
             changed_at = $3, changed_by = $4, note = $5, forests = $6",
        )
        .bind(batch.settings.writeback)
        .bind(batch.settings.unlock_without_reset)
        .bind(batch.settings.changed_at)
        .bind(&batch.settings.changed_by)
        .bind(&batch.settings.note)
        .bind(Json(&batch.settings.forests))
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
    .bind(Json(&entries))
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

/// Keeps what a verification found; an earlier look never replaces a later one. What was missed stays missed
/// until the ledger is held against a signed checkpoint again: whoever knows none cannot see it.
pub(crate) async fn keep_verdict(pool: &PgPool, verdict: Verdict) -> Result<(), StoreError> {
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    sqlx::query(
        "UPDATE verification SET at = $1, verified = true, findings = $2, \
         missed = CASE WHEN $4 OR $3 > 0 THEN $3 ELSE missed END \
         WHERE NOT verified OR at <= $1",
    )
    .bind(verdict.at)
    .bind(count(verdict.own))
    .bind(count(verdict.missed))
    .bind(verdict.held)
    .execute(pool)
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
