//! Active Directory over LDAPS: connect, find, read, set a password, and explain what the domain
//! controller answered.
//!
//! The crate knows the directory's protocol and nothing of Writeback's flow: no queue, no ledger, no
//! seal, no decision whether an operation should be carried out. Every error of a write answers "was
//! it applied?" in its type. It speaks `ldaps://` alone, to domain controllers whose certificates the
//! forest's own authority has signed, and treats whatever they send as hostile: `ldap3` panics on
//! malformed data, so each call runs in a task of its own and a panic is a dead connection.

mod account;
mod breaker;
mod changes;
pub mod clock;
mod connection;
mod controllers;
mod credentials;
mod directory;
mod discovery;
mod distinguished_name;
mod dns;
mod endpoint;
mod error;
mod exchange;
mod explain;
mod filter;
mod keeper;
mod observe;
mod policy;
mod policy_hints;
mod pool;
mod protected_groups;
mod reading;
mod referral;
mod root_dse;
pub mod scope;
mod srv;
mod write;
mod writing;

pub use account::{Account, Found, Identifier, PwdLastSet};
pub use breaker::BreakerState;
pub use changes::{Bearing, InvocationId, Position, Visit};
pub use controllers::{ControllerChoice, ControllerReport, Topology};
pub use directory::{Directory, DirectoryConfig, Opens};
pub use distinguished_name::domain_of;
pub use endpoint::Endpoint;
pub use error::{ConfigurationError, DirectoryError, WriteError};
pub use explain::Explained;
pub use policy_hints::PolicyHints;
pub use protected_groups::Membership;
pub use root_dse::RootDse;
pub use write::{DeadlineInstant, PasswordWrite, WriteReceipt};
