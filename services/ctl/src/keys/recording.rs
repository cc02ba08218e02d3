//! Telling the ledger what was done with keys. The files are what counts: an act that the ledger
//! could not be told of stands, and whoever did it is told so.

use std::time::Duration;

use operation::ForestId;
use proto::v1::{self, keys_client::KeysClient};

use crate::{
    audit::{Address, answer, bounded},
    failure::Ending,
    output,
};

const TIME_OUT: Duration = Duration::from_secs(10);

/// What became of the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    Yes,
    /// It was not said where the audit service is.
    NotAsked,
    Failed,
}

impl Recorded {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "recorded",
            Self::NotAsked => "not-asked",
            Self::Failed => "failed",
        }
    }

    pub(crate) const fn ending(self) -> Ending {
        match self {
            Self::Yes | Self::NotAsked => Ending::Done,
            Self::Failed => Ending::No,
        }
    }

    /// Of several, the one that is to be told.
    pub(crate) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Failed, _) | (_, Self::Failed) => Self::Failed,
            (Self::NotAsked, other) => other,
            (own, _) => own,
        }
    }
}

pub(crate) async fn record(
    address: &Address,
    act: &str,
    forest: &ForestId,
    keys: Vec<String>,
) -> Recorded {
    if !address.is_known() {
        output::tell(format_args!(
            "the ledger is not told: neither --audit nor --config was given"
        ));
        return Recorded::NotAsked;
    }
    let act = v1::KeyAct {
        act: act.to_owned(),
        forest: forest.to_string(),
        keys,
    };
    let tell = async {
        let mut client = KeysClient::new(address.connect().await?);
        answer(
            client.record_key_act(bounded(act.clone(), TIME_OUT)),
            TIME_OUT,
        )
        .await
    };
    match tell.await {
        Ok(_) => Recorded::Yes,
        Err(error) => {
            output::tell(format_args!(
                "done, but the ledger could not be told that keys of forest {forest} were {}: {error:#}",
                act.act
            ));
            Recorded::Failed
        }
    }
}
