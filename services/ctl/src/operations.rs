//! `writebackctl operations`: list, show, follow and export.

mod export;

use std::io::{self, Write as _};

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use operation::{ForestId, OperationId, Status};
use proto::v1::{self, admission_client::AdmissionClient, ledger_client::LedgerClient};
use serde_json::json;
use time::OffsetDateTime;

use crate::{
    audit::{ANSWER_TIME_OUT, Address, AuditChannel, answer, bounded},
    failure::{self, Ending},
    moment, output, table, view,
};

/// An end is told while the ledger still writes it down: whoever looks it up at once is not to be told that it is pending.
const REPORT_TRAVELS_MS: u32 = 1_000;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Operations {
    /// Newest first
    #[command(after_help = "\
Exit codes: 0 listed, also when there is none; 3 wrong use or no connection.

Examples:
  writebackctl operations list --person ana@corp.example.com
  writebackctl operations list --forest corp --status refused --since 2h
  writebackctl --json operations list --since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z --limit 1000")]
    List(List),
    /// One operation with all its steps; exit code 0 applied, 1 not applied, 2 pending
    #[command(after_help = "\
Exit codes: 0 applied; 1 refused, failed or expired; 2 pending; 3 unknown, wrong use or no connection.

Example:
  writebackctl operations show 0198c0de-0000-7000-8000-000000000001

AFTER is the time since the operation was accepted.")]
    Show {
        #[arg(value_name = "ID")]
        id: OperationId,
    },
    /// Entries as they are written, from now on, until interrupted
    #[command(after_help = "\
Exit codes: 0 interrupted, or whoever read it left; 3 the stream ended by itself, wrong use or no connection.

Examples:
  writebackctl operations tail
  writebackctl --json operations tail --forest corp       one JSON object per line")]
    Tail(Tail),
    /// Everything the filters let through, newest first, for other programs
    #[command(after_help = "\
Exit codes: 0 exported, also when there is none, or whoever read it left; 3 wrong use or no connection: what was printed may not be all.

Examples:
  writebackctl operations export --since 7d > operations.jsonl
  writebackctl operations export --status failed --forest corp --format csv > failed.csv
  `writebackctl ledger export` exports the entries themselves, which can be verified offline")]
    Export(export::Export),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Filters {
    /// Source anchor, security identifier or user principal name
    #[arg(long, value_name = "IDENTIFIER")]
    person: Option<String>,
    #[arg(long, value_name = "FOREST")]
    forest: Option<ForestId>,
    #[arg(long, visible_alias = "state", value_parser = PossibleValuesParser::new(Status::ALL.map(Status::as_str)))]
    status: Option<String>,
    /// Accepted at or after: RFC 3339, or an age such as 90s, 15m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Accepted before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    filters: Filters,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on where an earlier list ended
    #[arg(long, value_name = "TOKEN")]
    page_token: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Tail {
    #[arg(long, value_name = "ID")]
    operation: Option<OperationId>,
    #[arg(long, value_name = "FOREST")]
    forest: Option<ForestId>,
}

impl Operations {
    pub(crate) async fn run(self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        match self {
            Self::List(list) => {
                let request = list.request(OffsetDateTime::now_utc())?;
                list_operations(request, connect(address).await?, json).await
            }
            Self::Show { id } => {
                let client = AdmissionClient::new(address.connect().await?);
                show(id, client, json).await
            }
            Self::Tail(tail) => tail.run(connect(address).await?, json).await,
            Self::Export(export) => export.run(connect(address).await?).await,
        }
    }
}

async fn connect(address: &Address) -> anyhow::Result<LedgerClient<AuditChannel>> {
    Ok(LedgerClient::new(address.connect().await?))
}

impl List {
    fn request(self, now: OffsetDateTime) -> anyhow::Result<v1::ListOperationsRequest> {
        Ok(v1::ListOperationsRequest {
            limit: self.limit,
            page_token: self.page_token,
            ..self.filters.request(now)?
        })
    }
}

impl Filters {
    fn request(self, now: OffsetDateTime) -> anyhow::Result<v1::ListOperationsRequest> {
        let micros = |text: Option<String>| {
            text.map(|text| moment::parse(&text, now).map(proto::to_micros))
                .transpose()
        };
        Ok(v1::ListOperationsRequest {
            person: self.person,
            forest: self.forest.map(|forest| forest.to_string()),
            status: self
                .status
                .as_deref()
                .and_then(Status::parse)
                .map(|status| v1::Status::from(status).into()),
            since: micros(self.since).context("--since")?,
            until: micros(self.until).context("--until")?,
            limit: 0,
            page_token: None,
        })
    }
}

async fn list_operations(
    request: v1::ListOperationsRequest,
    mut client: LedgerClient<AuditChannel>,
    json: bool,
) -> anyhow::Result<Ending> {
    let call = client.list_operations(bounded(request, ANSWER_TIME_OUT));
    let answer = answer(call, ANSWER_TIME_OUT).await?;
    let mut out = output::out();
    if json {
        let operations: Vec<_> = answer.operations.iter().map(view::to_json).collect();
        let value = json!({ "operations": operations, "nextPageToken": answer.next_page_token });
        writeln!(out, "{value:#}")?;
    } else if answer.operations.is_empty() {
        // not on standard output, where a script counts lines
        writeln!(
            output::err(),
            "no operation matches; without filters `operations list` shows the latest"
        )?;
    } else {
        let rows: Vec<_> = answer.operations.iter().map(view::row).collect();
        table::print(&mut out, &view::HEADINGS, &rows)?;
        if let Some(token) = answer.next_page_token {
            writeln!(out, "more: --page-token {token}")?;
        }
    }
    Ok(Ending::Done)
}

async fn show(
    id: OperationId,
    mut client: AdmissionClient<AuditChannel>,
    json: bool,
) -> anyhow::Result<Ending> {
    let request = bounded(
        v1::AwaitRequest {
            id: id.to_string(),
            wait_ms: REPORT_TRAVELS_MS,
        },
        ANSWER_TIME_OUT,
    );
    let record = answer(client.r#await(request), ANSWER_TIME_OUT)
        .await
        .with_context(|| format!("operation {id}"))?;
    let mut out = output::out();
    if json {
        writeln!(out, "{:#}", view::to_json(&record))?;
    } else {
        view::print(&mut out, &record)?;
    }
    Ok(match record.status() {
        v1::Status::Applied => Ending::Done,
        v1::Status::Pending | v1::Status::Unspecified => Ending::Pending,
        v1::Status::Refused | v1::Status::Failed | v1::Status::Expired => Ending::No,
    })
}

impl Tail {
    /// Follows until interrupted, or until nobody reads it any more; a stream that ends by itself is an error, so that a script that
    /// watches it notices.
    async fn run(
        self,
        mut client: LedgerClient<AuditChannel>,
        json: bool,
    ) -> anyhow::Result<Ending> {
        let request = v1::WatchRequest {
            operation_id: self.operation.map(|id| id.to_string()),
            forest: self.forest.map(|forest| forest.to_string()),
        };
        let mut events = answer(client.watch(request), ANSWER_TIME_OUT).await?;
        // not on standard output: that is for what is watched
        output::tell(format_args!("watching; Ctrl-C ends"));
        loop {
            let event = tokio::select! {
                event = events.message() => event.map_err(|status| failure::explain(&status))?,
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted?;
                    return Ok(Ending::Done);
                }
            };
            let event = event.context("the audit service ended the stream")?;
            if !output::is_read(print_event(&event, json))? {
                return Ok(Ending::Done);
            }
        }
    }
}

fn print_event(event: &v1::WatchEvent, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let value = json!({
            "sequence": event.sequence,
            "at": moment::optional(event.at),
            "operation": event.record.as_ref().map(view::to_json),
            "note": event.note,
        });
        writeln!(out, "{value}")?;
    } else {
        let what = event.record.as_ref().map_or_else(
            || event.note.clone(),
            |record| view::row(record).split_off(1).join("  "),
        );
        writeln!(
            out,
            "{}  {}",
            moment::show(event.at),
            table::printable(&what)
        )?;
    }
    out.flush()
}
