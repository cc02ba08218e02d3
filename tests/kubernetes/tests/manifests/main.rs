//! The manifests are what the API's schema says, and keep what is promised of them.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that JSON lacks reads as null, and a test may panic"
)]

mod made;
mod network;
mod schema;
mod security;
mod whole;
