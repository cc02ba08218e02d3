//! Asking the ledger, which a writer does only in doubt.

use std::time::Duration;

use chassis::rpc::LedgerChannel;
use operation::{OperationId, Status};
use proto::v1::{self, ledger_client::LedgerClient};
use tonic::Code;

use crate::decide::Precedent;

/// For all tries together.
const TIME_OUT: Duration = Duration::from_secs(4);

#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    channel: LedgerChannel,
}

/// What is known of the operation itself and of others on its account.
pub(crate) struct Standing {
    pub(crate) status: Status,
    pub(crate) precedents: Vec<Precedent>,
}

impl Ledger {
    pub(crate) const fn new(channel: LedgerChannel) -> Self {
        Self { channel }
    }

    /// # Errors
    /// In words, when the ledger cannot be asked or answers what cannot be read.
    pub(crate) async fn standing(
        &self,
        id: OperationId,
        target: &v1::Target,
    ) -> Result<Standing, String> {
        let call = self.channel.failover(TIME_OUT, |channel| {
            let request = v1::PrecedentsRequest {
                operation_id: id.to_string(),
                target: Some(target.clone()),
            };
            async move { LedgerClient::new(channel).precedents(request).await }
        });
        let response = call
            .await
            .map_err(|status| status.to_string())?
            .into_inner();
        let precedents = response
            .precedents
            .iter()
            .map(precedent)
            .collect::<Result<_, _>>();
        Ok(Standing {
            status: response
                .status()
                .try_into()
                .map_err(|error: proto::FromWireError| error.to_string())?,
            precedents: precedents.map_err(|error: proto::FromWireError| error.to_string())?,
        })
    }

    /// Whether an operation has ended; one the ledger does not know has.
    pub(crate) async fn has_ended(&self, id: OperationId) -> Result<bool, String> {
        let call = self.channel.failover(TIME_OUT, |channel| {
            let request = v1::GetOperationRequest { id: id.to_string() };
            async move { LedgerClient::new(channel).get_operation(request).await }
        });
        match call.await {
            Ok(record) => Ok(record.into_inner().status() != v1::Status::Pending),
            Err(status) if status.code() == Code::NotFound => Ok(true),
            Err(status) => Err(status.to_string()),
        }
    }
}

fn precedent(precedent: &v1::Precedent) -> Result<Precedent, proto::FromWireError> {
    let written = precedent
        .write
        .as_ref()
        .map(|write| {
            Ok((
                proto::from_micros(write.began)?,
                proto::from_micros(write.ended)?,
            ))
        })
        .transpose()?;
    Ok(Precedent {
        admitted_later: precedent.admitted_later,
        kind: precedent.kind().try_into()?,
        status: precedent.status().try_into()?,
        written,
    })
}
