//! The product under load, measured against the directory's own ceiling.
//!
//! On a running lab of release binaries it sets passwords twice over: with one pooled LDAPS client, which is as fast as
//! the domain controllers allow, and through the whole product. Both take turns in short rounds of one run, so that
//! whatever else the machine does hits both alike. It must not know a service's inside: it has `lab.json`, the
//! configuration file, the public door, LDAPS, and `/proc`.

mod ceiling;
mod measure;
mod pipeline;
mod placement;
mod processor;
mod report;
mod round;
mod services;

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Parser;

#[derive(Parser)]
#[command(
    name = "writeback-load",
    about = "Measures the running lab against the ceiling its directories set"
)]
struct Arguments {
    /// How many operations are under way at a time, per forest
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16])]
    concurrency: Vec<usize>,
    /// How many rounds each of the two gets
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// How long a round lasts, in milliseconds
    #[arg(long, default_value_t = 1500)]
    round_ms: u64,
    /// Measure the forests at once only, not each by itself
    #[arg(long)]
    together_only: bool,
    /// Leave every service running: no start-up times
    #[arg(long)]
    no_restarts: bool,
}

// One thread: the caller shall leave the machine to what it measures.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let lab = lab::Lab::load()?;
    let place = lab::Place::of_this_repository()?;
    services::are_built_like_this(&lab)?;
    // also installs the process's TLS provider
    let world = e2e::World::enter().await?;
    let plan = measure::Plan {
        concurrency: arguments.concurrency.clone(),
        rounds: arguments.rounds,
        round: Duration::from_millis(arguments.round_ms),
        together_only: arguments.together_only,
    };
    let cases = measure::measure(&plan, &lab, &place, &world).await?;
    let memory = services::memory(&lab)?;
    let starts = if arguments.no_restarts {
        Vec::new()
    } else {
        services::start_each(&lab).await?
    };
    let report = report::Report::new(&cases, &memory, &starts)?;
    print!("{}", report.table());
    let path = place
        .directory()
        .parent()
        .context("the lab's folder is the root")?
        .join("bench/main.json");
    report.write(&path)?;
    println!("\n{}", path.display());
    Ok(())
}
