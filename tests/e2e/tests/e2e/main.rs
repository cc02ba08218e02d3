//! The product from outside, on the running lab: what is asked for at the door is true at the domain controller.

mod access;
mod account_states;
mod admission;
mod anchors;
mod applied;
mod bad_bodies;
mod bad_input;
mod bad_seals;
mod batches;
mod contract;
mod ctl;
mod deadlines;
mod doors;
mod duplicates;
mod foreign;
mod found;
mod identifiers;
mod lockouts;
mod malformed_seals;
mod measured;
mod odd_characters;
mod operators;
mod order;
mod people;
mod permissions;
mod preferences;
mod refused;
mod remembered;
mod stalled;
mod start_tls;
mod tls;
mod told_once;
mod traced;

/// Who takes rights away somewhere reads; who looks at a whole domain's rights writes, and finds nobody deprived.
static RIGHTS: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());
