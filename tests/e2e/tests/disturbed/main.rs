//! The product while it is disturbed: parts of what it stands on are away, settings are turned off, the ledger is tampered with.
//!
//! These tests would be in the way of any other: they have a binary of their own, and run one at a time.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that JSON lacks reads as null, and a test may panic"
)]

mod ledger;
mod readiness;
mod settings;

/// Held by every test that disturbs what others rely on.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
