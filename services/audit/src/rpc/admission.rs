//! Admission: nothing is published before Admit has answered.

use std::time::Duration;

use operation::ForestId;
use proto::v1::{self, admission_server::Admission, admit_response};
use telemetry::span;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Rpc, RpcError, answered, in_time};
use crate::{
    batch::{Answer, Item},
    content::{self, Reported},
    record::Record,
    store::{self, Asked, Claim},
};

#[tonic::async_trait]
impl Admission for Rpc {
    async fn ready(
        &self,
        _request: Request<v1::ReadyRequest>,
    ) -> Result<Response<v1::ReadyResponse>, Status> {
        in_time(store::can_append(&self.pool)).await?;
        Ok(Response::new(v1::ReadyResponse {}))
    }

    async fn admit(
        &self,
        request: Request<v1::AdmitRequest>,
    ) -> Result<Response<v1::AdmitResponse>, Status> {
        let answer = self.admit_one(request.get_ref()).await?;
        Ok(Response::new(v1::AdmitResponse {
            answer: Some(answer),
        }))
    }

    async fn record(
        &self,
        request: Request<v1::RecordRequest>,
    ) -> Result<Response<v1::RecordResponse>, Status> {
        let record = self.record_one(request.get_ref()).await?;
        Ok(Response::new(v1::RecordResponse {
            record: Some(record),
        }))
    }

    async fn overtake(
        &self,
        request: Request<v1::OvertakeRequest>,
    ) -> Result<Response<v1::OvertakeResponse>, Status> {
        let over = self.overtake_one(request.into_inner()).await?;
        Ok(Response::new(v1::OvertakeResponse { over }))
    }

    async fn take_up(
        &self,
        request: Request<v1::TakeUpRequest>,
    ) -> Result<Response<v1::TakeUpResponse>, Status> {
        let record = self.take_up_one(request.into_inner()).await?;
        Ok(Response::new(v1::TakeUpResponse {
            status: v1::Status::from(record.status()).into(),
            overtaken: record.is_overtaken(),
        }))
    }

    async fn claim(
        &self,
        request: Request<v1::ClaimRequest>,
    ) -> Result<Response<v1::ClaimResponse>, Status> {
        let response = self.claim_one(request.get_ref()).await?;
        Ok(Response::new(response))
    }

    async fn r#await(
        &self,
        request: Request<v1::AwaitRequest>,
    ) -> Result<Response<v1::OperationRecord>, Status> {
        let record = self.await_one(request.get_ref()).await?;
        Ok(Response::new(record))
    }
}

impl Rpc {
    async fn admit_one(
        &self,
        request: &v1::AdmitRequest,
    ) -> Result<admit_response::Answer, RpcError> {
        let admission = content::Admission::from_wire(request)?;
        let only = request
            .sealed_for
            .iter()
            .map(|forest| forest.parse::<ForestId>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| RpcError::Invalid(format!("sealed_for: {error}")))?;
        let id = admission.id;
        match self
            .appender
            .append(Item::Admit(Box::new(admission), only))
            .await?
        {
            Answer::Admitted {
                admitted_at,
                after,
                admission,
            } => {
                span::current_belongs_to(id);
                tracing::info!("admitted");
                Ok(admit_response::Answer::Admitted(v1::Admitted {
                    admitted_at,
                    after: after.map(|after| after.to_string()),
                    closed: admission.closed_to_wire(),
                }))
            }
            Answer::Duplicate {
                record,
                publish_again,
                after,
            } => {
                span::current_belongs_to(record.admission.id);
                tracing::info!(publish_again, "the same event again");
                Ok(admit_response::Answer::Duplicate(v1::Duplicate {
                    record: Some(record.to_wire()),
                    publish_again,
                    after: after.map(|after| after.to_string()),
                    closed: record.admission.closed_to_wire(),
                }))
            }
            Answer::Ended(record) => {
                span::current_belongs_to(id);
                tracing::info!(status = %record.status(), "ended by the settings");
                Ok(admit_response::Answer::Ended(record.to_wire()))
            }
            Answer::Throttled {
                retry_after_seconds,
            } => {
                span::current_belongs_to(id);
                tracing::warn!(retry_after_seconds, "too many for this person");
                Ok(admit_response::Answer::Throttled(v1::Throttled {
                    retry_after_seconds,
                }))
            }
            Answer::IdTaken => Err(RpcError::IdTaken),
            _ => Err(RpcError::Unexpected),
        }
    }

