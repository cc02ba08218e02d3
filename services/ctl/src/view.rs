//! One operation as the operator sees it: in JSON the same members as `GET /v1/operations/{id}`, and
//! what only the ledger knows beside them.

use std::io::{self, Write};

use operation::Reason;
use proto::v1::{self, outcome::End};
use serde_json::{Value, json};

use crate::{moment, table};

pub(crate) const HEADINGS: [&str; 6] = ["ACCEPTED", "ID", "KIND", "PERSON", "FOREST", "STATUS"];

pub(crate) fn row(record: &v1::OperationRecord) -> Vec<String> {
    let status = match reason(record) {
        Some(reason) => format!("{} ({reason})", status(record)),
        None => status(record).to_owned(),
    };
    let (accepted, id) = record.operation.as_ref().map_or_else(
        || ("-".to_owned(), "-".to_owned()),
        |operation| (moment::show(operation.admitted_at), operation.id.clone()),
    );
    vec![
        accepted,
        id,
        kind(record).to_owned(),
        person(record),
        forest(record).unwrap_or("-").to_owned(),
        status,
    ]
}

pub(crate) fn to_json(record: &v1::OperationRecord) -> Value {
    let operation = record.operation.as_ref();
    let user = operation.and_then(|operation| operation.user.as_ref());
    let reason = reason(record);
    json!({
        "id": operation.map(|operation| &operation.id),
        "status": status(record),
        "kind": kind(record),
        "forest": forest(record),
        "domain": record.target.as_ref().map(|target| &target.domain),
        "user": {
            "sourceAnchor": user.and_then(|user| user.source_anchor.as_ref()),
            "securityIdentifier": user.and_then(|user| user.security_identifier.as_ref()),
            "userPrincipalName": user.and_then(|user| user.user_principal_name.as_ref()),
            "domain": user.and_then(|user| user.domain.as_ref()),
        },
        "initiator": { "kind": initiator(record), "id": operation
            .and_then(|operation| operation.initiator.as_ref())
            .and_then(|initiator| initiator.id.as_ref()) },
        "eventSource": operation.map(|operation| &operation.event_source),
        "cloudEventId": operation.map(|operation| &operation.event_id),
        "caller": record.caller,
        "reason": reason,
        "eventId": reason.and_then(known).map(Reason::event_id),
        "actor": reason.and_then(known).map(|reason| reason.actor().as_str()),
        "detail": detail(record),
        "violations": violations(record).iter()
            .map(|violation| json!({ "rule": violation.rule, "message": violation.message }))
            .collect::<Vec<_>>(),
        "notes": notes(record),
        "acceptedAt": operation.and_then(|operation| moment::optional(operation.admitted_at)),
        "deadline": operation.and_then(|operation| moment::optional(operation.deadline)),
        "completedAt": moment::optional(record.completed_at),
        "steps": record.steps.iter().map(|step| json!({
            "at": moment::optional(step.at),
            "service": step.service,
            "step": step.step,
            "detail": step.detail,
        })).collect::<Vec<_>>(),
    })
}

/// Everything about one operation, for people.
pub(crate) fn print(out: &mut impl Write, record: &v1::OperationRecord) -> io::Result<()> {
    let operation = record.operation.as_ref();
    let mut fact = |name: &str, value: &str| writeln!(out, "{name:12}{}", table::printable(value));
    fact(
        "operation",
        operation.map_or("-", |operation| &operation.id),
    )?;
    fact("status", status(record))?;
    fact("kind", kind(record))?;
    fact("person", &person(record))?;
    fact("initiator", initiator(record))?;
    fact("caller", &record.caller)?;
    if let Some(target) = &record.target {
        fact("found in", &format!("{}, {}", target.forest, target.domain))?;
    }
    if let Some(operation) = operation {
        fact(
            "event",
            &format!("{} {}", operation.event_source, operation.event_id),
        )?;
        fact("accepted", &moment::show(operation.admitted_at))?;
        fact("deadline", &moment::show(operation.deadline))?;
    }
    fact("completed", &moment::show(record.completed_at))?;
    if let Some(code) = reason(record) {
        fact("reason", code)?;
        if let Some(reason) = known(code) {
            let title = reason.title();
            let (event_id, actor) = (reason.event_id(), reason.actor().as_str());
            fact(
                "",
                &format!("{title} (event {event_id}; who acts: {actor})"),
            )?;
        }
        fact("detail", detail(record).unwrap_or_default())?;
        for violation in violations(record) {
            fact(
                "violation",
                &format!("{}: {}", violation.rule, violation.message),
            )?;
        }
        fact(
            "",
            &format!("`writebackctl reason {code}` says how to mend it"),
        )?;
    }
    for note in notes(record) {
        fact("note", note)?;
    }
    let steps: Vec<_> = record
        .steps
        .iter()
        .map(|step| {
            vec![
                moment::show(step.at),
                after(record, step.at),
                step.service.clone(),
                step.step.clone(),
                step.detail.clone(),
            ]
        })
        .collect();
    writeln!(out)?;
    table::print(out, &["AT", "AFTER", "SERVICE", "STEP", "DETAIL"], &steps)
}

/// How long after the operation was accepted; clocks of different machines may disagree.
fn after(record: &v1::OperationRecord, at: i64) -> String {
    let accepted = record
        .operation
        .as_ref()
        .map(|operation| operation.admitted_at);
    match accepted {
        Some(accepted) if accepted != 0 && at != 0 => {
            let milliseconds = at.saturating_sub(accepted) / 1000;
            let sign = if milliseconds < 0 { '-' } else { '+' };
            let milliseconds = milliseconds.unsigned_abs();
            format!("{sign}{}.{:03} s", milliseconds / 1000, milliseconds % 1000)
        }
        _ => "-".to_owned(),
    }
}

