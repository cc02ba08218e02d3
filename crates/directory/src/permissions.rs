//! Who may do what to whom: security descriptors read, evaluated and, by an administrator's hand,
//! changed.
//!
//! The service account needs a handful of rights on people and one on the domain. Nothing in the
//! directory says plainly whether it has them: they are spread over the lists of entries of the domain,
//! of organizational units and of people, come down by inheritance and are stopped by whoever blocks
//! it. Here these lists are read and evaluated as the domain controllers do it.

pub mod access;
pub mod ace;
mod descriptor;
mod gift;
mod inspection;
mod plan;
mod report;
pub mod right;
mod service;
pub(crate) mod survey;

pub use access::{Object, Token, Verdict};
pub use descriptor::{Acl, SecurityDescriptor};
pub use gift::Gift;
pub(crate) use inspection::Guarded;
pub use inspection::{Inspection, NamedAccount};
pub use plan::{Place, missing};
pub use report::{
    Breach, Breadth, Gap, Held, MOST_TOLD, Readable, Report, RootReport, RootRight, Told, TooWide,
};
pub use right::{Right, Schema};
pub use service::Service;
pub use survey::{Question, survey};

/// Why bytes are no security descriptor, or a descriptor cannot be written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the security descriptor is cut short")]
    Cut,
    #[error("the security descriptor is of a revision that is not known")]
    Revision,
    #[error("the security descriptor names a security identifier that is none")]
    Identifier,
    #[error("the list is too long to be written: 64 KiB at most")]
    TooLong,
}
