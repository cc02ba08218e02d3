//! Nothing leaks: no password that any test used is anywhere but with the person and in the directory.
//!
//! Run after every other test on the same lab, it does the main operations once more with services that log everything
//! they can, and then searches all that the lab has written, sent or shown, in every encoding a password could hide in.

mod control;
mod encodings;
mod operations;
mod places;
mod proof;
mod search;
mod talkative;
mod traces;
