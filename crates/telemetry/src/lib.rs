//! How the product tells of itself: the names of spans and their attributes, the trace context on
//! the wire, the meter, and how often a trouble that lasts is told. OpenTelemetry's semantic conventions are pinned here and nowhere else.
//!
//! It must not know where telemetry goes (that is the chassis' matter), nor any service. What it is
//! given to write down never names a person: no distinguished name, no user, no password, and no
//! text of a caller's making.

pub mod context;
pub mod metric;
pub mod span;
pub mod trouble;
