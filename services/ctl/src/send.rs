//! `writebackctl send`: posts one event and turns the answer into an exit code.

use std::{
    io::{self, Read as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use operation::{Reason, Status};
use reqwest::{StatusCode, header};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::{
    failure::Ending,
    output, table, token,
    web::{self, Trust},
};

/// What the intake takes at most; more is not worth sending.
const LARGEST_EVENT: u64 = 256 * 1024;
/// Longer than the intake holds an answer back when nothing else is asked for.
const DEFAULT_WAIT_SECONDS: u64 = 60;
const MARGIN: Duration = Duration::from_secs(15);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 applied; 1 refused, failed or expired; 2 pending; 3 wrong use or no connection.
Sending the same event again is safe: it is the same operation, and the first one's result is answered.

Examples:
  writebackctl seal --kind unlock --user-principal-name ana@corp.example.com |
      writebackctl send --intake https://writeback.example.com --token-file token
  writebackctl send --intake http://127.0.0.1:8081 --token-file token --no-wait event.json")]
pub(crate) struct Send {
    /// A CloudEvent in JSON; standard input without one
    #[arg(value_name = "EVENT")]
    event: Option<PathBuf>,
    /// The intake's base URL
    #[arg(long, value_name = "URL", env = "WRITEBACK_INTAKE_URL")]
    intake: String,
    /// Wait at most this long for the outcome (Prefer: wait)
    #[arg(long, value_name = "SECONDS", conflicts_with = "no_wait")]
    wait: Option<u64>,
    /// Take the address of the operation as the answer (Prefer: respond-async)
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    trust: Trust,
}

impl Send {
    pub(crate) async fn run(
        self,
        token_file: Option<PathBuf>,
        json: bool,
    ) -> anyhow::Result<Ending> {
        let base = web::parse_url(&self.intake)?;
        let url = format!("{}/v1/events", base.as_str().trim_end_matches('/'));
        let token_file = token_file.context("say which token to send: --token-file FILE")?;
        let token = token::read(&token_file)?;
        let event = self.read_event()?;
        let wait = Duration::from_secs(self.wait.unwrap_or(DEFAULT_WAIT_SECONDS));

        let mut request = self
            .trust
            .client(wait.saturating_add(MARGIN))?
            .post(url)
            .header(header::CONTENT_TYPE, "application/cloudevents+json")
            .bearer_auth(token.expose_secret())
            .body(event);
        if self.no_wait {
            request = request.header("prefer", "respond-async");
        } else if let Some(seconds) = self.wait {
            request = request.header("prefer", format!("wait={seconds}"));
        }
        let response = request.send().await.map_err(|error| {
            let known = if error.is_connect() || error.is_builder() {
                "the event was not sent"
            } else {
                "whether the event was taken is not known; sending the same event again is safe"
            };
            web::unasked(error).context(known)
        })?;
        let status = response.status();
        let body = web::body(response).await?;
        let answer: Value = serde_json::from_slice(&body)
            .with_context(|| format!("the intake answered {status} and no JSON"))?;
        let mut out = output::out();
        if json {
            writeln!(out, "{answer:#}")?;
        } else {
            print(&mut out, status, &answer)?;
        }
        Ok(ending(status, &answer))
    }

    fn read_event(&self) -> anyhow::Result<Vec<u8>> {
        let mut event = Vec::new();
        match &self.event {
            Some(path) => std::fs::File::open(path)
                .with_context(|| path.display().to_string())?
                .take(LARGEST_EVENT + 1)
                .read_to_end(&mut event)?,
            None => io::stdin()
                .lock()
                .take(LARGEST_EVENT + 1)
                .read_to_end(&mut event)?,
        };
        ensure!(
            event.len() as u64 <= LARGEST_EVENT,
            "the event is longer than 256 KiB"
        );
        let parsed: Value = serde_json::from_slice(&event).context("the event is no JSON")?;
        ensure!(parsed.is_object(), "the event is no JSON object");
        Ok(event)
    }
}

/// An answer with an operation's status or a reason tells how the operation stands; any other
/// answer means that there is no operation.
fn ending(status: StatusCode, answer: &Value) -> Ending {
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    if status.is_success() {
        return match text("status").and_then(Status::parse) {
            Some(Status::Applied) => Ending::Done,
            Some(Status::Pending) => Ending::Pending,
            Some(Status::Refused | Status::Failed | Status::Expired) => Ending::No,
            None => Ending::NotPossible,
        };
    }
    if text("reason").is_some() {
        Ending::No
    } else {
        Ending::NotPossible
    }
}

fn print(out: &mut impl io::Write, status: StatusCode, answer: &Value) -> io::Result<()> {
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let mut fact = |name: &str, value: Option<&str>| match value {
        Some(value) => writeln!(out, "{name:12}{}", table::printable(value)),
        None => Ok(()),
    };
    fact("operation", text("id").or_else(|| text("operationId")))?;
    if status.is_success() {
        fact("status", text("status"))?;
        fact("forest", text("forest"))?;
        return Ok(());
    }
    let reason = text("reason");
    let known = reason.and_then(|code| code.parse::<Reason>().ok());
    let ended = known.map(|reason| reason.status().as_str());
    fact("status", ended.or(Some(status.as_str())))?;
    fact("reason", reason)?;
    fact("title", text("title"))?;
    fact("detail", text("detail"))?;
    fact("event", text("eventId"))?;
    fact("who acts", text("actor"))?;
    for violation in answer
        .get("violations")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        fact(
            "violation",
            violation.get("message").and_then(Value::as_str),
        )?;
    }
    if let Some(code) = known {
        let hint = format!("`writebackctl reason {code}` says how to mend it");
        fact("", Some(&hint))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_exit_code_tells_how_the_operation_stands() {
        for (status, answer, expected) in [
            (200, json!({"status": "applied"}), Ending::Done),
            (200, json!({"status": "refused"}), Ending::No),
            (202, json!({"status": "pending"}), Ending::Pending),
            (
                422,
                json!({"status": 422, "reason": "password-policy"}),
                Ending::No,
            ),
            (
                503,
                json!({"status": 503, "reason": "forest-unavailable"}),
                Ending::No,
            ),
            (503, json!({"status": 503}), Ending::NotPossible),
            (401, json!({"status": 401}), Ending::NotPossible),
        ] {
            let code = StatusCode::from_u16(status).unwrap();
            assert_eq!(ending(code, &answer), expected, "{status} {answer}");
        }
    }

    #[test]
    fn a_refusal_is_told_with_its_reason_and_who_acts() {
        let answer = json!({
            "status": 422, "title": "t", "detail": "d", "reason": "password-policy",
            "eventId": "33008", "actor": "person", "operationId": "x",
            "violations": [{"rule": "length", "message": "at least 12"}],
        });
        let mut out = Vec::new();
        print(&mut out, StatusCode::UNPROCESSABLE_ENTITY, &answer).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            "refused",
            "password-policy",
            "33008",
            "person",
            "at least 12",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
