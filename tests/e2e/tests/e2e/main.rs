//! The product from outside, on the running lab: what is asked for at the door is true at the domain controller.

mod access;
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
mod identifiers;
mod lockouts;
mod malformed_seals;
mod measured;
mod odd_characters;
mod people;
mod preferences;
mod refused;
mod remembered;
mod stalled;
mod tls;
mod traced;
