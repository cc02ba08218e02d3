//! Parts of the product and of what it stands on are killed and stopped under load: what is promised holds all the same.
//!
//! These disturb everything, so they are a binary of their own and take turns.

mod broker;
mod database;
mod errand;
mod parts;
mod people;
mod readiness;
mod services;
mod walls;
mod writers;

/// One disturbance at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
