//! `writebackctl`, the operator's command line: seals and sends events, reads the ledger, turns the
//! settings, makes keys and explains reasons, checks and mends the rights of the service accounts. It
//! knows the public doors (HTTP and gRPC), and for rights and for explaining a person the directories of
//! the configured forests; never the queue or the database.
//!
//! Exit codes: 0 done, 1 the answer is no (refused, failed, expired, findings), 2 not known yet
//! (pending), 3 wrong use or no connection. Of `status`: 0 healthy, 1 degraded, 2 down.

mod audit;
mod explain;
mod failure;
mod forests;
mod help_files;
mod keys;
mod ledger;
mod moment;
mod operations;
mod output;
mod password;
mod permissions;
mod reason;
mod seal;
mod send;
mod settings;
mod setup;
mod status;
mod stay;
mod table;
mod terminal;
mod token;
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
    audit: audit::Address,
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
    /// Set everything up: asks page by page, checks each answer at once, and configures
    Setup(setup::Setup),
    /// The configuration that is in force
    #[command(subcommand)]
    Config(setup::View),
    /// Turn writeback, or unlock without reset, on and off
    #[command(subcommand)]
    Settings(settings::Settings),
    /// Turn writeback on again: `settings set writeback on`
    #[command(after_help = "\
Exit codes: 0 recorded in the ledger, or so already; 3 wrong use, not allowed or no connection.

Example:
  writebackctl enable --forest corp --note 'incident 42 is over'")]
    Enable(settings::Scope),
    /// The kill switch: turn writeback off, for everybody or in one forest; `settings set writeback off`
    #[command(after_help = "\
The next operation is refused, at every door. What waits in a forest's queue is refused within seconds.

Exit codes: 0 recorded in the ledger, or so already; 3 wrong use, not allowed or no connection: it is not known to be off.

Examples:
  writebackctl disable --note 'incident 42'
  writebackctl disable --forest corp")]
    Disable(settings::Scope),
    /// Sealing keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Proofs of the ledger
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// The rights of the service accounts in the directories
    #[command(subcommand)]
    Permissions(permissions::Permissions),
    /// Explain one person: where they are, their states, and what an operation would come to; changes nothing
    Explain(explain::Explain),
    /// Explain a reason: what happened, how to confirm, how to mend
    Reason(reason::Explain),
    /// Do nothing until told to end: for a container in which commands are run
    #[command(after_help = "\
Exit codes: 0 told to end (SIGTERM or SIGINT).

Example:
  writebackctl stay")]
    Stay,
    /// A completion script for a shell
    Completions(help_files::Completions),
    /// Manual pages
    Man(help_files::Man),
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
                output::tell(format_args!("{}", password::NEVER_AN_ARGUMENT));
            } else {
                // nothing is left to tell it to when the terminal is gone
                drop(error.print());
            }
            return ending.into();
        }
    };
    match run(arguments) {
        Ok(ending) => ending.into(),
        Err(error) => {
            output::tell(format_args!("writebackctl: {}", failure::say(&error)));
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
    let Global { audit, json } = arguments.global;
    runtime.block_on(async {
        match arguments.command {
            Command::Seal(seal) => seal.run().await,
            Command::Send(send) => send.run(audit.token_file(), json).await,
            Command::Operations(operations) => operations.run(&audit, json).await,
            Command::Status(status) => status.run(&audit, json).await,
            Command::Setup(setup) => setup.run(&audit, json).await,
            Command::Config(view) => view.run(&audit, json),
            Command::Settings(settings) => settings.run(&audit, json).await,
            Command::Enable(scope) => {
                settings::turn(settings::Value::On, scope, &audit, json).await
            }
            Command::Disable(scope) => {
                settings::turn(settings::Value::Off, scope, &audit, json).await
            }
            Command::Keys(keys) => keys.run(&audit, json).await,
            Command::Ledger(command) => command.run(&audit, json).await,
            Command::Permissions(permissions) => permissions.run(&audit, json).await,
            Command::Explain(explain) => explain.run(&audit, json).await,
            Command::Reason(explain) => explain.run(json),
            Command::Stay => stay::until_told().await,
            Command::Completions(completions) => completions.run::<Arguments>(),
            Command::Man(man) => man.run::<Arguments>(),
        }
    })
}

#[cfg(test)]
mod documents;

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
