//! `writebackctl reason`: the pages kept beside the reasons' definition.

use std::io::Write as _;

use anyhow::bail;
use operation::Reason;
use serde_json::json;

use crate::{failure::Ending, output, table};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 shown; 3 no such reason.

Examples:
  writebackctl reason                    lists every reason
  writebackctl reason access-denied      shows its page
  writebackctl reason 33004              shows the page of every reason with this event id")]
pub(crate) struct Explain {
    /// A reason's code or event id; without one, all are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

impl Explain {
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Ending> {
        let reasons = match &self.code {
            None => Reason::ALL.to_vec(),
            Some(code) => {
                let reasons = matching(code);
                if reasons.is_empty() {
                    let known: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
                    let known = known.join(", ");
                    bail!(
                        "no reason has the code or event id {code:?}; known codes: {known}; `writebackctl reason` lists them with their event ids"
                    );
                }
                reasons
            }
        };
        let mut out = output::out();
        if json {
            let all: Vec<_> = reasons.iter().copied().map(to_json).collect();
            let value = match (all.as_slice(), &self.code) {
                ([one], Some(_)) => one.clone(),
                _ => all.into(),
            };
            writeln!(out, "{value:#}")?;
        } else if self.code.is_none() {
            let rows: Vec<_> = reasons.iter().copied().map(row).collect();
            table::print(
                &mut out,
                &["REASON", "EVENT", "WHO ACTS", "ENDS", "MEANING"],
                &rows,
            )?;
        } else {
            for reason in reasons {
                writeln!(out, "{}", reason.page())?;
            }
        }
        Ok(Ending::Done)
    }
}

fn matching(code: &str) -> Vec<Reason> {
    Reason::ALL
        .iter()
        .copied()
        .filter(|reason| {
            reason.code().eq_ignore_ascii_case(code) || reason.event_id().eq_ignore_ascii_case(code)
        })
        .collect()
}

fn row(reason: Reason) -> Vec<String> {
    [
        reason.code(),
        reason.event_id(),
        reason.actor().as_str(),
        reason.status().as_str(),
        reason.title(),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn to_json(reason: Reason) -> serde_json::Value {
    json!({
        "reason": reason.code(),
        "eventId": reason.event_id(),
        "actor": reason.actor().as_str(),
        "status": reason.status().as_str(),
        "title": reason.title(),
        "page": reason.page(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_found_by_its_code_and_by_its_event_id() {
        assert_eq!(matching("password-policy"), [Reason::PasswordPolicy]);
        assert_eq!(matching("Password-Policy"), [Reason::PasswordPolicy]);
        assert_eq!(matching("33008"), [Reason::PasswordPolicy]);
        assert_eq!(matching("sspr_0030"), [Reason::ForestUnavailable]);
        assert_eq!(matching("33004").len(), 3);
        assert!(matching("nonsense").is_empty());
    }
}
