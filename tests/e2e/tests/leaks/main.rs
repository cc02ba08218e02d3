//! Nothing leaks: no password that any test used is anywhere but with the person and in the directory.
//!
//! Run after every other test on the same lab, it does the main operations once more with services that log everything
//! they can, and then searches all that the lab has written, sent or shown, in every encoding a password could hide in.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that JSON lacks reads as null, and a test may panic"
)]

mod control;
mod encodings;
mod operations;
mod places;
mod proof;
mod search;
mod talkative;
mod traces;
