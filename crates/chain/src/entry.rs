//! The chain: each entry's hash covers its own fields and the hash before it (pure).

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value;
use uuid::Uuid;

/// Says what is hashed, so that no other SHA-256 of ours can be passed off as an entry.
const SEPARATOR: &[u8] = b"writeback.ledger.entry.v1\0";

pub type Hash = [u8; 32];

/// What the first entry names as its predecessor.
pub const GENESIS: Hash = [0; 32];

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub sequence: i64,
    pub at: i64,
    pub kind: String,
    pub operation_id: Option<Uuid>,
    pub content: String,
    pub previous: Vec<u8>,
    pub hash: Vec<u8>,
}

impl Entry {
    /// What its hash must be.
    pub fn expected_hash(&self) -> Hash {
        let operation_id = self
            .operation_id
            .map(|id| id.hyphenated().to_string())
            .unwrap_or_default();
        let mut context = Context::new(&SHA256);
        context.update(SEPARATOR);
        context.update(&self.sequence.to_be_bytes());
        context.update(&self.at.to_be_bytes());
        // lengths first, so that no byte can move from one field to the next unnoticed
        for field in [
            self.kind.as_bytes(),
            operation_id.as_bytes(),
            self.content.as_bytes(),
            &self.previous,
        ] {
            context.update(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(field);
        }
        let digest = context.finish();
        let mut hash = GENESIS;
        hash.copy_from_slice(digest.as_ref());
        hash
    }
}

/// Where the chain ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    pub sequence: i64,
    pub at: i64,
    pub hash: Vec<u8>,
}

impl Tip {
    pub fn genesis() -> Self {
        Self {
            sequence: 0,
            at: 0,
            hash: GENESIS.to_vec(),
        }
    }

    /// Makes the entry that follows, and moves to it.
    pub fn append(
        &mut self,
        at: i64,
        kind: &str,
        operation_id: Option<Uuid>,
        content: String,
    ) -> Entry {
        let mut entry = Entry {
            sequence: self.sequence + 1,
            at,
            kind: kind.to_owned(),
            operation_id,
            content,
            previous: std::mem::take(&mut self.hash),
            hash: Vec::new(),
        };
        entry.hash = entry.expected_hash().to_vec();
        self.sequence = entry.sequence;
        self.at = at;
        self.hash.clone_from(&entry.hash);
        entry
    }

    /// Checks the entry that should follow, moves to it whatever it is, and says what is wrong with it.
    pub fn follow(&mut self, entry: &Entry) -> Vec<String> {
        let mut findings = Vec::new();
        let sequence = entry.sequence;
        if sequence != self.sequence + 1 {
            findings.push(format!(
                "entry {sequence} follows entry {}: entries are missing or out of order",
                self.sequence
            ));
        }
        if entry.at < self.at {
            findings.push(format!("entry {sequence} is older than the one before it"));
        }
        if entry.previous != self.hash {
            findings.push(format!(
                "entry {sequence} does not name the hash of the one before it"
            ));
        }
        if entry.expected_hash().as_slice() != entry.hash {
            findings.push(format!("entry {sequence} does not match its hash"));
        }
        self.sequence = sequence;
        self.at = entry.at;
        self.hash.clone_from(&entry.hash);
        findings
    }
}

/// JSON with sorted keys and no white space (the part of RFC 8785 that text and integers need).
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_canonical(member, text);
            }
            text.push('}');
        }
        leaf => text.push_str(&leaf.to_string()),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
