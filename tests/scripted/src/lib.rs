//! A domain controller that plays a script, for what a real one cannot be made to show: Windows' own
//! refusals, policy hints, lost answers, malformed ones, a clock that is wrong.
//!
//! It speaks LDAP over TLS on 127.0.0.1, holds a few people with their passwords, and writes down what
//! it was sent, so that a test can tell what left the client. It is test code and no directory: it
//! knows the operations that Writeback sends, and nothing of Writeback. Its LDAP is read and written by
//! another library than the client's, so that one library's error is not taken for the protocol.

mod authority;
mod controller;
mod conversation;
mod people;
mod policy;
mod record;
mod script;
pub mod windows;
mod wire;

pub use authority::{Authority, Certificate};
pub use controller::DomainController;
pub use people::{BASE, Person};
pub use policy::Policy;
pub use rasn_ldap::ResultCode;
pub use record::{Received, SentControl};
pub use script::{Act, Answer, On, SERVICE_ACCOUNT, SERVICE_PASSWORD, Script};
