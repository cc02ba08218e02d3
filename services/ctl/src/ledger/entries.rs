//! The ledger's entries as a file, and a check of such a file that needs nobody's word (pure but for reading).

use std::{
    io::{BufRead, Read as _},
    path::Path,
};

use anyhow::{Context as _, bail, ensure};
use chain::{Entry, Tip, signature_is_valid};
use proto::v1;
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::web;

const LONGEST_LINE: u64 = 4 << 20;
const MOST_FINDINGS: usize = 100;
/// RFC 8410 4: what comes before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo.
const ED25519: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// One line of an export.
pub(crate) fn to_json(entry: &v1::LedgerEntry) -> Value {
    json!({
        "sequence": entry.sequence,
        "at": entry.at,
        "kind": entry.kind,
        "operationId": (!entry.operation_id.is_empty()).then_some(&entry.operation_id),
        "content": entry.content,
        "previous": hex::encode(&entry.previous),
        "hash": hex::encode(&entry.hash),
    })
}

/// A line as it is written. Another member, or one that is there twice, might be read by somebody else than
/// by us: neither is an entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Line {
    sequence: i64,
    at: i64,
    kind: String,
    operation_id: Option<String>,
    content: String,
    previous: String,
    hash: String,
}

fn from_json(line: &str) -> Option<Entry> {
    let line: Line = serde_json::from_str(line).ok()?;
    Some(Entry {
        sequence: line.sequence,
        at: line.at,
        kind: line.kind,
        operation_id: line.operation_id.map(|id| id.parse()).transpose().ok()?,
        content: line.content,
        previous: hex::decode(line.previous).ok()?,
        hash: hex::decode(line.hash).ok()?,
    })
}

/// The end of the chain at some time, with the ledger's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedCheckpoint {
    pub(crate) tip: Tip,
    pub(crate) public_key: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl SignedCheckpoint {
    pub(crate) fn from_wire(head: &v1::SignedHead) -> Self {
        Self {
            tip: Tip {
                sequence: head.sequence,
                at: head.at,
                hash: head.hash.clone(),
            },
            public_key: head.public_key.clone(),
            signature: head.signature.clone(),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "sequence": self.tip.sequence,
            "at": self.tip.at,
            "hash": hex::encode(&self.tip.hash),
            "publicKey": hex::encode(&self.public_key),
            "signature": hex::encode(&self.signature),
        })
    }

    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let parse = |bytes: &[u8]| {
            let value: Value = serde_json::from_slice(bytes).ok()?;
            let bytes = |name: &str| hex::decode(value.get(name)?.as_str()?).ok();
            Some(Self {
                tip: Tip {
                    sequence: value.get("sequence")?.as_i64()?,
                    at: value.get("at")?.as_i64()?,
                    hash: bytes("hash")?,
                },
                public_key: bytes("publicKey")?,
                signature: bytes("signature")?,
            })
        };
        parse(&web::read_file(path)?).with_context(|| {
            format!(
                "{}: no checkpoint as `writebackctl ledger checkpoint` prints it",
                path.display()
            )
        })
    }

    /// Whether this key signed it.
    pub(crate) fn is_signed_by(&self, public_key: &[u8]) -> bool {
        self.public_key == public_key && signature_is_valid(public_key, &self.tip, &self.signature)
    }

    pub(crate) fn is_signed_by_its_own_key(&self) -> bool {
        signature_is_valid(&self.public_key, &self.tip, &self.signature)
    }
}

/// An Ed25519 public key in PEM, as `openssl pkey -pubout` writes it.
pub(crate) fn read_public_key(path: &Path) -> anyhow::Result<Vec<u8>> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(&web::read_file(path)?);
    let key = der.ok().and_then(|der| {
        let key = der.as_ref().strip_prefix(&ED25519)?;
        (key.len() == 32).then(|| key.to_vec())
    });
    key.with_context(|| {
        format!(
            "{}: no Ed25519 public key in PEM; `openssl pkey -in signing.pem -pubout` makes one",
            path.display()
        )
    })
}

/// What was found in an export.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    pub(crate) entries: i64,
    pub(crate) head: Vec<u8>,
    /// Up to which entry the checkpoints vouch for it.
    pub(crate) vouched: i64,
    pub(crate) findings: Vec<String>,
}

impl Verified {
    fn found(&mut self, finding: String) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }
}

