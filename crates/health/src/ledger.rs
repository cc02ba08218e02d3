//! The ledger, as the replica of audit sees it that was asked.

use std::time::Duration;

use proto::v1;

use crate::{
    limits::PENDING_FOR,
    pulse::ago,
    verdict::{Finding, Verdict},
};

/// Counted every few seconds while the database answers.
const COUNTED_WITHIN: Duration = Duration::from_secs(30);

pub(crate) fn verdict(ledger: Option<&v1::LedgerHealth>) -> Verdict {
    let Some(ledger) = ledger else {
        return Verdict::new(vec![Finding::down(
            "audit says nothing of the ledger",
            "run the same version of writebackctl and audit",
        )]);
    };
    let mut findings = Vec::new();
    let counted = ledger.counted_age_ms.map(Duration::from_millis);
    if !ledger.problem.is_empty() {
        findings.push(Finding::down(
            format!("nothing is admitted: {}", ledger.problem),
            "see that PostgreSQL runs and that audit reaches audit.database_url",
        ));
    } else if counted.is_none_or(|age| age > COUNTED_WITHIN) {
        findings.push(Finding::degraded(
            counted.map_or("it was not counted yet".to_owned(), |age| {
                format!("it was last counted {} ago", ago(age))
            }),
            "ask again in a few seconds; if it stays so, see how busy PostgreSQL is",
        ));
    }
    if let Some(settings) = &ledger.settings
        && !settings.writeback
    {
        findings.push(Finding::degraded(
            format!("writeback is switched off, by {}", settings.changed_by),
            "`writebackctl settings set writeback on` when it may go on",
        ));
    }
    if let Some(chain) = &ledger.chain {
        if !chain.problem.is_empty() {
            findings.push(Finding::degraded(
                format!("the chain is broken: {}", chain.problem),
                "keep the database as it is, and run `writebackctl ledger verify`",
            ));
        } else if chain.verified_age_ms.is_some() && !chain.verified_intact {
            findings.push(Finding::degraded(
                "the last verification had findings",
                "keep the database as it is, and run `writebackctl ledger verify`",
            ));
        }
    }
    let unresolved = ledger
        .forests
        .iter()
        .find(|forest| forest.forest.is_empty());
    if let Some(age) = unresolved
        .and_then(|unresolved| unresolved.oldest_pending_age_ms)
        .map(Duration::from_millis)
        .filter(|age| *age > PENDING_FOR)
    {
        findings.push(Finding::degraded(
            format!("an operation has waited {} for a resolver", ago(age)),
            "see the resolvers, and the forests they wait for",
        ));
    }
    Verdict::new(findings)
}
