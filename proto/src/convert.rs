//! Between wire messages and the domain.

use std::str::FromStr;

use operation::{
    Applied, EventIdentity, ForestId, Initiator, InitiatorKind, Kind, ObjectGuid, Operation,
    OperationId, Outcome, Reason, Refusal, Status, Step, UserReference, Violation,
};
use time::OffsetDateTime;

use crate::v1;

/// A message that is not what it must be. Names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FromWireError {
    #[error("{0}: missing")]
    Missing(&'static str),
    #[error("{field}: {problem}")]
    Invalid {
        field: &'static str,
        problem: String,
    },
}

fn invalid(field: &'static str, problem: impl ToString) -> FromWireError {
    FromWireError::Invalid {
        field,
        problem: problem.to_string(),
    }
}

/// Microseconds since the Unix epoch, as times travel.
pub fn to_micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

/// The time that [`to_micros`] made.
pub fn from_micros(micros: i64) -> Result<OffsetDateTime, FromWireError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .map_err(|error| invalid("time", error))
}

fn parsed<T: FromStr>(field: &'static str, text: &str) -> Result<T, FromWireError>
where
    T::Err: ToString,
{
    text.parse()
        .map_err(|error: T::Err| invalid(field, error.to_string()))
}

fn parsed_option<T: FromStr>(
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<T>, FromWireError>
where
    T::Err: ToString,
{
    text.map(|text| parsed(field, text)).transpose()
}

impl From<Kind> for v1::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Reset => Self::Reset,
            Kind::Change => Self::Change,
            Kind::Unlock => Self::Unlock,
        }
    }
}

impl TryFrom<v1::Kind> for Kind {
    type Error = FromWireError;
    fn try_from(kind: v1::Kind) -> Result<Self, Self::Error> {
        match kind {
            v1::Kind::Reset => Ok(Self::Reset),
            v1::Kind::Change => Ok(Self::Change),
            v1::Kind::Unlock => Ok(Self::Unlock),
            v1::Kind::Unspecified => Err(FromWireError::Missing("kind")),
        }
    }
}

impl From<Status> for v1::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Applied => Self::Applied,
            Status::Refused => Self::Refused,
            Status::Failed => Self::Failed,
            Status::Expired => Self::Expired,
        }
    }
}

impl TryFrom<v1::Status> for Status {
    type Error = FromWireError;
    fn try_from(status: v1::Status) -> Result<Self, Self::Error> {
        match status {
            v1::Status::Pending => Ok(Self::Pending),
            v1::Status::Applied => Ok(Self::Applied),
            v1::Status::Refused => Ok(Self::Refused),
            v1::Status::Failed => Ok(Self::Failed),
            v1::Status::Expired => Ok(Self::Expired),
            v1::Status::Unspecified => Err(FromWireError::Missing("status")),
        }
    }
}

impl From<InitiatorKind> for v1::InitiatorKind {
    fn from(kind: InitiatorKind) -> Self {
        match kind {
            InitiatorKind::User => Self::User,
            InitiatorKind::Administrator => Self::Administrator,
        }
    }
}

impl From<&UserReference> for v1::UserReference {
    fn from(user: &UserReference) -> Self {
        Self {
            source_anchor: user.source_anchor().map(|anchor| anchor.to_string()),
            security_identifier: user.security_identifier().map(ToString::to_string),
            user_principal_name: user.user_principal_name().map(ToString::to_string),
            domain: user.domain().map(ToString::to_string),
        }
    }
}

impl TryFrom<&v1::UserReference> for UserReference {
    type Error = FromWireError;
    fn try_from(user: &v1::UserReference) -> Result<Self, Self::Error> {
        Self::new(
            parsed_option("user.sourceAnchor", user.source_anchor.as_deref())?,
            parsed_option(
                "user.securityIdentifier",
                user.security_identifier.as_deref(),
            )?,
            parsed_option(
                "user.userPrincipalName",
                user.user_principal_name.as_deref(),
            )?,
            parsed_option("user.domain", user.domain.as_deref())?,
        )
        .map_err(|error| invalid("user", error))
    }
}

impl From<&Operation> for v1::Operation {
    fn from(operation: &Operation) -> Self {
        Self {
            id: operation.id.to_string(),
            kind: v1::Kind::from(operation.kind).into(),
            user: Some((&operation.user).into()),
            initiator: Some(v1::Initiator {
                kind: v1::InitiatorKind::from(operation.initiator.kind).into(),
                id: operation.initiator.id.clone(),
            }),
            event_source: operation.event.source.clone(),
            event_id: operation.event.id.clone(),
            must_change_at_next_sign_in: operation.must_change_at_next_sign_in,
            unlock: operation.unlock,
            admitted_at: to_micros(operation.admitted_at),
            deadline: to_micros(operation.deadline),
        }
    }
}

