//! Active Directory over TLS: connect, find, read, set a password, and explain what the domain
//! controller answered.
//!
//! The crate knows the directory's protocol and nothing of Writeback's flow: no queue, no ledger, no
//! seal. What it decides of an account it decides from facts alone, in [`rules`]. Every error of a
//! write answers "was it applied?" in its type. It speaks over TLS alone (LDAPS or StartTLS), to domain
//! controllers whose certificates the forest's own authority has signed, and treats whatever they send as hostile: `ldap3` panics on
//! malformed data, so each call runs in a task of its own and a panic is a dead connection.

mod account;
mod breaker;
mod changes;
pub mod clock;
mod connection;
mod controllers;
mod credentials;
mod dial;
mod directory;
mod discovery;
mod distinguished_name;
mod dns;
mod endpoint;
mod error;
mod exchange;
mod explain;
mod facts;
mod filter;
mod keeper;
mod late;
mod observe;
mod passwords;
pub mod permissions;
mod policy;
mod policy_hints;
mod pool;
pub mod portrait;
mod protected_groups;
mod reading;
mod referral;
mod renewal;
mod reported;
mod root_dse;
pub mod rules;
pub mod scope;
mod shape;
mod srv;
mod start_tls;
mod trust;
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
pub use expiry::days_left;
pub use explain::Explained;
pub use late::LateAnswer;
pub use passwords::PasswordInUse;
pub use policy_hints::PolicyHints;
pub use protected_groups::Membership;
pub use reported::CertificateExpiry;
pub use root_dse::RootDse;
pub use shape::Unit;
pub use write::{DeadlineInstant, PasswordWrite, WriteReceipt};
