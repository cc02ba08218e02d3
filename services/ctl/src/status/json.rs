//! The same for machines. What is not known is null.

use std::time::Duration;

use health::{
    ControllerReport, DomainReport, ForestReport, Instance, ServiceReport, Verdict, kind_name,
};
use operation::ForestId;
use proto::v1::{self, Breaker, Contact};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::Look;
use crate::moment;

pub(super) fn of(look: &Look) -> Value {
    match look {
        Look::Away { at, why } => json!({
            "level": look.level().as_str(),
            "at": at.format(&Rfc3339).ok(),
            "problem": format!("audit cannot be asked: {why}"),
        }),
        Look::Seen { status, report, of } => json!({
            "level": report.level.as_str(),
            "forest": of.as_ref().map(ForestId::as_str),
            "at": moment::optional(status.at),
            "replica": status.replica,
            "listeningSeconds": status.listening_ms.map(|ms| ms / 1_000),
            "broker": verdict(&report.broker),
            "ledger": ledger(&report.ledger, status.ledger.as_ref()),
            "outcomes": {
                "level": report.outcomes.verdict.level().as_str(),
                "findings": findings(&report.outcomes.verdict),
                "withoutForest": ended(&report.outcomes.without_forest),
            },
            "services": report.services.iter().map(service).collect::<Vec<_>>(),
            "forests": report.forests.iter().map(forest).collect::<Vec<_>>(),
        }),
    }
}

fn findings(verdict: &Verdict) -> Value {
    let findings = verdict.findings().iter().map(|finding| {
        json!({ "level": finding.level.as_str(), "what": finding.what, "act": finding.act })
    });
    findings.collect()
}

fn verdict(verdict: &Verdict) -> Value {
    json!({ "level": verdict.level().as_str(), "findings": findings(verdict) })
}

fn ledger(judged: &Verdict, facts: Option<&v1::LedgerHealth>) -> Value {
    let chain = facts.and_then(|facts| facts.chain.as_ref());
    let settings = facts.and_then(|facts| facts.settings.as_ref());
    json!({
        "level": judged.level().as_str(),
        "findings": findings(judged),
        "countedSecondsAgo": facts.and_then(|facts| facts.counted_age_ms).map(|ms| ms / 1_000),
        "writeback": settings.map(|settings| settings.writeback),
        "unlockWithoutReset": settings.map(|settings| settings.unlock_without_reset),
        "chain": chain.map(|chain| json!({
            "followedFrom": chain.followed_from,
            "followedTo": chain.followed_to,
            "intact": chain.problem.is_empty(),
            "verifiedSecondsAgo": chain.verified_age_ms.map(|ms| ms / 1_000),
            "verifiedIntact": chain.verified_age_ms.map(|_| chain.verified_intact),
            "verifiedFindings": chain.verified_age_ms.map(|_| chain.verified_findings + chain.verified_missed),
        })),
    })
}

fn service(report: &ServiceReport) -> Value {
    json!({
        "kind": kind_name(report.kind),
        "forest": report.forest,
        "level": report.verdict.level().as_str(),
        "findings": findings(&report.verdict),
        "instances": report.instances.iter().map(instance).collect::<Vec<_>>(),
    })
}

fn instance(instance: &Instance) -> Value {
    let gates = instance
        .gates
        .iter()
        .map(|gate| (gate.what.clone(), json!(gate.open)));
    json!({
        "name": instance.name,
        "version": instance.version,
        "startedAt": moment::optional(instance.started_at),
        "heardSecondsAgo": instance.heard.as_secs(),
        "alive": instance.alive,
        "gates": gates.collect::<serde_json::Map<_, _>>(),
    })
}

fn ended(ended: &[v1::EndedOperations]) -> Vec<Value> {
    let each = ended.iter().map(|ended| {
        json!({
            "status": operation::Status::try_from(ended.status()).ok(),
            "reason": (!ended.reason.is_empty()).then_some(&ended.reason),
            "count": ended.count,
        })
    });
    each.collect()
}

fn forest(report: &ForestReport) -> Value {
    let figures = &report.figures;
    let seconds = |age: Option<Duration>| age.map(|age| age.as_secs());
    let keys = figures.keys.as_ref().map(|keys| {
        let each = keys.iter();
        each.map(|(kid, days)| json!({ "kid": kid, "daysLeft": days }))
            .collect::<Vec<_>>()
    });
    json!({
        "id": report.id,
        "level": report.level().as_str(),
        "findings": findings(&report.verdict),
        "writers": service(&report.writers),
        "domains": report.domains.iter().map(domain).collect::<Vec<_>>(),
        "queue": { "waiting": figures.waiting, "underWay": figures.under_way },
        "pending": { "count": figures.pending, "oldestSeconds": seconds(figures.oldest_pending) },
        "lastSuccessSecondsAgo": seconds(figures.last_applied),
        "ended": ended(&report.ended),
        "keys": keys,
    })
}

fn domain(report: &DomainReport) -> Value {
    json!({
        "name": report.name,
        "level": report.level().as_str(),
        "findings": findings(&report.verdict),
        "anchorsReadSecondsAgo": report.anchors_age.map(|age| age.as_secs()),
        "controllers": report.controllers.iter().map(controller).collect::<Vec<_>>(),
    })
}

fn controller(report: &ControllerReport) -> Value {
    let facts = &report.facts;
    let contact = match facts.contact() {
        Contact::Bound => Some("bound"),
        Contact::Refused => Some("refused"),
        Contact::Silent => Some("silent"),
        Contact::Unspecified => None,
    };
    let breaker = match facts.breaker() {
        Breaker::Closed => Some("closed"),
        Breaker::Open => Some("open"),
        Breaker::HalfOpen => Some("half-open"),
        Breaker::Unspecified => None,
    };
    json!({
        "endpoint": report.endpoint,
        "level": report.verdict.level().as_str(),
        "findings": findings(&report.verdict),
        "name": facts.dns_host_name,
        "site": (!facts.site.is_empty()).then_some(&facts.site),
        "contact": contact,
        "bound": report.bound,
        "asking": report.asking,
        "breaker": breaker,
        "policyHints": facts.policy_hints,
        "clockSkewMilliseconds": facts.clock_skew_ms,
        "writable": facts.writable,
        "pdcEmulator": facts.pdc_emulator,
        "globalCatalog": facts.global_catalog,
        "synchronized": facts.synchronized,
        "certificateExpiresAt": facts.certificate_expires_at.and_then(moment::optional),
        "latencyMicroseconds": facts.latency_us,
    })
}
