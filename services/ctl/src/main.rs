//! `writebackctl`, the operator's command line: seals and sends events, reads the ledger, turns the
//! settings, makes keys and explains reasons. It knows the public doors (HTTP and gRPC) only, never
//! the queue, the database or a directory.
//!
//! Exit codes: 0 done, 1 the answer is no (refused, failed, expired, findings), 2 not known yet
//! (pending), 3 wrong use or no connection. Of `status`: 0 healthy, 1 degraded, 2 down.

mod failure;
mod keys;
mod ledger;
mod moment;
mod operations;
mod password;
mod reason;
mod seal;
mod send;
mod settings;
mod status;
mod table;
mod terminal;
mod view;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Ending;

/// The operator's command line for Writeback.
#[derive(Debug, Parser)]
#[command(
    name = "writebackctl",
    version,
    after_help = "\
Exit codes: 0 done; 1 refused, failed, expired or findings; 2 pending; 3 wrong use or no connection.

Examples:
  writebackctl seal --kind reset --user-principal-name ana@corp.example.com \\
      --keys https://writeback.example.com | writebackctl send --intake https://writeback.example.com --token-file token
  writebackctl --audit https://audit.example.com:9500 operations list --status refused --since 2h
  writebackctl reason password-policy"
)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
struct Global {
    #[command(flatten)]
    ledger: ledger::Address,
    /// Print JSON for machines instead of tables
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a ready-to-post CloudEvent; the password is asked for, or read from standard input
    Seal(seal::Seal),
    /// Post an event and print the answer
    Send(send::Send),
    /// What the ledger knows of operations
    #[command(subcommand)]
    Operations(operations::Operations),
    /// How every service, forest, domain and domain controller is, and what to do; exit code 0 healthy, 1 degraded, 2 down
    Status(status::Status),
    /// Turn writeback, or unlock without reset, on and off
    #[command(subcommand)]
    Settings(settings::Settings),
    /// Sealing keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Proofs of the ledger
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Explain a reason: what happened, how to confirm, how to mend
    Reason(reason::Explain),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // clap's own code for wrong use is 2, which here means pending
            let ending = if error.use_stderr() {
                Ending::NotPossible
            } else {
                Ending::Done
            };
            if password::is_on_the_command_line(&error, std::env::args_os()) {
                eprintln!("{}", password::NEVER_AN_ARGUMENT);
            } else {
                // nothing is left to tell it to when the terminal is gone
                drop(error.print());
            }
            return ending.into();
        }
    };
    match run(arguments) {
        Ok(ending) => ending.into(),
        Err(error) if failure::is_broken_pipe(&error) => Ending::Done.into(),
        Err(error) => {
            eprintln!("writebackctl: {error:#}");
            Ending::NotPossible.into()
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<Ending> {
    // passwords and private keys pass through this process: none may end in a core dump
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0)?;
    // the only provider in the tree; a second installation is refused and changes nothing
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let Global { ledger, json } = arguments.global;
    runtime.block_on(async {
        match arguments.command {
            Command::Seal(seal) => seal.run().await,
            Command::Send(send) => send.run(json).await,
            Command::Operations(operations) => operations.run(&ledger, json).await,
            Command::Status(status) => status.run(&ledger, json).await,
            Command::Settings(settings) => settings.run(&ledger, json).await,
            Command::Keys(keys) => keys.run(json),
            Command::Ledger(command) => command.run(&ledger, json).await,
            Command::Reason(explain) => explain.run(json),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
