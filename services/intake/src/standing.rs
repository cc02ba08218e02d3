//! Where an operation stands, as it is told to a caller.

use operation::{ForestId, Kind, OperationId, Outcome, Reason, Status, Step};
use proto::{FromWireError, from_micros, v1};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The steps by which services end an operation.
const ENDS: [&str; 4] = ["ended", "expired", "refused", "not published"];

/// What is known of one operation now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    pub(crate) id: OperationId,
    pub(crate) kind: Kind,
    pub(crate) accepted_at: OffsetDateTime,
    pub(crate) deadline: OffsetDateTime,
    pub(crate) forest: Option<ForestId>,
    /// Absent while pending.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) completed_at: Option<OffsetDateTime>,
    pub(crate) steps: Vec<Step>,
}

impl Standing {
    pub(crate) fn location(id: OperationId) -> String {
        format!("/v1/operations/{id}")
    }

    pub(crate) fn status(&self) -> Status {
        self.outcome
            .as_ref()
            .map_or(Status::Pending, Outcome::status)
    }

    /// Freshly admitted.
    pub(crate) fn admitted(operation: &operation::Operation) -> Self {
        Self {
            id: operation.id,
            kind: operation.kind,
            accepted_at: operation.admitted_at,
            deadline: operation.deadline,
            forest: None,
            outcome: None,
            completed_at: None,
            steps: Vec::new(),
        }
    }

    /// The first step, in the ledger's words: the answer and the ledger tell the same story.
    pub(crate) fn with_acceptance(mut self, service: &str) -> Self {
        self.steps.push(Step {
            at: self.accepted_at,
            service: service.to_owned(),
            step: "accepted".to_owned(),
            detail: String::new(),
        });
        self
    }

    /// What a resolver's or writer's report adds. `received` stands in for a report without steps.
    pub(crate) fn with_report(
        mut self,
        report: &v1::Report,
        received: OffsetDateTime,
    ) -> Result<Self, FromWireError> {
        self.forest = report
            .target
            .as_ref()
            .map(v1::Target::parse_forest)
            .transpose()?;
        self.outcome = report.outcome.as_ref().map(TryInto::try_into).transpose()?;
        for step in steps(&report.steps)? {
            if !self.steps.contains(&step) {
                self.steps.push(step);
            }
        }
        self.completed_at = self
            .outcome
            .is_some()
            .then(|| ended_at(&self.steps).unwrap_or(received));
        Ok(self)
    }

    pub(crate) fn to_json(&self) -> Value {
        let reason = self.outcome.as_ref().and_then(Outcome::reason);
        let mut body = json!({
            "id": self.id,
            "status": self.status(),
            "kind": self.kind,
            "forest": self.forest,
            "reason": reason,
            "acceptedAt": rfc3339(self.accepted_at),
            "completedAt": self.completed_at.map(rfc3339),
            "steps": self.steps.iter().map(step_json).collect::<Vec<_>>(),
        });
        if let Some(members) = body.as_object_mut() {
            match &self.outcome {
                Some(Outcome::NotApplied(refusal)) => {
                    members.insert("eventId".to_owned(), json!(refusal.reason.event_id()));
                    members.insert("actor".to_owned(), json!(refusal.reason.actor()));
                    members.insert("detail".to_owned(), json!(refusal.detail));
                    members.insert("violations".to_owned(), json!(refusal.violations));
                }
                Some(Outcome::Applied(applied)) => {
                    members.insert("notes".to_owned(), json!(applied.notes));
                }
                None => {}
            }
        }
        body
    }

    pub(crate) fn reason(&self) -> Option<Reason> {
        self.outcome.as_ref().and_then(Outcome::reason)
    }
}

/// When whoever ended it did so: the same to who hears of it by the reply queue and to who asks the ledger, which takes
/// it in later.
fn ended_at(steps: &[Step]) -> Option<OffsetDateTime> {
    let end = steps.iter().find(|step| ENDS.contains(&step.step.as_str()));
    end.map(|step| step.at)
}

impl TryFrom<&v1::OperationRecord> for Standing {
    type Error = FromWireError;
    fn try_from(record: &v1::OperationRecord) -> Result<Self, FromWireError> {
        let operation: operation::Operation = record
            .operation
            .as_ref()
            .ok_or(FromWireError::Missing("operation"))?
            .try_into()?;
        let outcome: Option<Outcome> =
            record.outcome.as_ref().map(TryInto::try_into).transpose()?;
        let steps = steps(&record.steps)?;
        Ok(Self {
            forest: record
                .target
                .as_ref()
                .map(v1::Target::parse_forest)
                .transpose()?,
            completed_at: outcome
                .is_some()
                .then(|| ended_at(&steps).map_or_else(|| from_micros(record.completed_at), Ok))
                .transpose()?,
            outcome,
            steps,
            ..Self::admitted(&operation)
        })
    }
}

