//! What entries say, as JSON, and its conversion from and to the wire (pure).

use std::collections::BTreeMap;

use chain::canonical_json;
use operation::{
    DomainName, ForestId, InitiatorKind, Kind, ObjectGuid, Operation, OperationId, Outcome, Reason,
    SecurityIdentifier, SourceAnchor, Status, UserPrincipalName, UserReference, Violation,
};
use proto::{FromWireError, v1};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Kinds of entries.
pub(crate) const ADMITTED: &str = "admitted";
pub(crate) const REPORTED: &str = "reported";
pub(crate) const SETTINGS: &str = "settings";
pub(crate) const KEYS: &str = "keys";

/// The canonical text of any content.
pub(crate) fn to_text<T: Serialize>(content: &T) -> Result<String, serde_json::Error> {
    Ok(canonical_json(&serde_json::to_value(content)?))
}

pub(crate) fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}

/// An operation was admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Admission {
    pub(crate) id: OperationId,
    pub(crate) kind: Kind,
    pub(crate) source_anchor: Option<SourceAnchor>,
    pub(crate) security_identifier: Option<SecurityIdentifier>,
    pub(crate) user_principal_name: Option<UserPrincipalName>,
    pub(crate) domain: Option<DomainName>,
    pub(crate) initiator: InitiatorKind,
    pub(crate) initiator_id: Option<String>,
    pub(crate) event_source: String,
    pub(crate) event_id: String,
    pub(crate) must_change_at_next_sign_in: bool,
    pub(crate) unlock: bool,
    pub(crate) admitted_at: i64,
    pub(crate) deadline: i64,
    /// Lower-case hexadecimal.
    pub(crate) content_digest: String,
    pub(crate) caller: String,
    pub(crate) service: String,
    pub(crate) unthrottled: bool,
    /// Where it was turned off when this was admitted. Kept, so that every copy of the operation
    /// meets the same end in these forests whatever is set later.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) closed: BTreeMap<ForestId, Reason>,
}

impl Admission {
    pub(crate) fn from_wire(request: &v1::AdmitRequest) -> Result<Self, FromWireError> {
        let operation = request
            .operation
            .as_ref()
            .ok_or(FromWireError::Missing("operation"))?;
        let parsed = Operation::try_from(operation)?;
        // the database keeps these as plain text, which cannot hold every character
        for (field, text) in [
            ("operation.event_source", &operation.event_source),
            ("operation.event_id", &operation.event_id),
            ("caller", &request.caller),
            ("service", &request.service),
        ] {
            plain(field, text)?;
        }
        if request.content_digest.len() != 32 {
            return Err(FromWireError::Invalid {
                field: "content_digest",
                problem: "the 32 bytes of a SHA-256".to_owned(),
            });
        }
        Ok(Self {
            id: parsed.id,
            kind: parsed.kind,
            source_anchor: parsed.user.source_anchor(),
            security_identifier: parsed.user.security_identifier().cloned(),
            user_principal_name: parsed.user.user_principal_name().cloned(),
            domain: parsed.user.domain().cloned(),
            initiator: parsed.initiator.kind,
            initiator_id: parsed.initiator.id,
            event_source: parsed.event.source,
            event_id: parsed.event.id,
            must_change_at_next_sign_in: parsed.must_change_at_next_sign_in,
            unlock: parsed.unlock,
            admitted_at: 0,
            deadline: operation.deadline,
            content_digest: hex::encode(&request.content_digest),
            caller: request.caller.clone(),
            service: request.service.clone(),
            unthrottled: request.unthrottled,
            closed: BTreeMap::new(),
        })
    }

    pub(crate) fn closed_to_wire(&self) -> Vec<v1::ClosedForest> {
        self.closed
            .iter()
            .map(|(forest, reason)| v1::ClosedForest {
                forest: forest.to_string(),
                reason: reason.code().to_owned(),
            })
            .collect()
    }

    pub(crate) fn person_keys(&self) -> Vec<String> {
        UserReference::new(
            self.source_anchor,
            self.security_identifier.clone(),
            self.user_principal_name.clone(),
            self.domain.clone(),
        )
        .map(|user| user.keys())
        .unwrap_or_default()
    }

    /// Whether it counts towards the throttle per person: what anyone can ask for without proving
    /// the current password.
    pub(crate) fn counted(&self) -> bool {
        !self.unthrottled
            && self.initiator == InitiatorKind::User
            && matches!(self.kind, Kind::Reset | Kind::Unlock)
    }

