//! One service as it was last heard.

use std::time::Duration;

use proto::v1::{self, ServiceKind};

/// So many heartbeats may be lost on their way before somebody is missed.
const LOST: u32 = 3;

/// For what a heartbeat is late by itself.
const SLACK: Duration = Duration::from_secs(1);

/// Nobody may say of himself that he is not to be missed for longer.
const LONGEST_INTERVAL: Duration = Duration::from_secs(15);

pub(crate) struct Pulse<'a> {
    pub(crate) heartbeat: &'a v1::Heartbeat,
    pub(crate) kind: ServiceKind,
    pub(crate) age: Duration,
    pub(crate) alive: bool,
}

impl<'a> Pulse<'a> {
    pub(crate) fn of(heard: &'a v1::HeardHeartbeat) -> Option<Self> {
        let heartbeat = heard.heartbeat.as_ref()?;
        let age = Duration::from_millis(heard.age_ms);
        Some(Self {
            kind: heartbeat.kind(),
            alive: is_alive(heartbeat, age),
            heartbeat,
            age,
        })
    }

    /// How long it had been running when it was heard, by its own clock.
    pub(crate) fn uptime(&self) -> Duration {
        let micros = self
            .heartbeat
            .sent_at
            .saturating_sub(self.heartbeat.started_at);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    pub(crate) fn forest(&self, id: &str) -> Option<&'a v1::ForestHealth> {
        self.heartbeat
            .forests
            .iter()
            .find(|forest| forest.forest == id)
    }
}

/// Whether one that was last heard so long ago is still taken to live.
pub fn is_alive(heartbeat: &v1::Heartbeat, age: Duration) -> bool {
    let interval = Duration::from_millis(heartbeat.interval_ms.into()).min(LONGEST_INTERVAL);
    age <= interval * LOST + SLACK
}

/// As a person says it.
pub(crate) fn ago(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
