//! What the domain controller was sent, in the order in which it came.

use rasn_ldap::{ChangeOperation, Control};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    Connection,
    /// The client broke the TLS handshake off, or could not finish it.
    NoTls(String),
    /// It was asked for TLS in the clear.
    StartTls,
    /// It was sent something else in the clear.
    InTheClear(String),
    Bind {
        name: String,
        /// Anonymous, though a name be given (RFC 4513 5.1.2).
        without_password: bool,
    },
    RootDse,
    Search {
        base: String,
        size_limit: u32,
    },
    Modify {
        object: String,
        /// Such as `replace unicodePwd`; the values are not kept.
        changes: Vec<String>,
        controls: Vec<SentControl>,
    },
    /// An operation that Writeback has no business sending.
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentControl {
    pub oid: String,
    pub critical: bool,
    pub value: Option<Vec<u8>>,
}

impl From<&Control> for SentControl {
    fn from(control: &Control) -> Self {
        Self {
            oid: String::from_utf8_lossy(&control.control_type).into_owned(),
            critical: control.criticality,
            value: control.control_value.as_ref().map(|value| value.to_vec()),
        }
    }
}

pub(crate) fn verb(operation: ChangeOperation) -> &'static str {
    match operation {
        ChangeOperation::Add => "add",
        ChangeOperation::Delete => "delete",
        ChangeOperation::Replace => "replace",
    }
}
