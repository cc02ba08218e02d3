//! `writebackctl ledger`: proofs of the ledger.

use std::{
    io::{self, Write as _},
    str::FromStr,
    time::Duration,
};

use proto::v1;
use serde_json::json;

use crate::{
    audit::{Address, answer, bounded},
    failure::Ending,
    table,
};

/// For reading the whole ledger again.
const VERIFY_TIME_OUT: Duration = Duration::from_hours(1);

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Ledger {
    /// Have the database read again and the chain, its head and its signature checked; exit code 1 on any finding
    #[command(after_help = "\
Exit codes: 0 intact; 1 not intact, with what is wrong and where; 3 wrong use or no connection.

Examples:
  writebackctl --config /etc/writeback/config.toml ledger verify
  writebackctl --config /etc/writeback/config.toml ledger verify --checkpoint 4711:9f86d0…")]
    Verify {
        /// What an earlier verification printed as the head: finds a ledger that was put back whole to an earlier state; may be repeated
        #[arg(long, value_name = "ENTRY:HASH")]
        checkpoint: Vec<Checkpoint>,
    },
}

/// The end of the chain at some time, as `verify` prints it.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint(v1::Checkpoint);

impl FromStr for Checkpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (sequence, hash) = text.split_once(':')?;
            let checkpoint = v1::Checkpoint {
                sequence: sequence.parse().ok()?,
                hash: hex::decode(hash).ok()?,
            };
            (checkpoint.hash.len() == 32).then_some(Self(checkpoint))
        };
        parse().ok_or("it is the number of an entry, a colon and its hash of 64 hexadecimal digits, as `ledger verify` prints the head")
    }
}

impl Ledger {
    pub(crate) async fn run(self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        let Self::Verify { checkpoint } = self;
        let checkpoints = checkpoint.into_iter().map(|given| given.0).collect();
        let mut client = v1::ledger_client::LedgerClient::new(address.connect().await?);
        let request = bounded(v1::VerifyRequest { checkpoints }, VERIFY_TIME_OUT);
        let found = answer(client.verify(request), VERIFY_TIME_OUT).await?;
        // a finding counts whatever the summary says
        let intact = found.intact && found.findings.is_empty();
        let mut out = io::stdout().lock();
        if json {
            let value = json!({
                "intact": intact,
                "entries": found.entries,
                "head": hex::encode(&found.head),
                "findings": found.findings,
            });
            writeln!(out, "{value:#}")?;
        } else if intact {
            let head = hex::encode(&found.head);
            writeln!(out, "intact: {0} entries, head {0}:{head}", found.entries)?;
        } else {
            writeln!(out, "NOT INTACT: {} entries read", found.entries)?;
            for finding in &found.findings {
                writeln!(out, "  {}", table::printable(finding))?;
            }
        }
        Ok(if intact { Ending::Done } else { Ending::No })
    }
}
