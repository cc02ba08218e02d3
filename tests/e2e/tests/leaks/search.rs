//! Looks for every encoding of every secret at once.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use anyhow::ensure;

use crate::encodings;

pub(crate) struct Search {
    automaton: AhoCorasick,
    /// For each pattern: which secret, in which encoding.
    patterns: Vec<(usize, &'static str)>,
    /// Who each secret belongs to; never the secret itself, for findings are printed.
    owners: Vec<String>,
    findings: BTreeSet<String>,
    looked_at: u64,
}

impl Search {
    pub(crate) fn new(secrets: &[(String, String)]) -> anyhow::Result<Self> {
        let mut patterns = Vec::new();
        let mut bytes = Vec::new();
        for (number, (_, secret)) in secrets.iter().enumerate() {
            for encoded in encodings::all(secret) {
                patterns.push((number, encoded.name));
                bytes.push(encoded.bytes);
            }
        }
        ensure!(!patterns.is_empty(), "there is nothing to search for");
        Ok(Self {
            automaton: AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(bytes)?,
            patterns,
            owners: secrets.iter().map(|(owner, _)| owner.clone()).collect(),
            findings: BTreeSet::new(),
            looked_at: 0,
        })
    }

    pub(crate) fn look(&mut self, place: &str, bytes: &[u8]) {
        self.looked_at += bytes.len() as u64;
        for hit in self.automaton.find_overlapping_iter(bytes) {
            let (number, encoding) = self.patterns[hit.pattern().as_usize()];
            let owner = &self.owners[number];
            self.findings
                .insert(format!("{owner}, as {encoding}, in {place}"));
        }
    }

    pub(crate) const fn looked_at(&self) -> u64 {
        self.looked_at
    }

    pub(crate) fn findings(&self) -> Vec<&str> {
        self.findings.iter().map(String::as_str).collect()
    }

    /// Whether this one was found in this encoding at a place with this in its name.
    pub(crate) fn found(&self, owner: &str, encoding: &str, place: &str) -> bool {
        let begin = format!("{owner}, as {encoding}, in ");
        self.findings.iter().any(|finding| {
            finding
                .strip_prefix(&begin)
                .is_some_and(|found| found.contains(place))
        })
    }
}
