//! Re-reads the database and believes none of it: the chain, the head, and what follows from it.

use std::collections::HashMap;

use chain::{Entry, Tip};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    content::{self, ADMITTED, KEYS, REPORTED, SETTINGS},
    key_act::KeyAct,
    record::Record,
    row::Row,
    settings::Settings,
    signing::SigningKey,
    store::{self, StoreError},
};

const PAGE: i64 = 500;
const MOST_FINDINGS: usize = 100;

/// What the chain was seen to end with at some time, and by whom.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    pub(crate) sequence: i64,
    pub(crate) hash: Vec<u8>,
    pub(crate) whose: &'static str,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Verification {
    pub(crate) entries: i64,
    pub(crate) head: Vec<u8>,
    pub(crate) findings: Vec<String>,
}

impl Verification {
    fn found(&mut self, finding: String) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }
}

/// Reads everything in one snapshot, page by page. The checkpoints are of before it.
pub(crate) async fn verify(
    pool: &PgPool,
    key: &SigningKey,
    checkpoints: &[Checkpoint],
) -> Result<Verification, StoreError> {
    let mut snapshot = pool.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(&mut *snapshot)
        .await?;
    // one statement reads the whole table for strays
    sqlx::query("SET LOCAL statement_timeout = '120s'")
        .execute(&mut *snapshot)
        .await?;
    let mut verification = Verification::default();
    let settings = chain(&mut snapshot, key, checkpoints, &mut verification).await?;
    if store::settings(&mut *snapshot).await? != Some(settings) {
        verification.found("the settings are not what the entries say".to_owned());
    }
    operations(&mut snapshot, &mut verification).await?;
    snapshot.rollback().await?;
    Ok(verification)
}

/// The chain, its head and the head's signature. Returns what the entries say the settings are.
async fn chain(
    snapshot: &mut PgConnection,
    key: &SigningKey,
    checkpoints: &[Checkpoint],
    verification: &mut Verification,
) -> Result<Settings, StoreError> {
    let mut tip = Tip::genesis();
    let mut settings = Settings::default();
    let mut last = i64::MIN;
    loop {
        let page = store::entries_after(&mut *snapshot, last, PAGE).await?;
        let Some(end) = page.last() else { break };
        last = end.sequence;
        for entry in &page {
            verification.entries += 1;
            for finding in tip.follow(entry) {
                verification.found(finding);
            }
            for Checkpoint { whose, .. } in missed_at(checkpoints, entry) {
                verification.found(format!(
                    "entry {} is another than {whose} saw: the chain was rewritten",
                    entry.sequence
                ));
            }
            match (entry.kind.as_str(), entry.operation_id) {
                (SETTINGS, None) => match content::from_text(&entry.content) {
                    Ok(changed) => settings = changed,
                    Err(_) => verification.found(unreadable(entry)),
                },
                (KEYS, None) => {
                    if content::from_text::<KeyAct>(&entry.content).is_err() {
                        verification.found(unreadable(entry));
                    }
                }
                (ADMITTED | REPORTED, Some(_)) => {}
                _ => verification.found(unreadable(entry)),
            }
        }
    }
    for Checkpoint {
        sequence, whose, ..
    } in checkpoints
    {
        if *sequence > tip.sequence {
            verification.found(format!(
                "{whose} saw entry {sequence}, the chain ends with entry {}: the end was cut off",
                tip.sequence
            ));
        }
    }
    let Some(head) = store::head_if_any(&mut *snapshot).await? else {
        verification
            .found("the head is missing: nobody vouches for the end of the chain".to_owned());
        return Ok(settings);
    };
    if head.sequence != tip.sequence {
        verification.found(format!(
            "the head names entry {}, the chain ends with entry {}",
            head.sequence, tip.sequence
        ));
    } else if head.tip() != tip {
        verification.found(format!(
            "the head does not name the hash and time of entry {}, the last one",
            tip.sequence
        ));
    }
    if head.public_key != key.public_key() {
        verification.found("the head was signed with another key than this service's".to_owned());
    }
    if !key.verifies(&head.tip(), &head.signature) {
        verification.found("the head's signature is not valid".to_owned());
    }
    verification.head = head.hash;
    Ok(settings)
}

/// The checkpoints at this entry that saw another one in its place.
fn missed_at<'a>(
    checkpoints: &'a [Checkpoint],
    entry: &'a Entry,
) -> impl Iterator<Item = &'a Checkpoint> {
    checkpoints
        .iter()
        .filter(|seen| seen.sequence == entry.sequence && seen.hash != entry.hash)
}

fn unreadable(entry: &Entry) -> String {
    format!(
        "entry {} cannot be read as a {}",
        entry.sequence, entry.kind
    )
}

/// Every operation against its entries, and every entry for its operation.
async fn operations(
    snapshot: &mut PgConnection,
    verification: &mut Verification,
) -> Result<(), StoreError> {
    let mut last = Uuid::nil();
    loop {
        let rows = store::rows_after(&mut *snapshot, last, PAGE).await?;
        let Some(end) = rows.last() else { break };
        last = end.id;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let mut entries: HashMap<Uuid, Vec<Entry>> = HashMap::new();
        for entry in store::entries_of(&mut *snapshot, &ids).await? {
            if let Some(id) = entry.operation_id {
                entries.entry(id).or_default().push(entry);
            }
        }
        for row in &rows {
            let own = entries.remove(&row.id).unwrap_or_default();
            if let Some(finding) = compare(row, &own) {
                verification.found(finding);
            }
        }
    }
    for id in store::operations_without_row(&mut *snapshot, PAGE).await? {
        verification.found(format!("operation {id} has entries and no row"));
    }
    Ok(())
}

/// What an operation's entries say together.
pub(crate) fn fold(entries: &[Entry]) -> Option<Record> {
    let mut entries = entries.iter();
    let first = entries.next().filter(|entry| entry.kind == ADMITTED)?;
    let mut record = Record::admitted(content::from_text(&first.content).ok()?);
    for entry in entries {
        if entry.kind != REPORTED {
            return None;
        }
        record.apply(entry.at, content::from_text(&entry.content).ok()?);
    }
    Some(record)
}

/// What is wrong with a row, seen from its entries.
fn compare(row: &Row, entries: &[Entry]) -> Option<String> {
    let id = row.id;
    let Some(expected) = fold(entries).and_then(|record| Row::from_record(&record).ok()) else {
        return Some(format!("operation {id}: its entries do not tell a story"));
    };
    if row.status != expected.status {
        return Some(format!(
            "operation {id}: the row says {}, the entries say {}",
            row.status, expected.status
        ));
    }
    (*row != expected).then(|| format!("operation {id}: the row is not what the entries say"))
}

#[cfg(test)]
mod tests;
