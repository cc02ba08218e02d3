//! Asking the ledger, which a writer does only in doubt.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chassis::rpc::LedgerChannel;
use operation::{OperationId, Status};
use proto::v1::{self, admission_client::AdmissionClient, ledger_client::LedgerClient};
use telemetry::trouble::{SoFar, Trouble};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::decide::Precedent;

/// For all tries together.
const TIME_OUT: Duration = Duration::from_secs(4);
/// Every operation asks this, and goes on without an answer.
const CLAIM_TIME_OUT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    channel: LedgerChannel,
}

/// What is known of the operation itself and of others on its account.
pub(crate) struct Standing {
    pub(crate) status: Status,
    pub(crate) precedents: Vec<Precedent>,
}

/// An operation that another one waits for.
pub(crate) struct Predecessor {
    pub(crate) id: OperationId,
    pub(crate) admitted_at: OffsetDateTime,
    /// A service has it, and it cannot be overtaken.
    pub(crate) heard_of: bool,
    /// With those before it.
    pub(crate) waiting: u32,
}

/// Whether an account is an operation's to write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    Granted {
        /// How long ago another operation ended that had it before.
        other_ended_ago: Option<Duration>,
        /// Neither the operation itself nor one on the account that was admitted after it has ended.
        none_ended_since: bool,
    },
    /// Another operation on the account has not ended.
    Held,
    /// Another delivery of this operation goes on with it.
    HeldByTwin,
}

/// What the ledger says to a writer that is about to begin late.
pub(crate) enum Late {
    TakenUp,
    /// It has ended already.
    Ended(Status),
    /// A later operation on the person went first.
    Overtaken,
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

    /// What an operation that sets a password has to wait for.
    ///
    /// # Errors
    /// As [`Self::standing`].
    pub(crate) async fn predecessor(&self, id: OperationId) -> Result<Option<Predecessor>, String> {
        let call = self.channel.failover(TIME_OUT, |channel| {
            let request = v1::PredecessorRequest {
                operation_id: id.to_string(),
            };
            async move { LedgerClient::new(channel).predecessor(request).await }
        });
        let response = call.await.map_err(|status| status.to_string())?;
        let Some(predecessor) = response.into_inner().predecessor else {
            return Ok(None);
        };
        let admitted_at = proto::from_micros(predecessor.admitted_at);
        Ok(Some(Predecessor {
            id: predecessor
                .operation_id
                .parse()
                .map_err(|error| format!("operation_id: {error}"))?,
            admitted_at: admitted_at.map_err(|error| error.to_string())?,
            heard_of: predecessor.heard_of,
            waiting: predecessor.waiting,
        }))
    }

    /// Whether an earlier operation need not be waited for any more: nothing has been heard of it for long, and from now
    /// on nobody may begin with it.
    ///
    /// # Errors
    /// As [`Self::standing`].
    pub(crate) async fn overtake(
        &self,
        earlier: OperationId,
        service: &str,
    ) -> Result<bool, String> {
        let call = self.channel.failover(TIME_OUT, |channel| {
            let request = v1::OvertakeRequest {
                earlier: earlier.to_string(),
                service: service.to_owned(),
            };
            async move { AdmissionClient::new(channel).overtake(request).await }
        });
        let response = call.await.map_err(|status| status.to_string())?;
        Ok(response.into_inner().over)
    }

    /// Claims the account for the operation, until that has ended.
    ///
    /// # Errors
    /// As [`Self::standing`].
    pub(crate) async fn claim(
        &self,
        id: OperationId,
        target: &v1::Target,
        claimant: Option<Uuid>,
    ) -> Result<Claim, String> {
        let call = self.channel.failover(CLAIM_TIME_OUT, |channel| {
            let request = v1::ClaimRequest {
                operation_id: id.to_string(),
                target: Some(target.clone()),
                claimant: claimant.map(|claimant| claimant.to_string()),
            };
            async move { AdmissionClient::new(channel).claim(request).await }
        });
        let response = call.await.map_err(|status| status.to_string())?;
        let response = response.into_inner();
        if response.held {
            return Ok(if response.by_twin {
                Claim::HeldByTwin
            } else {
                Claim::Held
            });
        }
        let ago = |micros: i64| Duration::from_micros(micros.try_into().unwrap_or_default());
        Ok(Claim::Granted {
            other_ended_ago: response.other_ended_ago.map(ago),
            none_ended_since: response.none_ended_since,
        })
    }

    /// Keeps later operations from overtaking this one, unless one has.
    ///
    /// # Errors
    /// As [`Self::standing`].
    pub(crate) async fn take_up(&self, id: OperationId, service: &str) -> Result<Late, String> {
        let call = self.channel.failover(TIME_OUT, |channel| {
            let request = v1::TakeUpRequest {
                operation_id: id.to_string(),
                service: service.to_owned(),
            };
            async move { AdmissionClient::new(channel).take_up(request).await }
        });
        let response = call
            .await
            .map_err(|status| status.to_string())?
            .into_inner();
        let status: Status = response
            .status()
            .try_into()
            .map_err(|error: proto::FromWireError| error.to_string())?;
        Ok(match (status.is_terminal(), response.overtaken) {
            (true, _) => Late::Ended(status),
            (false, true) => Late::Overtaken,
            (false, false) => Late::TakenUp,
        })
    }
}

/// Tells that the ledger cannot be asked, and what waits for it, and when it can again.
pub(crate) fn tell<T>(trouble: &mut Trouble, asked: &Result<T, String>, what: &'static str) {
    tell_until(Trouble::over, trouble, asked, what);
}

/// The same where others ask meanwhile: what one cannot and another can is one trouble.
pub(crate) fn tell_of_all<T>(
    trouble: &Mutex<Trouble>,
    asked: &Result<T, String>,
    what: &'static str,
) {
    let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
    tell_until(Trouble::calm, &mut trouble, asked, what);
}

fn tell_until<T>(
    is_over: impl FnOnce(&mut Trouble) -> Option<SoFar>,
    trouble: &mut Trouble,
    asked: &Result<T, String>,
    what: &'static str,
) {
    match asked {
        Ok(_) => {
            if let Some(so_far) = is_over(trouble) {
                tracing::info!(
                    seconds = so_far.seconds,
                    tries = so_far.tries,
                    "the ledger can be asked again"
                );
            }
        }
        Err(problem) => {
            if let Some(so_far) = trouble.failed() {
                tracing::warn!(
                    problem,
                    seconds = so_far.seconds,
                    tries = so_far.tries,
                    "{what}"
                );
            }
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
