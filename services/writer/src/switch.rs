//! Whether operators have turned this forest off since.
//!
//! An operation that was admitted after the switch never comes here: the ledger said at its
//! admission where it must not be carried out, and the resolver obeyed. This is for what waits in
//! the queue from before: nobody who pulls a switch wants a thousand more to be written.

use std::{sync::Mutex, sync::PoisonError, time::Duration};

use chassis::rpc::LedgerChannel;
use operation::{ForestId, Kind, Reason, Refusal};
use proto::{
    to_micros,
    v1::{self, settings_client::SettingsClient},
};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

const LOOK_EVERY: Duration = Duration::from_secs(1);
const TIME_OUT: Duration = Duration::from_secs(3);

/// What is off, for everybody or here: nothing that was admitted before these moments of the ledger's
/// clock is to be begun. Of what was admitted later the ledger itself has judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Off {
    writeback: Option<i64>,
    unlock_without_reset: Option<i64>,
}

impl Off {
    fn of(values: &v1::SettingsValues, forest: &ForestId) -> Self {
        let own = { values.forests.iter() }.find(|own| own.forest == forest.as_str());
        let since = |everybody: bool, here: fn(&v1::ForestSettings) -> bool| {
            let everybody = (!everybody).then_some(values.changed_at);
            let here = own.filter(|own| !here(own)).map(|own| own.changed_at);
            everybody.max(here)
        };
        Self {
            writeback: since(values.writeback, |own| own.writeback),
            unlock_without_reset: since(values.unlock_without_reset, |own| {
                own.unlock_without_reset
            }),
        }
    }

    fn refusal(self, kind: Kind, admitted_at: i64, forest: &ForestId) -> Option<Refusal> {
        let refuse = |reason, what: &str| {
            let detail =
                format!("{what} was turned off for forest {forest} before this was carried out");
            Some(Refusal::new(reason, detail))
        };
        let before = |off: Option<i64>| off.is_some_and(|off| admitted_at < off);
        if before(self.writeback) {
            return refuse(Reason::WritebackDisabled, "password writeback");
        }
        if kind == Kind::Unlock && before(self.unlock_without_reset) {
            return refuse(Reason::UnlockDisabled, "unlocking without a reset");
        }
        None
    }
}

/// What the ledger said last. Until it has said anything, and while it is away, what it said before holds.
pub(crate) struct Switch {
    forest: ForestId,
    off: Mutex<Off>,
}

impl Switch {
    pub(crate) fn new(forest: ForestId) -> Self {
        Self {
            forest,
            off: Mutex::default(),
        }
    }

    /// Why this is not to be begun any more, if so.
    pub(crate) fn refusal(&self, kind: Kind, admitted_at: OffsetDateTime) -> Option<Refusal> {
        let off = *self.off.lock().unwrap_or_else(PoisonError::into_inner);
        off.refusal(kind, to_micros(admitted_at), &self.forest)
    }

    fn take(&self, values: &v1::SettingsValues) {
        let now = Off::of(values, &self.forest);
        let mut off = self.off.lock().unwrap_or_else(PoisonError::into_inner);
        if *off != now {
            tracing::info!(
                forest = %self.forest,
                writeback = now.writeback.is_none(),
                unlock_without_reset = now.unlock_without_reset.is_none(),
                "the settings changed"
            );
        }
        *off = now;
    }

    /// Asks every second until shutdown.
    pub(crate) async fn follow(&self, channel: LedgerChannel, shutdown: CancellationToken) {
        loop {
            let asked = channel
                .failover(TIME_OUT, |channel| async {
                    let request = v1::GetSettingsRequest {};
                    SettingsClient::new(channel).get_settings(request).await
                })
                .instrument(telemetry::span::unrecorded());
            tokio::select! {
                () = shutdown.cancelled() => return,
                answer = asked => match answer {
                    Ok(values) => self.take(values.get_ref()),
                    Err(status) => tracing::debug!(%status, "the settings could not be asked for"),
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

    const SWITCHED: i64 = 1_000;

    fn values(writeback: bool, corp: Option<(bool, bool)>) -> v1::SettingsValues {
        v1::SettingsValues {
            writeback,
            unlock_without_reset: true,
            changed_at: SWITCHED,
            forests: corp
                .map(|(writeback, unlock_without_reset)| v1::ForestSettings {
                    forest: "corp".to_owned(),
                    writeback,
                    unlock_without_reset,
                    changed_at: SWITCHED,
                    ..v1::ForestSettings::default()
                })
                .into_iter()
                .collect(),
            ..v1::SettingsValues::default()
        }
    }

    fn at(micros: i64) -> OffsetDateTime {
        proto::from_micros(micros).unwrap()
    }

    #[test]
    fn what_is_off_for_everybody_or_here_is_refused_here() {
        let reason = |values: &v1::SettingsValues, forest: &str, kind| {
            let switch = Switch::new(forest.parse().unwrap());
            let early = at(SWITCHED - 1);
            assert!(
                switch.refusal(kind, early).is_none(),
                "on until something is known"
            );
            switch.take(values);
            // what was admitted since was judged by the ledger, whatever was last heard here
            assert!(switch.refusal(kind, at(SWITCHED + 1)).is_none());
            switch.refusal(kind, early).map(|refusal| refusal.reason)
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
        let all_off = values(false, Some((true, true)));
        assert_eq!(reason(&all_off, "corp", Kind::Reset), off);
    }
}
