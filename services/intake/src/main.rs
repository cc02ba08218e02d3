//! Doors for cloud events: takes a CloudEvent in, has it written down in the ledger, puts it on the
//! queue and answers the caller with what became of it.
//!
//! Keeps no state of its own: any replica answers for any operation. It must not know a directory,
//! a domain controller or a private key, and never sees a password.

mod door;
mod event;
mod keys;
mod ledger;
mod listener;
mod misspelt;
mod observe;
mod openapi;
mod passage;
mod preference;
mod problem;
mod service;
mod standing;
mod submission;
mod waiters;

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::run(chassis::program!("intake"), service::run)
}
