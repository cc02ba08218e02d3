//! What became of operations as a whole: those that ended before their forest was known are nobody else's.

use std::time::Duration;

use proto::v1;

use crate::{
    forest::{FAILED_IN_A_ROW, ForestReport},
    verdict::{Finding, Level, Verdict},
};

/// Where people are still being failed, the last of them was a moment ago.
const LATELY: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, PartialEq)]
pub struct OutcomesReport {
    pub verdict: Verdict,
    /// What was admitted within the ledger's window and ended without a forest, by how it ended.
    pub without_forest: Vec<v1::EndedOperations>,
}

fn is_late(age_ms: u64) -> bool {
    Duration::from_millis(age_ms) <= LATELY
}

/// Nobody was answered: neither done nor told what is wrong with what was asked.
fn is_failure(ended: &v1::EndedOperations) -> bool {
    matches!(ended.status(), v1::Status::Failed | v1::Status::Expired)
}

pub(crate) fn report(
    ledger: Option<&v1::LedgerHealth>,
    forests: &[ForestReport],
) -> OutcomesReport {
    let without_forest: Vec<v1::EndedOperations> = ledger
        .map(|ledger| ledger.ended.iter().filter(|ended| ended.forest.is_empty()))
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let failures = || without_forest.iter().filter(|ended| is_failure(ended));
    let count: u64 = failures().map(|ended| ended.count).sum();
    let lately = failures().any(|ended| is_late(ended.last_age_ms));
    let act = "see the forests below: while one does not answer, nobody knows whether it has a person who was not found before; \
               `writebackctl operations list --status failed`, without --forest, says who was told what";
    let mut findings = Vec::new();
    if let Some(ledger) = ledger
        && ledger.failed_in_a_row >= FAILED_IN_A_ROW
        && ledger.last_failed_age_ms.is_some_and(is_late)
        // else it is the trouble of the forests that have it
        && (lately || forests.iter().all(|forest| forest.level() > Level::Healthy))
    {
        findings.push(Finding::down(
            format!(
                "nobody is helped: the last {} operations all failed or expired",
                ledger.failed_in_a_row
            ),
            act,
        ));
    }
    if lately && count >= FAILED_IN_A_ROW {
        findings.push(Finding::degraded(
            format!(
                "{count} operations failed or expired before their forest was known: {}",
                reasons(failures())
            ),
            act,
        ));
    }
    OutcomesReport {
        verdict: Verdict::new(findings),
        without_forest,
    }
}

fn reasons<'a>(failures: impl Iterator<Item = &'a v1::EndedOperations>) -> String {
    let each: Vec<String> = failures
        .map(|ended| format!("{} {}", ended.reason, ended.count))
        .collect();
    each.join(", ")
}
