//! The domain of Writeback: what an operation is, whom it concerns, how it may end and why.
//!
//! Everything here is a plain value: parsed once at an edge and valid ever after. The crate does no
//! input or output, knows no clock, no queue, no directory and no service; decisions take time and
//! facts as arguments. It imports nothing else of ours, so that every other crate may import it.

mod attributes;
mod identifier;
mod outcome;
mod reason;
mod request;
mod two_forests;
mod user;

pub use attributes::{breaks_lines, is_event_id, is_event_source, is_initiator_id};
pub use identifier::{
    DomainName, ForestId, IdentifierError, ObjectGuid, OperationId, SecurityIdentifier,
    SourceAnchor, UserPrincipalName,
};
pub use outcome::{Applied, Outcome, Refusal, Status, Step, Violation};
pub use reason::{Actor, Reason};
pub use request::{EventIdentity, Initiator, InitiatorKind, Kind, Operation};
pub use two_forests::{EnabledInTwoForests, ForestOrder, NoOrder};
pub use user::{UserReference, UserReferenceError};
