//! What a batch is decided on, in two round trips: one that takes the head's lock, one that reads.

use chain::Tip;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::StoreError;
use crate::{
    batch::{Batch, Counted, Item, Peer},
    row::{Row, RowError},
    settings::Settings,
};

/// Begins the transaction of a batch. Everything it is decided on changes under this lock only. It is read by a
/// statement of its own: one that waits for the lock sees, but for the locked row, what there was before it waited
/// (PostgreSQL 13.2.1).
///
/// Planning takes longer than what is planned, and there is but one good way to each row, by its index, however few
/// rows there were when it was planned (PostgreSQL 20.7).
pub(crate) const TAKE_HEAD: &str = "BEGIN; \
    SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off; \
    SELECT FROM head FOR UPDATE";

const HOUR: i64 = 3_600_000_000;

/// `$1` operations, `$2` and `$3` events, `$4` persons, `$5` persons who are counted, `$6` for how long.
///
/// The clock is the database's, read under the lock: one clock for all replicas. A repeat may be published again, and what
/// it must wait for is a matter of the first one's person.
const FACTS: &str = "\
    WITH clock AS MATERIALIZED ( \
        SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now \
    ), known AS MATERIALIZED ( \
        SELECT * FROM operations WHERE id = ANY($1) UNION ALL \
        SELECT o.* FROM unnest($2::text[], $3::text[]) AS e (source, id) \
        JOIN operations o ON o.event_source = e.source AND o.event_id = e.id \
    ) \
    SELECT sequence, at, hash, now, \
        writeback, unlock_without_reset, changed_at, changed_by, note, forests, \
        (SELECT coalesce(json_agg(known), '[]') FROM known) AS records, \
        (SELECT coalesce(json_agg(json_build_object( \
            'id', o.id, 'kind', o.admission::json -> 'kind', \
            'person_keys', o.person_keys, 'admitted_at', o.admitted_at)), '[]') \
         FROM operations o WHERE o.status = 'pending' AND o.person_keys && \
            ($4::text[] || ARRAY(SELECT unnest(k.person_keys) FROM known k WHERE cardinality($2) > 0)) \
        ) AS pending, \
        (SELECT coalesce(json_agg(json_build_object( \
            'person_keys', o.person_keys, 'admitted_at', o.admitted_at)), '[]') \
         FROM operations o WHERE o.counted AND o.admitted_at > now - $6 AND o.person_keys && $5 \
        ) AS counted \
    FROM head, settings, clock";

#[derive(sqlx::FromRow)]
struct Facts {
    sequence: i64,
    at: i64,
    hash: Vec<u8>,
    now: i64,
    #[sqlx(flatten)]
    settings: Settings,
    records: Json<Vec<Row>>,
    pending: Json<Vec<Peer>>,
    counted: Json<Vec<Counted>>,
}

/// What is to be read for a batch.
#[derive(Default)]
struct Wanted<'a> {
    ids: Vec<Uuid>,
    sources: Vec<&'a str>,
    event_ids: Vec<&'a str>,
    persons: Vec<String>,
    counted_persons: Vec<String>,
}

impl<'a> Wanted<'a> {
    fn of(items: &'a [Item], throttle_per_hour: u32) -> Self {
        let mut wanted = Self::default();
        for item in items {
            match item {
                Item::Admit(admission, _) => {
                    wanted.ids.push(admission.id.as_uuid());
                    wanted.sources.push(&admission.event_source);
                    wanted.event_ids.push(&admission.event_id);
                    wanted.persons.extend(admission.person_keys());
                    if admission.counted() && throttle_per_hour > 0 {
                        wanted.counted_persons.extend(admission.person_keys());
                    }
                }
                Item::Report(id, _)
                | Item::Overdue(id)
                | Item::Overtake(id, _)
                | Item::TakeUp(id, _) => wanted.ids.push(id.as_uuid()),
                Item::Settings(_) | Item::KeyAct(_) => {}
            }
        }
        wanted
    }
}

/// Reads what these items are to be decided on. The head is locked: see [`TAKE_HEAD`].
pub(crate) async fn open_batch(
    connection: &mut PgConnection,
    items: &[Item],
    throttle_per_hour: u32,
    service: &str,
) -> Result<Batch, StoreError> {
    let wanted = Wanted::of(items, throttle_per_hour);
    let facts: Facts = sqlx::query_as(FACTS)
        .bind(&wanted.ids)
        .bind(&wanted.sources)
        .bind(&wanted.event_ids)
        .bind(&wanted.persons)
        .bind(&wanted.counted_persons)
        .bind(HOUR)
        .fetch_one(connection)
        .await?;
    let records = { facts.records.iter() }
        .map(|row| Ok((row.id, row.to_record()?)))
        .collect::<Result<_, RowError>>()?;
    Ok(Batch {
        now: facts.now,
        tip: Tip {
            sequence: facts.sequence,
            at: facts.at,
            hash: facts.hash,
        },
        settings: facts.settings,
        records,
        pending: facts.pending.0,
        counted: facts.counted.0,
        throttle_per_hour,
        service: service.to_owned(),
        entries: Vec::new(),
        changed: std::collections::BTreeSet::new(),
        settings_changed: false,
    })
}
