//! The statements: what a batch needs to know, what it leaves behind, and what is asked later.

mod reading;

use chain::{Entry, Tip};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use crate::{
    batch::{Batch, Item, Peer},
    row::{Row, RowError},
    settings::Settings,
    signing::SigningKey,
};

pub(crate) use reading::{
    Filter, Head, entries_after, entries_of, head, head_if_any, list, operations_without_row,
    others, overdue, pending, record, rows, rows_after, settings,
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
struct NowAndSettings {
    now: i64,
    #[sqlx(flatten)]
    settings: Settings,
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
    let facts: NowAndSettings = sqlx::query_as(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now, \
         writeback, unlock_without_reset, changed_at, changed_by, note, forests FROM settings",
    )
    .fetch_one(&mut *connection)
    .await?;

    let mut ids: Vec<Uuid> = Vec::new();
    let mut events: (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut keys: Vec<String> = Vec::new();
    let mut counted_keys: Vec<String> = Vec::new();
    for item in items {
        match item {
            Item::Admit(admission, _) => {
                ids.push(admission.id.as_uuid());
                events.0.push(&admission.event_source);
                events.1.push(&admission.event_id);
                keys.extend(admission.person_keys());
                if admission.counted() && throttle_per_hour > 0 {
                    counted_keys.extend(admission.person_keys());
                }
            }
            Item::Report(id, _) | Item::Overdue(id) => ids.push(id.as_uuid()),
            Item::Settings(_) | Item::KeyAct(_) => {}
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
        tip: Tip { sequence, at, hash },
        settings: facts.settings,
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
