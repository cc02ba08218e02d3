//! What the services say to each other: the messages and gRPC services generated from
//! `writeback/v1/*.proto`, and their conversion to and from the domain of `operation`.
//!
//! Nothing that came over a wire is used before it has been parsed here. The crate knows no
//! transport beyond the generated clients and servers, and decides nothing.

mod convert;

pub use convert::{FromWireError, from_micros, to_micros};

/// The generated messages, clients and servers.
#[expect(clippy::all, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("writeback.v1");

    impl std::fmt::Debug for Request {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Request")
                .field("operation", &self.operation)
                .finish_non_exhaustive()
        }
    }
}
