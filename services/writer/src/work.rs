//! One operation as a writer has it: parsed, with the steps taken so far.

use std::sync::Arc;

use operation::{DomainName, ObjectGuid, Operation, OperationId, Step};
use prost::Message as _;
use proto::v1;
use time::OffsetDateTime;

use crate::passage::Tenure;

pub(crate) struct Work {
    pub(crate) operation: Operation,
    pub(crate) target: v1::Target,
    pub(crate) domain: DomainName,
    pub(crate) object_guid: ObjectGuid,
    pub(crate) sealed_password: String,
    /// An operation on the same person that must end first.
    pub(crate) after: Option<OperationId>,
    /// Somebody may have begun to write it already.
    pub(crate) perhaps_begun: bool,
    pub(crate) reconcile_only: bool,
    /// The ledger knows that a writer has it, so no later operation goes first.
    pub(crate) taken_up: bool,
    pub(crate) steps: Vec<v1::Step>,
    pub(crate) tenure: Arc<Tenure>,
    /// The request to be resolved afresh should the remembered target not fit. Its steps are here.
    pub(crate) resolvable: Option<v1::Request>,
}

impl Work {
    /// # Errors
    /// In words, naming the field.
    pub(crate) fn parse(body: &[u8], delivered_before: bool) -> Result<Self, String> {
        let work = v1::ForestWork::decode(body).map_err(|error| error.to_string())?;
        let request = work.request.ok_or("request: missing")?;
        let target = work.target.ok_or("target: missing")?;
        let resolvable = work.remembered.then(|| v1::Request {
            steps: Vec::new(),
            ..request.clone()
        });
        let text = |error: proto::FromWireError| error.to_string();
        Ok(Self {
            operation: request.parse_operation().map_err(text)?,
            domain: target.parse_domain().map_err(text)?,
            object_guid: target.parse_object_guid().map_err(text)?,
            after: request.parse_after().map_err(text)?,
            perhaps_begun: delivered_before || request.perhaps_repeated || work.reconcile_only,
            reconcile_only: work.reconcile_only,
            taken_up: false,
            tenure: Arc::new(Tenure::new()),
            sealed_password: request.sealed_password,
            steps: request.steps,
            resolvable,
            target,
        })
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_late(&self) -> bool {
        let remaining = self.operation.remaining(OffsetDateTime::now_utc());
        remaining.is_zero()
    }

    pub(crate) fn step(&mut self, service: &str, step: &str, detail: impl Into<String>) {
        let step = Step {
            at: OffsetDateTime::now_utc(),
            service: service.to_owned(),
            step: step.to_owned(),
            detail: detail.into(),
        };
        self.steps.push((&step).into());
    }
}
