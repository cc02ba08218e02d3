//! Questions to the ledger, each bounded in time.

use std::time::Duration;

use chassis::rpc::LedgerChannel;
use operation::{Operation, OperationId};
use proto::{
    FromWireError, from_micros,
    v1::{self, admission_client::AdmissionClient, admit_response, ledger_client::LedgerClient},
};
use tonic::Code;
use tracing::Instrument as _;

use crate::standing::Standing;

/// One replica of audit may be stopping, or hang: the next try reaches another. Repeating is safe: the
/// event's identity makes it the same operation, the operation's id tells the ledger that it is this
/// very admission, and the first end that was recorded stays.
const ADMIT_TIME_OUT: Duration = Duration::from_secs(4);
const QUESTION_TIME_OUT: Duration = Duration::from_secs(2);
/// Below the channel's own limit for an answer.
const LONGEST_AWAIT: Duration = Duration::from_secs(8);

#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("the ledger did not answer: {0}")]
    Unavailable(Box<tonic::Status>),
    #[error("the ledger did not answer in time")]
    TimedOut,
    #[error("the ledger knows no such operation")]
    Unknown,
    #[error("the ledger's answer is malformed: {0}")]
    Malformed(#[from] FromWireError),
}

impl From<tonic::Status> for LedgerError {
    fn from(status: tonic::Status) -> Self {
        match status.code() {
            Code::NotFound => Self::Unknown,
            Code::DeadlineExceeded => Self::TimedOut,
            _ => Self::Unavailable(Box::new(status)),
        }
    }
}

/// What was admitted earlier and may never have reached the queue.
pub(crate) struct Publication {
    pub(crate) operation: Box<Operation>,
    pub(crate) after: Option<String>,
    /// Where it must not be carried out.
    pub(crate) closed: Vec<v1::ClosedForest>,
}

/// What the ledger made of an event.
pub(crate) enum Admission {
    /// Written down; to be published.
    New {
        operation: Box<Operation>,
        after: Option<String>,
        closed: Vec<v1::ClosedForest>,
    },
    /// The same event was here before. `publish` if it may never have reached the queue.
    Known {
        standing: Standing,
        publish: Option<Publication>,
    },
    /// Written down and over, by the settings.
    Ended(Standing),
    Throttled {
        retry_after_seconds: u32,
    },
}

/// Clients of the ledger. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ledger {
    channel: LedgerChannel,
}

impl Ledger {
    pub(crate) const fn new(channel: LedgerChannel) -> Self {
        Self { channel }
    }

    pub(crate) async fn admit(
        &self,
        operation: &Operation,
        request: &v1::AdmitRequest,
    ) -> Result<Admission, LedgerError> {
        let call = self.channel.failover(ADMIT_TIME_OUT, |channel| {
            let request = request.clone();
            async move { AdmissionClient::new(channel).admit(request).await }
        });
        let response = call.await?.into_inner();
        match response.answer.ok_or(FromWireError::Missing("answer"))? {
            admit_response::Answer::Admitted(admitted) => Ok(Admission::New {
                operation: Box::new(Operation {
                    admitted_at: from_micros(admitted.admitted_at)?,
                    ..operation.clone()
                }),
                after: admitted.after,
                closed: admitted.closed,
            }),
            admit_response::Answer::Duplicate(duplicate) => {
                let record = duplicate.record.ok_or(FromWireError::Missing("record"))?;
                let standing = Standing::try_from(&record)?;
                let publish = if duplicate.publish_again && !standing.status().is_terminal() {
                    let first = record
                        .operation
                        .as_ref()
                        .ok_or(FromWireError::Missing("record.operation"))?;
                    Some(Publication {
                        operation: Box::new(first.try_into()?),
                        after: duplicate.after,
                        closed: duplicate.closed,
                    })
                } else {
                    None
                };
                Ok(Admission::Known { standing, publish })
            }
            admit_response::Answer::Ended(record) => {
                Ok(Admission::Ended(Standing::try_from(&record)?))
            }
            admit_response::Answer::Throttled(throttled) => Ok(Admission::Throttled {
                retry_after_seconds: throttled.retry_after_seconds,
            }),
        }
    }

    /// What is known now.
    pub(crate) async fn standing(&self, id: OperationId) -> Result<Standing, LedgerError> {
        let call = self.channel.failover(QUESTION_TIME_OUT, |channel| {
            let request = v1::GetOperationRequest { id: id.to_string() };
            async move { LedgerClient::new(channel).get_operation(request).await }
        });
        let record = call.await?.into_inner();
        Ok(Standing::try_from(&record)?)
    }

    /// What is known once it has ended, or after `wait`; sooner if that is long.
    pub(crate) async fn wait(
        &self,
        id: OperationId,
        wait: Duration,
    ) -> Result<Standing, LedgerError> {
        let wait = wait.min(LONGEST_AWAIT);
        let mut client = AdmissionClient::new(self.channel.clone());
        let request = v1::AwaitRequest {
            id: id.to_string(),
            wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        };
        let call = client.r#await(request);
        let record = tokio::time::timeout(wait + QUESTION_TIME_OUT, call)
            .await
            .map_err(|_| LedgerError::TimedOut)??
            .into_inner();
        Ok(Standing::try_from(&record)?)
    }

    /// Whether it would admit anything; for readiness.
    pub(crate) async fn admits(&self) -> bool {
        let call = self
            .channel
            .failover(QUESTION_TIME_OUT, |channel| async move {
                AdmissionClient::new(channel)
                    .ready(v1::ReadyRequest {})
                    .await
            });
        call.instrument(telemetry::span::unrecorded()).await.is_ok()
    }

    /// Writes down an end that only this replica can know.
    pub(crate) async fn record(&self, report: v1::Report) -> Result<(), LedgerError> {
        let call = self.channel.failover(ADMIT_TIME_OUT, |channel| {
            let request = v1::RecordRequest {
                report: Some(report.clone()),
            };
            async move { AdmissionClient::new(channel).record(request).await }
        });
        call.await?;
        Ok(())
    }
}