    pub(crate) fn to_wire(&self) -> v1::Operation {
        let initiator = v1::InitiatorKind::from(self.initiator);
        v1::Operation {
            id: self.id.to_string(),
            kind: v1::Kind::from(self.kind).into(),
            user: Some(v1::UserReference {
                source_anchor: self.source_anchor.map(|anchor| anchor.to_string()),
                security_identifier: self.security_identifier.as_ref().map(ToString::to_string),
                user_principal_name: self.user_principal_name.as_ref().map(ToString::to_string),
                domain: self.domain.as_ref().map(ToString::to_string),
            }),
            initiator: Some(v1::Initiator {
                kind: initiator.into(),
                id: self.initiator_id.clone(),
            }),
            event_source: self.event_source.clone(),
            event_id: self.event_id.clone(),
            must_change_at_next_sign_in: self.must_change_at_next_sign_in,
            unlock: self.unlock,
            admitted_at: self.admitted_at,
            deadline: self.deadline,
        }
    }
}

/// Refuses text that a log line or the database could not hold.
pub(crate) fn plain(field: &'static str, text: &str) -> Result<(), FromWireError> {
    if text.chars().any(char::is_control) {
        return Err(FromWireError::Invalid {
            field,
            problem: "no control characters".to_owned(),
        });
    }
    Ok(())
}

/// Something was reported of an operation: where it is, how it ended, what was done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Reported {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<End>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) steps: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) write: Option<Write>,
}

impl Reported {
    pub(crate) fn from_wire(report: &v1::Report) -> Result<(OperationId, Self), FromWireError> {
        let id = operation_id(&report.operation_id)?;
        let outcome = report.outcome.as_ref().map(Outcome::try_from).transpose()?;
        let reported = Self {
            target: report.target.as_ref().map(Target::from_wire).transpose()?,
            outcome: outcome.map(End::from),
            steps: report.steps.iter().map(Step::from_wire).collect(),
            write: report.write.as_ref().map(Write::from_wire),
        };
        Ok((id, reported))
    }
}

pub(crate) fn operation_id(text: &str) -> Result<OperationId, FromWireError> {
    text.parse()
        .map_err(|error: operation::IdentifierError| FromWireError::Invalid {
            field: "operation_id",
            problem: error.to_string(),
        })
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) forest: ForestId,
    pub(crate) domain: DomainName,
    pub(crate) object_guid: ObjectGuid,
}

impl Target {
    pub(crate) fn from_wire(target: &v1::Target) -> Result<Self, FromWireError> {
        Ok(Self {
            forest: target.parse_forest()?,
            domain: target.parse_domain()?,
            object_guid: target.parse_object_guid()?,
        })
    }

    pub(crate) fn to_wire(&self) -> v1::Target {
        v1::Target::new(&self.forest, &self.domain, self.object_guid)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum End {
    Applied {
        notes: Vec<String>,
    },
    Refusal {
        reason: Reason,
        detail: String,
        violations: Vec<Violation>,
    },
}

impl End {
    pub(crate) const fn status(&self) -> Status {
        match self {
            Self::Applied { .. } => Status::Applied,
            Self::Refusal { reason, .. } => reason.status(),
        }
    }

    pub(crate) fn refusal(reason: Reason, detail: &str) -> Self {
        Self::Refusal {
            reason,
            detail: detail.to_owned(),
            violations: Vec::new(),
        }
    }

    pub(crate) fn to_wire(&self) -> v1::Outcome {
        let end = match self.clone() {
            Self::Applied { notes } => v1::outcome::End::Applied(v1::Applied { notes }),
            Self::Refusal {
                reason,
                detail,
                violations,
            } => v1::outcome::End::Refusal(v1::Refusal {
                reason: reason.code().to_owned(),
                detail,
                violations: violations
                    .into_iter()
                    .map(|violation| v1::Violation {
                        rule: violation.rule,
                        message: violation.message,
                    })
                    .collect(),
            }),
        };
        v1::Outcome { end: Some(end) }
    }
}

impl From<Outcome> for End {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Applied(applied) => Self::Applied {
                notes: applied.notes,
            },
            Outcome::NotApplied(refusal) => Self::Refusal {
                reason: refusal.reason,
                detail: refusal.detail,
                violations: refusal.violations,
            },
        }
    }
}

#[expect(clippy::struct_field_names, reason = "the wire's own words")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) at: i64,
    pub(crate) service: String,
    pub(crate) step: String,
    pub(crate) detail: String,
}

impl Step {
    pub(crate) fn from_wire(step: &v1::Step) -> Self {
        Self {
            at: step.at,
            service: step.service.clone(),
            step: step.step.clone(),
            detail: step.detail.clone(),
        }
    }

    pub(crate) fn to_wire(&self) -> v1::Step {
        v1::Step {
            at: self.at,
            service: self.service.clone(),
            step: self.step.clone(),
            detail: self.detail.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Write {
    pub(crate) domain_controller: String,
    pub(crate) began: i64,
    pub(crate) ended: i64,
}

impl Write {
    fn from_wire(write: &v1::Write) -> Self {
        Self {
            domain_controller: write.domain_controller.clone(),
            began: write.began,
            ended: write.ended,
        }
    }

    pub(crate) fn to_wire(&self) -> v1::Write {
        v1::Write {
            domain_controller: self.domain_controller.clone(),
            began: self.began,
            ended: self.ended,
        }
    }
}
