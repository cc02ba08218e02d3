//! `writebackctl status`: how every service, forest, domain and domain controller is, and what to do.

mod json;
mod live;
mod screen;
mod view;

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use anyhow::bail;
use health::{Level, Report};
use operation::ForestId;
use proto::v1::{self, health_client::HealthClient};
use time::OffsetDateTime;
use tonic::Code;

use crate::{
    audit::{Address, Replica, bounded},
    failure::{self, Ending},
    output,
};

/// It is answered from memory.
const ANSWER_TIME_OUT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
On a terminal it is drawn again every few seconds, until q or Ctrl-C; elsewhere, and with --once or --json, it is printed once.

Exit codes: 0 healthy; 1 degraded: it works, and somebody should act; 2 down: people do not get their passwords, or audit cannot be asked; 3 wrong use.
While one forest works the whole is not down; --forest tells of one.

Examples:
  writebackctl --config /etc/writeback/config.toml status
  writebackctl status --once --forest corp
  writebackctl --json status | jq '.forests[] | select(.level != \"healthy\")'")]
pub(crate) struct Status {
    /// Print it once and end
    #[arg(long)]
    once: bool,
    /// Only this forest, and what every forest needs
    #[arg(long, value_name = "FOREST")]
    forest: Option<ForestId>,
    /// How often it is drawn again
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    every: u64,
}

/// What came of asking once.
enum Look {
    Seen {
        status: Box<v1::StatusResponse>,
        report: Box<Report>,
        /// The forest that was asked for.
        of: Option<ForestId>,
    },
    /// Nobody answered, and why.
    Away { at: OffsetDateTime, why: String },
}

impl Look {
    fn level(&self) -> Level {
        match self {
            Self::Seen { report, .. } => report.level,
            Self::Away { .. } => Level::Down,
        }
    }

    fn ending(&self) -> Ending {
        match self.level() {
            Level::Healthy => Ending::Done,
            Level::Degraded => Ending::Degraded,
            Level::Down => Ending::Down,
        }
    }
}

impl Status {
    pub(crate) async fn run(self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        let replicas = address.replicas()?;
        if !json && !self.once && io::stdout().is_terminal() {
            return live::watch(&self, &replicas).await;
        }
        let look = self.look(&replicas).await?;
        let mut out = output::out();
        if json {
            writeln!(out, "{:#}", json::of(&look))?;
        } else {
            for line in view::lines(&look, view::Paint::of(&io::stdout())) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(look.ending())
    }

    /// # Errors
    /// What the operator must mend first: a refused token, an unknown forest.
    async fn look(&self, replicas: &[Replica]) -> anyhow::Result<Look> {
        let mut deaf = None;
        let mut failures = Vec::new();
        for replica in replicas {
            match ask(replica).await {
                Ok(status) if status.listening_ms.is_some() => return self.seen(status),
                // another may hear more
                Ok(status) => deaf = deaf.or(Some(status)),
                Err(Unasked::Away(why)) => failures.push(format!("{}: {why}", replica.url)),
                Err(Unasked::Refused(error)) => return Err(error),
            }
        }
        match deaf {
            Some(status) => self.seen(status),
            None => Ok(Look::Away {
                at: OffsetDateTime::now_utc(),
                why: failures.join("; "),
            }),
        }
    }

    fn seen(&self, status: v1::StatusResponse) -> anyhow::Result<Look> {
        let report = health::judge(&status);
        let report = match &self.forest {
            None => report,
            Some(forest) => {
                let known: Vec<String> = report.forests.iter().map(|f| f.id.clone()).collect();
                match report.of_forest(forest.as_str()) {
                    Some(report) => report,
                    None => bail!(
                        "nobody serves a forest {forest}; those there are: {}",
                        known.join(", ")
                    ),
                }
            }
        };
        Ok(Look::Seen {
            status: Box::new(status),
            report: Box::new(report),
            of: self.forest.clone(),
        })
    }
}

enum Unasked {
    Away(String),
    Refused(anyhow::Error),
}

async fn ask(replica: &Replica) -> Result<v1::StatusResponse, Unasked> {
    let asking = async {
        let channel = replica
            .connect()
            .await
            .map_err(|error| Unasked::Away(error.to_string()))?;
        HealthClient::new(channel)
            .status(bounded(v1::StatusRequest {}, ANSWER_TIME_OUT))
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| match status.code() {
                Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
                    Unasked::Away(status.message().to_owned())
                }
                _ => Unasked::Refused(failure::explain(&status)),
            })
    };
    tokio::time::timeout(ANSWER_TIME_OUT, asking)
        .await
        .unwrap_or_else(|_| Err(Unasked::Away("no answer in time".to_owned())))
}

#[cfg(test)]
mod tests;