impl TryFrom<&v1::Operation> for Operation {
    type Error = FromWireError;
    fn try_from(operation: &v1::Operation) -> Result<Self, Self::Error> {
        let user = operation
            .user
            .as_ref()
            .ok_or(FromWireError::Missing("user"))?;
        let initiator = operation
            .initiator
            .as_ref()
            .ok_or(FromWireError::Missing("initiator"))?;
        let initiator_kind = match initiator.kind() {
            v1::InitiatorKind::User => InitiatorKind::User,
            v1::InitiatorKind::Administrator => InitiatorKind::Administrator,
            v1::InitiatorKind::Unspecified => return Err(FromWireError::Missing("initiator.kind")),
        };
        Ok(Self {
            id: parsed("id", &operation.id)?,
            kind: operation.kind().try_into()?,
            user: user.try_into()?,
            initiator: Initiator {
                kind: initiator_kind,
                id: initiator.id.clone(),
            },
            event: EventIdentity {
                source: operation.event_source.clone(),
                id: operation.event_id.clone(),
            },
            must_change_at_next_sign_in: operation.must_change_at_next_sign_in,
            unlock: operation.unlock,
            admitted_at: from_micros(operation.admitted_at)?,
            deadline: from_micros(operation.deadline)?,
        })
    }
}

impl From<&Step> for v1::Step {
    fn from(step: &Step) -> Self {
        Self {
            at: to_micros(step.at),
            service: step.service.clone(),
            step: step.step.clone(),
            detail: step.detail.clone(),
        }
    }
}

impl TryFrom<&v1::Step> for Step {
    type Error = FromWireError;
    fn try_from(step: &v1::Step) -> Result<Self, Self::Error> {
        Ok(Self {
            at: from_micros(step.at)?,
            service: step.service.clone(),
            step: step.step.clone(),
            detail: step.detail.clone(),
        })
    }
}

impl From<&Outcome> for v1::Outcome {
    fn from(outcome: &Outcome) -> Self {
        let end = match outcome {
            Outcome::Applied(applied) => v1::outcome::End::Applied(v1::Applied {
                notes: applied.notes.clone(),
            }),
            Outcome::NotApplied(refusal) => v1::outcome::End::Refusal(v1::Refusal {
                reason: refusal.reason.code().to_owned(),
                detail: refusal.detail.clone(),
                violations: refusal
                    .violations
                    .iter()
                    .map(|violation| v1::Violation {
                        rule: violation.rule.clone(),
                        message: violation.message.clone(),
                    })
                    .collect(),
            }),
        };
        Self { end: Some(end) }
    }
}

impl TryFrom<&v1::Outcome> for Outcome {
    type Error = FromWireError;
    fn try_from(outcome: &v1::Outcome) -> Result<Self, Self::Error> {
        match outcome
            .end
            .as_ref()
            .ok_or(FromWireError::Missing("outcome"))?
        {
            v1::outcome::End::Applied(applied) => Ok(Self::Applied(Applied {
                notes: applied.notes.clone(),
            })),
            v1::outcome::End::Refusal(refusal) => Ok(Self::NotApplied(Refusal {
                reason: parsed::<Reason>("outcome.reason", &refusal.reason)?,
                detail: refusal.detail.clone(),
                violations: refusal
                    .violations
                    .iter()
                    .map(|violation| Violation {
                        rule: violation.rule.clone(),
                        message: violation.message.clone(),
                    })
                    .collect(),
            })),
        }
    }
}

/// One account, found.
impl v1::Target {
    pub fn new(forest: &ForestId, domain: &operation::DomainName, object_guid: ObjectGuid) -> Self {
        Self {
            forest: forest.to_string(),
            domain: domain.to_string(),
            object_guid: object_guid.as_bytes().to_vec(),
        }
    }

    pub fn parse_forest(&self) -> Result<ForestId, FromWireError> {
        parsed("target.forest", &self.forest)
    }

    pub fn parse_domain(&self) -> Result<operation::DomainName, FromWireError> {
        parsed("target.domain", &self.domain)
    }

    pub fn parse_object_guid(&self) -> Result<ObjectGuid, FromWireError> {
        <[u8; 16]>::try_from(self.object_guid.as_slice())
            .map(ObjectGuid::from_bytes)
            .map_err(|_| invalid("target.object_guid", "16 bytes"))
    }
}

impl v1::Request {
    /// The admitted operation, parsed.
    pub fn parse_operation(&self) -> Result<Operation, FromWireError> {
        self.operation
            .as_ref()
            .ok_or(FromWireError::Missing("operation"))?
            .try_into()
    }

    pub fn parse_after(&self) -> Result<Option<OperationId>, FromWireError> {
        parsed_option("after", self.after.as_deref())
    }
}
