//! The product while it is disturbed: parts of it and of what it stands on are killed and stopped under load, settings are
//! turned off, the ledger is tampered with. What is promised holds all the same.
//!
//! These tests would be in the way of any other: they have a binary of their own, and take turns.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that JSON lacks reads as null, and a test may panic"
)]

mod anchors;
mod broker;
mod database;
mod errand;
mod forests;
mod ledger;
mod parts;
mod people;
mod readiness;
mod services;
mod settings;
mod status;
mod walls;
mod writers;

/// Held by every test that disturbs what others rely on.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
