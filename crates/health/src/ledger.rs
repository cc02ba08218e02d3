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
        }
        if let Some(age) = chain.verified_age_ms.filter(|_| !chain.verified_intact) {
            let age = ago(Duration::from_millis(age));
            if chain.verified_missed > 0 {
                findings.push(Finding::degraded(
                    format!("the last verification, {age} ago, missed what was once the ledger's end: it was put back to an earlier state, or rewritten"),
                    "keep the database as it is, and run `writebackctl ledger verify --checkpoint` with the signed checkpoints that you keep",
                ));
            }
            if chain.verified_findings > 0 || chain.verified_missed == 0 {
                findings.push(Finding::degraded(
                    format!("the last verification, {age} ago, had findings"),
                    "keep the database as it is, and run `writebackctl ledger verify`",
                ));
            }
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
            format!("nothing has been heard of an operation for {}: no resolver has sent it to a forest", ago(age)),
            "see the resolvers, and the forests they wait for; if they are well, an intake ended before it had sent it, and it expires a minute after its deadline",
        ));
    }
    Verdict::new(findings)
}
