//! The way to the audit service, and `writebackctl ledger`.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use anyhow::{Context as _, bail};
use proto::v1;
use serde_json::json;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::{
    failure::{self, Ending},
    table, web,
};

const CONNECT_TIME_OUT: Duration = Duration::from_secs(5);
/// For a question about one or a few operations.
pub(crate) const ANSWER_TIME_OUT: Duration = Duration::from_secs(30);
/// For reading the whole ledger again.
const VERIFY_TIME_OUT: Duration = Duration::from_hours(1);
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Where the audit service is.
#[derive(Debug, clap::Args)]
pub(crate) struct Address {
    /// The audit service; may be repeated, the first that answers is asked
    #[arg(long, global = true, value_name = "URL")]
    audit: Vec<String>,
    /// Trust only this CA for the audit service, a PEM file
    #[arg(long, global = true, value_name = "FILE")]
    audit_ca: Option<PathBuf>,
    /// Take the audit service's address from this configuration file
    #[arg(long, global = true, value_name = "FILE", env = "WRITEBACK_CONFIG")]
    config: Option<PathBuf>,
}

impl Address {
    /// Connects to the first of the addresses that answers.
    pub(crate) async fn connect(&self) -> anyhow::Result<Channel> {
        let (urls, ca_file) = self.resolve()?;
        let ca = ca_file.as_deref().map(web::read_file).transpose()?;
        let mut failures = Vec::new();
        for url in &urls {
            match endpoint(url, ca.as_deref())?.connect().await {
                Ok(channel) => return Ok(channel),
                Err(error) => failures.push(format!("{url}: {:#}", anyhow::Error::new(error))),
            }
        }
        bail!(
            "the audit service cannot be reached: {}",
            failures.join("; ")
        )
    }

    /// Each of the addresses, for who asks another when one does not know.
    pub(crate) fn replicas(&self) -> anyhow::Result<Vec<(String, Endpoint)>> {
        let (urls, ca_file) = self.resolve()?;
        let ca = ca_file.as_deref().map(web::read_file).transpose()?;
        urls.into_iter()
            .map(|url| endpoint(&url, ca.as_deref()).map(|endpoint| (url, endpoint)))
            .collect()
    }

    fn resolve(&self) -> anyhow::Result<(Vec<String>, Option<PathBuf>)> {
        if !self.audit.is_empty() {
            return Ok((self.audit.clone(), self.audit_ca.clone()));
        }
        let path = self
            .config
            .as_deref()
            .context("say where the audit service is: --audit URL, or --config FILE")?;
        let ledger = chassis::config::Config::load(path)?.ledger;
        if ledger.urls.is_empty() {
            bail!("{}: [ledger] urls is empty", path.display());
        }
        Ok((ledger.urls, self.audit_ca.clone().or(ledger.ca_file)))
    }
}

fn endpoint(url: &str, ca: Option<&[u8]>) -> anyhow::Result<Endpoint> {
    let endpoint = Endpoint::from_shared(url.to_owned())
        .with_context(|| format!("{url:?} is no URL"))?
        .connect_timeout(CONNECT_TIME_OUT)
        // notices a peer that has gone while a stream is quiet
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    if !url.starts_with("https://") {
        return Ok(endpoint);
    }
    let tls = match ca {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    endpoint
        .tls_config(tls)
        .with_context(|| format!("{url}: TLS"))
}

/// A request that ends by itself, on both sides.
pub(crate) fn bounded<T>(message: T, time_out: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(time_out);
    request
}

/// The answer, or what its absence means; also when the connection is dead and nobody says so.
pub(crate) async fn answer<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    time_out: Duration,
) -> anyhow::Result<T> {
    tokio::time::timeout(time_out, call)
        .await
        .context("the audit service did not answer in time")?
        .map(tonic::Response::into_inner)
        .map_err(|status| failure::explain(&status))
}

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