pub(crate) fn status(record: &v1::OperationRecord) -> &'static str {
    operation::Status::try_from(record.status()).map_or("unknown", operation::Status::as_str)
}

fn kind(record: &v1::OperationRecord) -> &'static str {
    record
        .operation
        .as_ref()
        .and_then(|operation| operation::Kind::try_from(operation.kind()).ok())
        .map_or("-", operation::Kind::as_str)
}

fn initiator(record: &v1::OperationRecord) -> &'static str {
    match record
        .operation
        .as_ref()
        .and_then(|operation| operation.initiator.as_ref())
        .map(v1::Initiator::kind)
    {
        Some(v1::InitiatorKind::User) => "user",
        Some(v1::InitiatorKind::Administrator) => "administrator",
        Some(v1::InitiatorKind::Unspecified) | None => "-",
    }
}

/// The identifier a human recognises most easily.
fn person(record: &v1::OperationRecord) -> String {
    record
        .operation
        .as_ref()
        .and_then(|operation| operation.user.as_ref())
        .and_then(|user| {
            user.user_principal_name
                .as_ref()
                .or(user.source_anchor.as_ref())
                .or(user.security_identifier.as_ref())
        })
        .map_or_else(|| "-".to_owned(), Clone::clone)
}

fn forest(record: &v1::OperationRecord) -> Option<&str> {
    record.target.as_ref().map(|target| target.forest.as_str())
}

fn end(record: &v1::OperationRecord) -> Option<&End> {
    record
        .outcome
        .as_ref()
        .and_then(|outcome| outcome.end.as_ref())
}

fn refusal(record: &v1::OperationRecord) -> Option<&v1::Refusal> {
    match end(record)? {
        End::Refusal(refusal) => Some(refusal),
        End::Applied(_) => None,
    }
}

fn reason(record: &v1::OperationRecord) -> Option<&str> {
    refusal(record).map(|refusal| refusal.reason.as_str())
}

/// A ledger may hold reasons of a newer release; they are shown as they are.
fn known(code: &str) -> Option<Reason> {
    code.parse().ok()
}

fn detail(record: &v1::OperationRecord) -> Option<&str> {
    refusal(record).map(|refusal| refusal.detail.as_str())
}

fn violations(record: &v1::OperationRecord) -> &[v1::Violation] {
    refusal(record).map_or(&[], |refusal| &refusal.violations)
}

fn notes(record: &v1::OperationRecord) -> &[String] {
    match end(record) {
        Some(End::Applied(applied)) => &applied.notes,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> v1::OperationRecord {
        v1::OperationRecord {
            operation: Some(v1::Operation {
                id: "0198c0de-0000-7000-8000-000000000001".to_owned(),
                kind: v1::Kind::Reset.into(),
                user: Some(v1::UserReference {
                    user_principal_name: Some("ana@corp.example.com".to_owned()),
                    ..v1::UserReference::default()
                }),
                admitted_at: 1_000_000,
                ..v1::Operation::default()
            }),
            status: v1::Status::Refused.into(),
            outcome: Some(v1::Outcome {
                end: Some(End::Refusal(v1::Refusal {
                    reason: "password-policy".to_owned(),
                    detail: "too short".to_owned(),
                    violations: vec![v1::Violation {
                        rule: "length".to_owned(),
                        message: "at least 12 characters".to_owned(),
                    }],
                })),
            }),
            ..v1::OperationRecord::default()
        }
    }

    #[test]
    fn json_has_the_members_of_the_public_door_and_the_reasons_event_id_as_text() {
        let value = to_json(&refused());
        assert_eq!(value["status"], "refused");
        assert_eq!(value["kind"], "reset");
        assert_eq!(value["reason"], "password-policy");
        assert_eq!(value["eventId"], "33008");
        assert_eq!(value["actor"], "person");
        assert_eq!(value["acceptedAt"], "1970-01-01T00:00:01Z");
        assert_eq!(value["completedAt"], Value::Null);
        assert_eq!(value["violations"][0]["rule"], "length");
    }

    #[test]
    fn people_are_told_the_reason_and_where_its_page_is() {
        let mut out = Vec::new();
        print(&mut out, &refused()).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            "ana@corp.example.com",
            "event 33008",
            "length: at least 12 characters",
            "writebackctl reason password-policy",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_step_tells_how_long_after_the_acceptance_it_was() {
        assert_eq!(after(&refused(), 2_042_999), "+1.042 s");
        assert_eq!(after(&refused(), 1_000_000), "+0.000 s");
        assert_eq!(after(&refused(), 995_000), "-0.005 s");
        assert_eq!(after(&v1::OperationRecord::default(), 1), "-");
    }

    #[test]
    fn an_empty_record_and_an_unknown_reason_are_shown_and_not_refused() {
        assert_eq!(row(&v1::OperationRecord::default()).len(), HEADINGS.len());
        let mut record = refused();
        if let Some(End::Refusal(refusal)) = record.outcome.as_mut().unwrap().end.as_mut() {
            refusal.reason = "of-tomorrow".to_owned();
        }
        assert_eq!(to_json(&record)["reason"], "of-tomorrow");
        assert_eq!(to_json(&record)["eventId"], Value::Null);
    }
}
