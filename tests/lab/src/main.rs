//! `writeback-lab up|down`: starts and stops the lab. `add-…|remove-…`: changes it while it runs.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "writeback-lab",
    about = "A real RabbitMQ, PostgreSQL, two forests and all services, on this machine"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything and return when every service is ready
    Up {
        /// Start the broker, the database and the forests only
        #[arg(long)]
        infrastructure_only: bool,
    },
    /// Stop everything
    Down,
    /// Add a third forest to the running lab and return when its writers are ready
    AddForest,
    /// Take the third forest out again
    RemoveForest,
    /// Add a second domain controller to the first forest of the running lab
    AddController,
    /// Take the second domain controller out again
    RemoveController,
    /// Add a child domain and a tree to the first forest and return when its writers know them
    AddDomains,
    /// Take them out again
    RemoveDomains,
    /// Keep everything running (started by `up`, in the background)
    #[command(hide = true)]
    Supervise {
        #[arg(long)]
        infrastructure_only: bool,
    },
}

// One thread: the processes are started to die with the thread that started them (PR_SET_PDEATHSIG, prctl(2)).
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    // reqwest is built without a provider of its own; a second installation is no fault
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let place = lab::Place::of_this_repository()?;
    match Arguments::parse().command {
        Command::Up {
            infrastructure_only,
        } => lab::up(&place, infrastructure_only).await,
        Command::Down => lab::down(&place).await,
        Command::AddForest => lab::add_forest(&place).await,
        Command::RemoveForest => lab::remove_forest(&place).await,
        Command::AddController => lab::add_controller(&place).await,
        Command::RemoveController => lab::remove_controller(&place).await,
        Command::AddDomains => lab::add_domains(&place).await,
        Command::RemoveDomains => lab::remove_domains(&place).await,
        Command::Supervise {
            infrastructure_only,
        } => lab::supervise(&place, infrastructure_only).await,
    }
}
