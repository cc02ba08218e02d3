//! The ledger's chain: what an entry's hash covers, how entries follow one another, and what the
//! signature of the chain's end covers.
//!
//! Whoever writes the ledger and whoever checks an export of it far from any database use the same
//! lines. It knows no database, no wire and no clock, and not what the entries say.

mod entry;
mod head;

pub use entry::{Entry, GENESIS, Hash, Tip, canonical_json};
pub use head::{signature_is_valid, signed_bytes};
