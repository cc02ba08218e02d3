//! What can go wrong, and whether anything was changed when it did.

use operation::Reason;

use crate::{Endpoint, Explained, LateAnswer};

/// Why a directory cannot even be described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    #[error("the domain controller's address {endpoint:?} is refused: {because}")]
    Endpoint {
        endpoint: String,
        because: &'static str,
    },
    #[error("give at least one domain controller, or let them be found by DNS")]
    NoEndpoint,
    #[error("DNS cannot be asked: {0}")]
    Dns(String),
    #[error("the forest's certificate authority cannot be read: {0}")]
    Authority(String),
    /// RFC 4513 5.1.2: a simple bind without a password is anonymous and succeeds.
    #[error("the service account's name or password is empty")]
    NoCredentials,
    #[error("at least one connection and a time-out above zero are needed")]
    NoCapacity,
}

/// Why the directory could not be read. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// No domain controller answered; the same may work later.
    #[error("{endpoint} is unavailable: {cause}")]
    Unavailable { endpoint: String, cause: String },
    /// An administrator must mend it: credentials, certificate, scope, rights.
    #[error("{endpoint} is misconfigured: {cause}")]
    Misconfigured { endpoint: String, cause: String },
    /// The domain controller answered with what it should not.
    #[error("{endpoint} gave an unexpected answer: {cause}")]
    Unexpected { endpoint: String, cause: String },
}

impl DirectoryError {
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Unavailable { .. } => Reason::ForestUnavailable,
            Self::Misconfigured { .. } => Reason::DirectoryMisconfigured,
            Self::Unexpected { .. } => Reason::DirectoryError,
        }
    }

    /// The explanation for a write that this error kept from being sent.
    pub(crate) fn explained(&self) -> Explained {
        Explained {
            reason: self.reason(),
            detail: self.to_string(),
            violations: Vec::new(),
            transient: matches!(self, Self::Unavailable { .. }),
        }
    }
}

/// A write that did not succeed: was it applied?
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Certainly not: it was never sent, or the domain controller refused it as a whole
    /// (RFC 4511 4.6: a modify is atomic).
    #[error("not applied: {0}")]
    CertainlyNot(Explained),
    /// The request left and no answer came: reconcile by reading, never by sending again.
    #[error("unknown whether applied: {problem}")]
    Unknown {
        /// Names the domain controller first.
        problem: String,
        /// The endpoint it was sent to, `ldaps://host:port`.
        domain_controller: String,
        /// The policy-hints control that it was sent with.
        policy_hints: Option<&'static str>,
        /// The answer that may come yet. As long as it is waited for, nothing but it tells that the write is not carried
        /// out: a domain controller may answer others meanwhile. None where the connection is lost.
        late: Option<Box<LateAnswer>>,
    },
}

/// Why a connection could not be had.
#[derive(Debug, Clone)]
pub(crate) enum ConnectError {
    /// Refused, unreachable, timed out, or all connections in use: another one may do.
    Unreachable(String),
    /// Its certificate is not one of the forest's, or it will not speak TLS.
    Untrusted(String),
    /// It refused the service account's password: each further try counts towards the lockout.
    WrongPassword,
    /// It refused the service account for another cause; others would too.
    BindRefused(String),
}

impl ConnectError {
    pub(crate) fn at(self, endpoint: &Endpoint) -> DirectoryError {
        let endpoint = endpoint.to_string();
        match self {
            Self::Unreachable(cause) => DirectoryError::Unavailable { endpoint, cause },
            Self::WrongPassword => DirectoryError::Misconfigured {
                endpoint,
                cause: "it refuses the account: wrong password (LDAP result 49)".to_owned(),
            },
            Self::Untrusted(cause) | Self::BindRefused(cause) => {
                DirectoryError::Misconfigured { endpoint, cause }
            }
        }
    }
}