fn steps(steps: &[v1::Step]) -> Result<Vec<Step>, FromWireError> {
    steps.iter().map(TryInto::try_into).collect()
}

fn step_json(step: &Step) -> Value {
    json!({
        "at": rfc3339(step.at),
        "service": step.service,
        "step": step.step,
        "detail": step.detail,
    })
}

/// RFC 3339 reaches to the year 9999, as far as any time that came over a wire can be written.
fn rfc3339(at: OffsetDateTime) -> Option<String> {
    at.to_offset(time::UtcOffset::UTC).format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use operation::{
        Applied, EventIdentity, Initiator, InitiatorKind, Operation, Refusal, UserReference,
    };
    use time::macros::datetime;

    use super::*;

    fn operation() -> Operation {
        Operation {
            id: "0193b0de-0000-7000-8000-000000000001".parse().unwrap(),
            kind: Kind::Reset,
            user: UserReference::new(
                None,
                None,
                Some("ana@corp.example.com".parse().unwrap()),
                None,
            )
            .unwrap(),
            initiator: Initiator {
                kind: InitiatorKind::User,
                id: None,
            },
            event: EventIdentity {
                source: "/a".to_owned(),
                id: "1".to_owned(),
            },
            must_change_at_next_sign_in: false,
            unlock: true,
            admitted_at: datetime!(2026-11-21 12:00 UTC),
            deadline: datetime!(2026-11-21 12:00:30 UTC),
        }
    }

    fn report(outcome: &Outcome) -> v1::Report {
        v1::Report {
            operation_id: operation().id.to_string(),
            target: Some(v1::Target {
                forest: "corp".to_owned(),
                domain: "corp.example.com".to_owned(),
                object_guid: vec![7; 16],
            }),
            outcome: Some(outcome.into()),
            steps: vec![v1::Step {
                at: proto::to_micros(datetime!(2026-11-21 12:00:01 UTC)),
                service: "writer-corp-1".to_owned(),
                step: "ended".to_owned(),
                detail: "applied".to_owned(),
            }],
            write: None,
        }
    }

    #[test]
    fn a_pending_operation_has_every_member_and_nothing_made_up() {
        assert_eq!(
            Standing::admitted(&operation()).to_json(),
            json!({
                "id": "0193b0de-0000-7000-8000-000000000001", "status": "pending", "kind": "reset",
                "forest": null, "reason": null, "acceptedAt": "2026-11-21T12:00:00Z",
                "completedAt": null, "steps": [],
            })
        );
    }

    #[test]
    fn an_applied_report_completes_it() {
        let outcome = Outcome::Applied(Applied {
            notes: vec!["history was not checked".to_owned()],
        });
        let standing = Standing::admitted(&operation())
            .with_report(&report(&outcome), datetime!(2026-11-21 13:00 UTC))
            .unwrap();
        assert_eq!(
            standing.to_json(),
            json!({
                "id": "0193b0de-0000-7000-8000-000000000001", "status": "applied", "kind": "reset",
                "forest": "corp", "reason": null, "acceptedAt": "2026-11-21T12:00:00Z",
                "completedAt": "2026-11-21T12:00:01Z", "notes": ["history was not checked"],
                "steps": [{"at": "2026-11-21T12:00:01Z", "service": "writer-corp-1", "step": "ended", "detail": "applied"}],
            })
        );
    }

    #[test]
    fn a_record_from_the_ledger_tells_the_same() {
        for reason in Reason::ALL {
            let outcome = Outcome::NotApplied(Refusal::new(*reason, "why"));
            let record = v1::OperationRecord {
                operation: Some((&operation()).into()),
                status: v1::Status::from(reason.status()).into(),
                outcome: Some((&outcome).into()),
                completed_at: proto::to_micros(datetime!(2026-11-21 12:00:02 UTC)),
                ..v1::OperationRecord::default()
            };
            let body = Standing::try_from(&record).unwrap().to_json();
            assert_eq!(body["status"], reason.status().as_str());
            assert_eq!(body["reason"], reason.code());
            assert!(body["eventId"].is_string());
            assert_eq!(body["completedAt"], "2026-11-21T12:00:02Z");
        }
    }
}
