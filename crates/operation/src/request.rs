//! One requested act, as it is admitted.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::{OperationId, UserReference};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A new password; the old one is not asked for.
    Reset,
    /// A new password, proved with the current one.
    Change,
    /// Clear a lockout; the password stays.
    Unlock,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Reset, Self::Change, Self::Unlock];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Change => "change",
            Self::Unlock => "unlock",
        }
    }

    /// The CloudEvents `type` that asks for it.
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Reset => "dev.writeback.password.reset",
            Self::Change => "dev.writeback.password.change",
            Self::Unlock => "dev.writeback.account.unlock",
        }
    }

    /// The token scope that allows asking for it.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Reset => "password.reset",
            Self::Change => "password.change",
            Self::Unlock => "account.unlock",
        }
    }

    pub const fn sets_password(self) -> bool {
        matches!(self, Self::Reset | Self::Change)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or("a kind is one of reset, change, unlock")
    }
}

/// Who asked: decides policy hints, must-change and the protected-account rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitiatorKind {
    User,
    Administrator,
}

impl InitiatorKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Administrator => "administrator",
        }
    }
}

/// Who asked, with the opaque id the cloud knows them by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initiator {
    pub kind: InitiatorKind,
    pub id: Option<String>,
}

/// The CloudEvents `source` and `id`: equal pairs are the same operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventIdentity {
    pub source: String,
    pub id: String,
}

/// One admitted operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub id: OperationId,
    pub kind: Kind,
    pub user: UserReference,
    pub initiator: Initiator,
    pub event: EventIdentity,
    /// Only ever true for an administrator's reset.
    pub must_change_at_next_sign_in: bool,
    /// Clear a lockout together with a reset.
    pub unlock: bool,
    /// When the ledger took it, by the ledger's clock.
    pub admitted_at: OffsetDateTime,
    /// No write may be under way after this moment.
    pub deadline: OffsetDateTime,
}

impl Operation {
    /// What is left until the deadline; zero once it has passed.
    pub fn remaining(&self, now: OffsetDateTime) -> Duration {
        (self.deadline - now).max(Duration::ZERO)
    }

    /// Whether a write that may take `write_time_out` can still end before the deadline.
    pub fn allows_write(&self, now: OffsetDateTime, write_time_out: Duration) -> bool {
        now + write_time_out <= self.deadline
    }
}
