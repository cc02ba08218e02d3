//! Whether operators have turned this forest off since.
//!
//! An operation that was admitted after the switch never comes here: the ledger said at its
//! admission where it must not be carried out, and the resolver obeyed. This is for what waits in
//! the queue from before: nobody who pulls a switch wants a thousand more to be written.

use std::{sync::Mutex, sync::PoisonError, time::Duration};

use chassis::rpc::LedgerChannel;
use operation::{ForestId, Kind, Reason, Refusal};
use proto::v1::{self, settings_client::SettingsClient};
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tracing::Instrument as _;

const LOOK_EVERY: Duration = Duration::from_secs(1);
const TIME_OUT: Duration = Duration::from_secs(3);

/// What is on, for everybody and here together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct On {
    writeback: bool,
    unlock_without_reset: bool,
}

impl On {
    fn of(values: &v1::SettingsValues, forest: &ForestId) -> Self {
        let own = { values.forests.iter() }.find(|own| own.forest == forest.to_string());
        Self {
            writeback: values.writeback && own.is_none_or(|own| own.writeback),
            unlock_without_reset: values.unlock_without_reset
                && own.is_none_or(|own| own.unlock_without_reset),
        }
    }

    fn refusal(self, kind: Kind, forest: &ForestId) -> Option<Refusal> {
        let refuse = |reason, what: &str| {
            let detail =
                format!("{what} was turned off for forest {forest} before this was carried out");
            Some(Refusal::new(reason, detail))
        };
        if !self.writeback {
            return refuse(Reason::WritebackDisabled, "password writeback");
        }
        if kind == Kind::Unlock && !self.unlock_without_reset {
            return refuse(Reason::UnlockDisabled, "unlocking without a reset");
        }
        None
    }
}

/// What the ledger said last. Until it has said anything, and while it is away, what it said before holds.
pub(crate) struct Switch {
    forest: ForestId,
    on: Mutex<On>,
}

impl Switch {
    pub(crate) fn new(forest: ForestId) -> Self {
        Self {
            forest,
            on: Mutex::new(On {
                writeback: true,
                unlock_without_reset: true,
            }),
        }
    }

    /// Why nothing is to be begun any more, if so.
    pub(crate) fn refusal(&self, kind: Kind) -> Option<Refusal> {
        let on = *self.on.lock().unwrap_or_else(PoisonError::into_inner);
        on.refusal(kind, &self.forest)
    }

    fn take(&self, values: &v1::SettingsValues) {
        let now = On::of(values, &self.forest);
        let mut on = self.on.lock().unwrap_or_else(PoisonError::into_inner);
        if *on != now {
            tracing::info!(
                forest = %self.forest,
                writeback = now.writeback,
                unlock_without_reset = now.unlock_without_reset,
                "the settings changed"
            );
        }
        *on = now;
    }

    /// Asks every second until shutdown.
    pub(crate) async fn follow(&self, channel: LedgerChannel, shutdown: CancellationToken) {
        let mut client = SettingsClient::new(channel);
        loop {
            let mut request = Request::new(v1::GetSettingsRequest {});
            request.set_timeout(TIME_OUT);
            let asked = client
                .get_settings(request)
                .instrument(telemetry::span::unrecorded());
            tokio::select! {
                () = shutdown.cancelled() => return,
                answer = tokio::time::timeout(TIME_OUT, asked) => match answer {
                    Ok(Ok(values)) => self.take(values.get_ref()),
                    Ok(Err(status)) => tracing::debug!(%status, "the settings could not be asked for"),
                    Err(_) => tracing::debug!("the settings were asked for in vain"),
                },
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(writeback: bool, corp: Option<(bool, bool)>) -> v1::SettingsValues {
        v1::SettingsValues {
            writeback,
            unlock_without_reset: true,
            forests: corp
                .map(|(writeback, unlock_without_reset)| v1::ForestSettings {
                    forest: "corp".to_owned(),
                    writeback,
                    unlock_without_reset,
                    ..v1::ForestSettings::default()
                })
                .into_iter()
                .collect(),
            ..v1::SettingsValues::default()
        }
    }

    #[test]
    fn what_is_off_for_everybody_or_here_is_refused_here() {
        let reason = |values: &v1::SettingsValues, forest: &str, kind| {
            let switch = Switch::new(forest.parse().unwrap());
            assert!(
                switch.refusal(kind).is_none(),
                "on until something is known"
            );
            switch.take(values);
            switch.refusal(kind).map(|refusal| refusal.reason)
        };
        let off = Some(Reason::WritebackDisabled);
        assert_eq!(reason(&values(false, None), "corp", Kind::Reset), off);
        let corp_off = values(true, Some((false, true)));
        assert_eq!(reason(&corp_off, "corp", Kind::Change), off);
        assert_eq!(reason(&corp_off, "emea", Kind::Change), None);
        let no_unlock = values(true, Some((true, false)));
        assert_eq!(reason(&no_unlock, "corp", Kind::Reset), None);
        assert_eq!(
            reason(&no_unlock, "corp", Kind::Unlock),
            Some(Reason::UnlockDisabled)
        );
        assert_eq!(
            reason(&values(false, Some((true, true))), "corp", Kind::Reset),
            off
        );
    }
}
