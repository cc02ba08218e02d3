//! The product while it is disturbed: parts of it and of what it stands on are killed and stopped under load, settings are
//! turned off, the ledger is tampered with. What is promised holds all the same.
//!
//! These tests would be in the way of any other: they have a binary of their own, and take turns.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that JSON lacks reads as null, and a test may panic"
)]

mod account;
mod anchors;
mod broker;
mod controllers;
mod database;
mod domains;
mod errand;
mod forests;
mod ledger;
mod people;
mod permissions;
mod preferred;
mod readiness;
mod rotation;
mod services;
mod settings;
mod status;
mod switch;
mod walls;
mod writers;

use e2e::parts;

/// Held by every test that disturbs what others rely on.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