/// Follows the chain from its first entry, and holds it against what the key's holder signed.
pub(crate) fn verify(
    mut export: impl BufRead,
    checkpoints: &[SignedCheckpoint],
    public_key: &[u8],
) -> anyhow::Result<Verified> {
    let mut verified = Verified::default();
    for checkpoint in checkpoints {
        if !checkpoint.is_signed_by(public_key) {
            verified.found(format!(
                "the checkpoint of entry {} was not signed with this key",
                checkpoint.tip.sequence
            ));
        }
    }
    let mut tip = Tip::genesis();
    let mut line = String::new();
    for number in 1_u64.. {
        line.clear();
        let read = (&mut export)
            .take(LONGEST_LINE)
            .read_line(&mut line)
            .context("the export cannot be read")?;
        if read == 0 {
            break;
        }
        ensure!(
            u64::try_from(read).unwrap_or(u64::MAX) < LONGEST_LINE,
            "line {number} of the export is too long"
        );
        let Some(entry) = from_json(&line) else {
            verified.found(format!(
                "line {number}, after entry {}, is no entry of a ledger",
                tip.sequence
            ));
            continue;
        };
        verified.entries += 1;
        for finding in tip.follow(&entry) {
            verified.found(finding);
        }
        for checkpoint in checkpoints {
            if checkpoint.tip.sequence != entry.sequence {
                continue;
            }
            if checkpoint.tip == tip {
                verified.vouched = verified.vouched.max(entry.sequence);
            } else {
                verified.found(format!(
                    "entry {} is another than the checkpoint saw: the chain was rewritten",
                    entry.sequence
                ));
            }
        }
    }
    for checkpoint in checkpoints {
        if checkpoint.tip.sequence > tip.sequence {
            verified.found(format!(
                "the checkpoint saw entry {}, the export ends with entry {}: its end was cut off",
                checkpoint.tip.sequence, tip.sequence
            ));
        }
    }
    if checkpoints.is_empty() {
        bail!("without a checkpoint nobody vouches for the export");
    }
    verified.head = tip.hash;
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use chain::signed_bytes;

    use super::*;

    struct Kept {
        lines: Vec<String>,
        checkpoint: SignedCheckpoint,
        key: Vec<u8>,
    }

    fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn line(entry: &Entry) -> String {
        let wire = v1::LedgerEntry {
            sequence: entry.sequence,
            at: entry.at,
            kind: entry.kind.clone(),
            operation_id: entry
                .operation_id
                .map(|id| id.to_string())
                .unwrap_or_default(),
            content: entry.content.clone(),
            previous: entry.previous.clone(),
            hash: entry.hash.clone(),
        };
        to_json(&wire).to_string()
    }

    fn sign(tip: &Tip, pair: &Ed25519KeyPair) -> SignedCheckpoint {
        SignedCheckpoint {
            tip: tip.clone(),
            public_key: pair.public_key().as_ref().to_vec(),
            signature: pair.sign(&signed_bytes(tip)).as_ref().to_vec(),
        }
    }

    /// Five entries, and a checkpoint at the fourth.
    fn kept() -> Kept {
        let pair = pair(1);
        let mut tip = Tip::genesis();
        let mut lines = Vec::new();
        let mut checkpoint = None;
        for at in 1..=5_i64 {
            let id = (at % 2 == 0).then(|| uuid::Uuid::from_u128(7));
            let entry = tip.append(at, "reported", id, format!("{{\"n\":{at}}}"));
            lines.push(line(&entry));
            if at == 4 {
                checkpoint = Some(sign(&tip, &pair));
            }
        }
        Kept {
            lines,
            checkpoint: checkpoint.unwrap(),
            key: pair.public_key().as_ref().to_vec(),
        }
    }

    fn findings(lines: &[String], checkpoint: &SignedCheckpoint, key: &[u8]) -> Verified {
        let text = lines.join("\n");
        verify(text.as_bytes(), std::slice::from_ref(checkpoint), key).unwrap()
    }

    #[test]
    fn an_untouched_export_is_intact_and_vouched_for_up_to_the_checkpoint() {
        let kept = kept();
        let verified = findings(&kept.lines, &kept.checkpoint, &kept.key);
        assert_eq!(verified.findings, Vec::<String>::new());
        assert_eq!((verified.entries, verified.vouched), (5, 4));
        let file = kept.checkpoint.to_json().to_string();
        let path = std::env::temp_dir().join(format!("checkpoint-{}", uuid::Uuid::now_v7()));
        std::fs::write(&path, file).unwrap();
        assert_eq!(SignedCheckpoint::read(&path).unwrap(), kept.checkpoint);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn any_change_of_a_line_is_found_and_its_entry_named() {
        let kept = kept();
        for (which, from, to) in [
            (1, "{\\\"n\\\":2}", "{\\\"n\\\":3}"),
            (1, "\"at\":2", "\"at\":1"),
            (1, "\"kind\":\"reported\"", "\"kind\":\"settings\""),
            (1, "000000000007", "000000000008"),
        ] {
            let mut lines = kept.lines.clone();
            lines[which] = lines[which].replace(from, to);
            assert_ne!(lines, kept.lines, "{from}");
            let found = findings(&lines, &kept.checkpoint, &kept.key)
                .findings
                .join("\n");
            assert!(
                found.contains("entry 2 does not match its hash"),
                "{from}: {found}"
            );
        }
        let mut lines = kept.lines.clone();
        lines.remove(2);
        let found = findings(&lines, &kept.checkpoint, &kept.key)
            .findings
            .join("\n");
        assert!(found.contains("entry 4 follows entry 2"), "{found}");
        lines[1] = "nonsense".to_owned();
        let found = findings(&lines, &kept.checkpoint, &kept.key)
            .findings
            .join("\n");
        assert!(found.contains("line 2"), "{found}");
        let cut = findings(&kept.lines[..3], &kept.checkpoint, &kept.key)
            .findings
            .join("\n");
        assert!(cut.contains("its end was cut off"), "{cut}");
    }

    #[test]
    fn a_chain_forged_whole_is_found_by_the_checkpoint_and_a_forged_checkpoint_by_the_key() {
        let kept = kept();
        let mut tip = Tip::genesis();
        let forged: Vec<String> = (1..=5_i64)
            .map(|at| line(&tip.append(at, "reported", None, "{}".to_owned())))
            .collect();
        let found = findings(&forged, &kept.checkpoint, &kept.key)
            .findings
            .join("\n");
        assert!(found.contains("entry 4 is another"), "{found}");
        let own = sign(&tip, &pair(2));
        let found = findings(&forged, &own, &kept.key).findings.join("\n");
        assert!(found.contains("not signed with this key"), "{found}");
        // the right name on a wrong signature
        let stolen = SignedCheckpoint {
            public_key: kept.key.clone(),
            ..own
        };
        let found = findings(&forged, &stolen, &kept.key).findings.join("\n");
        assert!(found.contains("not signed with this key"), "{found}");
    }
}
