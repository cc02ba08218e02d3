//! `permissions check`.

use std::io::Write as _;

use chassis::config::{Config, Treatment};
use directory::permissions::{NamedAccount, Question, Report, survey};
use serde_json::json;

use super::{Target, Where, show};
use crate::{
    failure::{self, Ending},
    output, table,
};

/// What one domain came to.
pub(crate) struct Checked {
    pub(crate) account: NamedAccount,
    pub(crate) report: Report,
}

pub(crate) async fn run(config: &Config, place: &Where, json: bool) -> anyhow::Result<Ending> {
    let mut domains = Vec::new();
    let (mut missing, mut failed) = (false, false);
    for target in place.targets(config)? {
        let name = target.domain.name();
        match check(config, &target).await {
            Ok(checked) => {
                let shown = show::Shown::new(&target, &checked);
                missing |= shown.is_missing();
                if json {
                    domains.push(shown.to_json());
                } else {
                    shown.print(&mut output::out())?;
                }
            }
            Err(error) => {
                failed = true;
                let error = table::printable(&failure::say(&error));
                if json {
                    let forest = &target.domain.forest.id;
                    domains.push(json!({ "forest": forest, "domain": name, "error": error }));
                } else {
                    writeln!(output::err(), "{name}: not known: {error}")?;
                }
            }
        }
    }
    if json {
        let value = json!({ "held": !missing && !failed, "domains": domains });
        writeln!(output::out(), "{value:#}")?;
    }
    Ok(match (missing, failed) {
        (true, _) => Ending::No,
        (false, true) => Ending::NotPossible,
        (false, false) => Ending::Done,
    })
}

pub(super) async fn check(config: &Config, target: &Target<'_>) -> anyhow::Result<Checked> {
    let domain = target.domain;
    let writing = domain.as_writer()?;
    let inspection = writing.inspect().await?;
    let account = domain
        .account(&inspection, &domain.forest.account, |sister| {
            sister.as_writer()
        })
        .await?;
    let writer = inspection.own_token(&account).await?;
    let reader = domain.reader_token(&writer).await?;
    let report = survey(
        &inspection,
        &Question {
            domain: domain.name(),
            roots: &target.roots,
            scope: &target.scope,
            writer: &writer,
            reader: &reader,
            reaches_protected: reaches_protected(config),
        },
    )
    .await?;
    inspection.end();
    Ok(Checked { account, report })
}

/// Somebody's operations are carried out on protected accounts.
pub(crate) fn reaches_protected(config: &Config) -> bool {
    let accounts = config.writer.protected_accounts;
    accounts.users == Treatment::Allow || accounts.administrators == Treatment::Allow
}
