//! Re-reads the database and believes none of it: the chain, the head, and what follows from it.

use std::collections::HashMap;

use chain::{Entry, Tip};
use proto::v1;
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
    pub(crate) whose: Whose,
}

/// On whose word a checkpoint is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// This replica read that entry itself.
    Replica,
    /// This ledger's key signed it.
    Signed,
    /// The caller says so, who may be wrong.
    Caller,
}

impl Whose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Replica => "this replica",
            Self::Signed | Self::Caller => "the checkpoint",
        }
    }

    const fn is_proven(self) -> bool {
        matches!(self, Self::Replica | Self::Signed)
    }
}

impl Checkpoint {
    /// A caller's. Its signature makes it more than the caller's word.
    pub(crate) fn given(given: &v1::Checkpoint, key: &SigningKey) -> Self {
        let tip = Tip {
            sequence: given.sequence,
            at: given.at,
            hash: given.hash.clone(),
        };
        Self {
            whose: if key.verifies(&tip, &given.signature) {
                Whose::Signed
            } else {
                Whose::Caller
            },
            sequence: tip.sequence,
            hash: tip.hash,
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Verification {
    /// When the snapshot was taken, by the database's clock.
    pub(crate) at: i64,
    pub(crate) entries: i64,
    pub(crate) head: Vec<u8>,
    /// The first hundred.
    pub(crate) findings: Vec<String>,
    /// How many are of the ledger in itself.
    pub(crate) own: u64,
    /// How many are of checkpoints that are proven to be ours.
    pub(crate) missed: u64,
    /// Whether it was held against a checkpoint that the ledger's key signed.
    pub(crate) held: bool,
}

/// What every replica tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) at: i64,
    pub(crate) own: u64,
    pub(crate) missed: u64,
    pub(crate) held: bool,
}

impl Verification {
    fn found(&mut self, finding: String) {
        self.own += 1;
        self.tell(finding);
    }

    fn tell(&mut self, finding: String) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }

    fn missed(&mut self, checkpoint: &Checkpoint, finding: String) {
        self.missed += u64::from(checkpoint.whose.is_proven());
        self.tell(finding);
    }

    /// What is to be kept of it. Nothing where all that is wrong rests on the caller's word: that is no
    /// finding, and no clean verification either.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let proven = self.own + self.missed;
        (proven > 0 || self.findings.is_empty()).then_some(Verdict {
            at: self.at,
            own: self.own,
            missed: self.missed,
            held: self.held,
        })
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
    let at = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        .fetch_one(&mut *snapshot)
        .await?;
    // one statement reads the whole table for strays
    sqlx::query("SET LOCAL statement_timeout = '120s'")
        .execute(&mut *snapshot)
        .await?;
    let mut verification = Verification {
        at,
        held: { checkpoints.iter() }.any(|checkpoint| checkpoint.whose == Whose::Signed),
        ..Verification::default()
    };
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
    let mut seen: HashMap<i64, Vec<&Checkpoint>> = HashMap::new();
    for checkpoint in checkpoints {
        seen.entry(checkpoint.sequence)
            .or_default()
            .push(checkpoint);
    }
    loop {
        let page = store::entries_after(&mut *snapshot, last, PAGE).await?;
        let Some(end) = page.last() else { break };
        last = end.sequence;
        for entry in &page {
            verification.entries += 1;
            for finding in tip.follow(entry) {
                verification.found(finding);
            }
            for checkpoint in missed_at(&seen, entry) {
                let finding = format!(
                    "entry {} is another than {} saw: the chain was rewritten",
                    entry.sequence,
                    checkpoint.whose.as_str()
                );
                verification.missed(checkpoint, finding);
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
    for checkpoint in checkpoints {
        if checkpoint.sequence > tip.sequence {
            let finding = format!(
                "{} saw entry {}, the chain ends with entry {}: the end was cut off",
                checkpoint.whose.as_str(),
                checkpoint.sequence,
                tip.sequence
            );
            verification.missed(checkpoint, finding);
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
    seen: &HashMap<i64, Vec<&'a Checkpoint>>,
    entry: &'a Entry,
) -> impl Iterator<Item = &'a Checkpoint> {
    let there = seen.get(&entry.sequence).into_iter().flatten();
    there.copied().filter(|seen| seen.hash != entry.hash)
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