    async fn record_one(
        &self,
        request: &v1::RecordRequest,
    ) -> Result<v1::OperationRecord, RpcError> {
        let report = request
            .report
            .as_ref()
            .ok_or(proto::FromWireError::Missing("report"))?;
        let (id, reported) = Reported::from_wire(report)?;
        span::current_belongs_to(id);
        match self
            .appender
            .append(Item::Report(id, Box::new(reported)))
            .await?
        {
            Answer::Recorded(record) => Ok(record.to_wire()),
            Answer::UnknownOperation => Err(RpcError::UnknownOperation),
            _ => Err(RpcError::Unexpected),
        }
    }

    async fn overtake_one(&self, request: v1::OvertakeRequest) -> Result<bool, RpcError> {
        let earlier = content::operation_id(&request.earlier)?;
        span::current_belongs_to(earlier);
        let item = Item::Overtake(earlier, request.service);
        match self.appender.append(item).await? {
            Answer::Recorded(record) => Ok(!record.is_pending() || record.is_overtaken()),
            Answer::UnknownOperation => Ok(true),
            _ => Err(RpcError::Unexpected),
        }
    }

    async fn take_up_one(&self, request: v1::TakeUpRequest) -> Result<Box<Record>, RpcError> {
        let id = content::operation_id(&request.operation_id)?;
        span::current_belongs_to(id);
        match self
            .appender
            .append(Item::TakeUp(id, request.service))
            .await?
        {
            Answer::Recorded(record) => Ok(record),
            Answer::UnknownOperation => Err(RpcError::UnknownOperation),
            _ => Err(RpcError::Unexpected),
        }
    }

    async fn claim_one(&self, request: &v1::ClaimRequest) -> Result<v1::ClaimResponse, RpcError> {
        let id = content::operation_id(&request.operation_id)?;
        span::current_belongs_to(id);
        let target = { request.target.as_ref() }.ok_or(proto::FromWireError::Missing("target"))?;
        let object = target.parse_object_guid()?;
        let claimant = { request.claimant.as_deref() }
            .map(str::parse::<Uuid>)
            .transpose()
            .map_err(|error| RpcError::Invalid(format!("claimant: {error}")))?;
        let asked = Asked {
            object,
            id,
            claimant,
        };
        let claim = self.claims.claim(asked).await?;
        answered();
        Ok(match claim {
            Claim::Granted {
                other_ended_ago,
                none_ended_since,
            } => v1::ClaimResponse {
                other_ended_ago,
                none_ended_since,
                ..v1::ClaimResponse::default()
            },
            Claim::Held { by_twin } => v1::ClaimResponse {
                held: true,
                by_twin,
                ..v1::ClaimResponse::default()
            },
        })
    }

    async fn await_one(&self, request: &v1::AwaitRequest) -> Result<v1::OperationRecord, RpcError> {
        let id = content::operation_id(&request.id)?;
        span::current_belongs_to(id);
        let until = Instant::now() + Duration::from_millis(request.wait_ms.into());
        // subscribed before the question is asked: no end falls between the two
        let mut news = self.news.subscribe();
        loop {
            let record = self.record(id).await?;
            if !record.is_pending() {
                return Ok(record.to_wire());
            }
            loop {
                let event = tokio::select! {
                    () = tokio::time::sleep_until(until) => {
                        return Ok(self.record(id).await?.to_wire());
                    }
                    () = self.shutdown.cancelled() => return Ok(record.to_wire()),
                    event = news.recv() => event,
                };
                match event {
                    Ok(event) if event.operation_id == Some(id.as_uuid()) => break,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return Ok(record.to_wire()),
                }
            }
        }
    }
}
