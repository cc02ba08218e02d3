//! `writebackctl operations export`: what the ledger knows of operations, for other programs.

use std::io::{self, Write};

use clap::ValueEnum;
use proto::v1::{self, ledger_client::LedgerClient};
use serde_json::Value;
use time::OffsetDateTime;

use super::Filters;
use crate::{
    audit::{ANSWER_TIME_OUT, AuditChannel, answer, bounded},
    failure::Ending,
    output, view,
};

const PAGE: u32 = 1000;

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    #[command(flatten)]
    filters: Filters,
    /// One JSON object per line, or comma-separated values with a heading (RFC 4180)
    #[arg(long, default_value = "jsonl")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    #[value(alias = "json-lines", alias = "json")]
    Jsonl,
    Csv,
}

/// A column's heading, and where its value is in the JSON.
const COLUMNS: [(&str, &str); 19] = [
    ("id", "/id"),
    ("status", "/status"),
    ("kind", "/kind"),
    ("reason", "/reason"),
    ("eventId", "/eventId"),
    ("forest", "/forest"),
    ("domain", "/domain"),
    ("sourceAnchor", "/user/sourceAnchor"),
    ("securityIdentifier", "/user/securityIdentifier"),
    ("userPrincipalName", "/user/userPrincipalName"),
    ("initiator", "/initiator/kind"),
    ("initiatorId", "/initiator/id"),
    ("caller", "/caller"),
    ("eventSource", "/eventSource"),
    ("cloudEventId", "/cloudEventId"),
    ("acceptedAt", "/acceptedAt"),
    ("deadline", "/deadline"),
    ("completedAt", "/completedAt"),
    ("detail", "/detail"),
];

impl Export {
    /// Page by page, as fast as it is taken.
    pub(crate) async fn run(
        self,
        mut client: LedgerClient<AuditChannel>,
    ) -> anyhow::Result<Ending> {
        let mut request = v1::ListOperationsRequest {
            limit: PAGE,
            ..self.filters.request(OffsetDateTime::now_utc())?
        };
        if self.format == Format::Csv {
            let headings = COLUMNS.iter().map(|(name, _)| (*name).to_owned());
            if !output::is_read(write_csv(&mut io::stdout().lock(), headings))? {
                return Ok(Ending::Done);
            }
        }
        loop {
            let call = client.list_operations(bounded(request.clone(), ANSWER_TIME_OUT));
            let page = answer(call, ANSWER_TIME_OUT).await?;
            if !output::is_read(self.format.print(&page.operations))? {
                return Ok(Ending::Done);
            }
            match page.next_page_token {
                Some(token) => request.page_token = Some(token),
                None => return Ok(Ending::Done),
            }
        }
    }
}

impl Format {
    fn print(self, operations: &[v1::OperationRecord]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for record in operations {
            let value = view::to_json(record);
            match self {
                Self::Jsonl => writeln!(out, "{value}")?,
                Self::Csv => write_csv(&mut out, cells(&value))?,
            }
        }
        out.flush()
    }
}

fn cells(value: &Value) -> impl Iterator<Item = String> {
    COLUMNS.iter().map(|(_, pointer)| {
        let text = value.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    })
}

/// RFC 4180 2: quoted where it must be, lines end with CRLF. What others wrote and a spreadsheet
/// would take for a formula gets an apostrophe before it, as spreadsheets themselves write text.
fn write_csv(out: &mut impl Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    let row: Vec<String> = cells
        .map(|cell| {
            let formula = cell.starts_with(['=', '@', '\t', '\r'])
                || (cell.starts_with(['+', '-']) && cell.contains(['(', '|', '!']));
            let cell = if formula { format!("'{cell}") } else { cell };
            if cell.contains([',', '"', '\r', '\n']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell
            }
        })
        .collect();
    write!(out, "{}\r\n", row.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: &[&str]) -> String {
        let mut out = Vec::new();
        write_csv(&mut out, cells.iter().map(|cell| (*cell).to_owned())).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_is_no_formula() {
        assert_eq!(line(&["a", "", "b c"]), "a,,b c\r\n");
        assert_eq!(
            line(&["a,b", "say \"no\"", "x\ny"]),
            "\"a,b\",\"say \"\"no\"\"\",\"x\ny\"\r\n"
        );
        assert_eq!(
            line(&["=1+1", "@x", "-2+3|cmd!A0"]),
            "'=1+1,'@x,'-2+3|cmd!A0\r\n"
        );
        // an anchor may begin so
        assert_eq!(
            line(&["+39S0bAf5kOq3Fo3c1Q5AQ=="]),
            "+39S0bAf5kOq3Fo3c1Q5AQ==\r\n"
        );
    }

    #[test]
    fn every_column_is_a_member_of_an_operation() {
        let value = view::to_json(&v1::OperationRecord::default());
        for (name, pointer) in COLUMNS {
            assert!(value.pointer(pointer).is_some(), "{name}");
        }
    }
}
