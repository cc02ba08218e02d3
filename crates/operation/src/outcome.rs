//! How an operation ended.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::Reason;

/// Where an operation stands. Everything but `Pending` is terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Pending,
    Applied,
    Refused,
    Failed,
    Expired,
}

impl Status {
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Applied,
        Self::Refused,
        Self::Failed,
        Self::Expired,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending)
    }
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The one end of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Applied(Applied),
    /// Refused, failed or expired, by its reason: nothing was changed.
    NotApplied(Refusal),
}

impl Outcome {
    pub const fn status(&self) -> Status {
        match self {
            Self::Applied(_) => Status::Applied,
            Self::NotApplied(refusal) => refusal.reason.status(),
        }
    }
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Applied(_) => None,
            Self::NotApplied(refusal) => Some(refusal.reason),
        }
    }
}

/// What is worth telling of a success.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Remarks for the operator, such as "password history was not checked: …". May be empty.
    pub notes: Vec<String>,
}

/// Why nothing was changed. `detail` is for the caller and never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    pub detail: String,
    /// Which rules of the password policy were broken, when we can tell.
    pub violations: Vec<Violation>,
}

impl Refusal {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            violations: Vec::new(),
        }
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::NotApplied(refusal)
    }
}

/// One broken rule, with text the person can be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// `length`, `complexity`, `history`, `minimum-age` or `filter`.
    pub rule: String,
    pub message: String,
}

/// Something a service did for an operation, as the ledger and the caller see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub at: OffsetDateTime,
    /// Which process: `intake-1`, `writer-corp-2`.
    pub service: String,
    /// What it did, one word or two: `accepted`, `routed`, `sealed password opened`, `written`.
    pub step: String,
    pub detail: String,
}
