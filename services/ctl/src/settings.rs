//! `writebackctl settings`, `enable` and `disable`: what the next operation obeys.

use std::io::{self, Write as _};

use anyhow::ensure;
use clap::{ValueEnum, builder::NonEmptyStringValueParser};
use operation::ForestId;
use proto::v1::{self, settings_client::SettingsClient};
use serde_json::{Value as Json, json};

use crate::{
    audit::{ANSWER_TIME_OUT, Address, answer, bounded},
    failure::Ending,
    moment, output, table,
};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Settings {
    /// What is on, and who changed it last
    #[command(after_help = "\
Exit codes: 0 shown; 3 wrong use or no connection.

Examples:
  writebackctl --config /etc/writeback/config.toml settings show
  writebackctl settings show --forest corp         what holds in one forest")]
    Show {
        /// What holds in this forest: what is off for everybody is on in none
        #[arg(long, value_name = "FOREST")]
        forest: Option<ForestId>,
    },
    /// Turn one on or off; the next operation obeys, and the ledger records who did it
    #[command(after_help = "\
Who did it is the subject of the operator's token, which needs the scope settings.write.

Exit codes: 0 recorded in the ledger, or so already; 3 wrong use, not allowed or no connection: nothing is changed or it is not known.

Examples:
  writebackctl settings set writeback off
  writebackctl settings set writeback off --forest corp
  writebackctl settings set unlock-without-reset on --note 'change 4711'")]
    Set {
        setting: Setting,
        value: Value,
        #[command(flatten)]
        scope: Scope,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Scope {
    /// In this forest only
    #[arg(long, value_name = "FOREST")]
    forest: Option<ForestId>,
    /// Why, for the ledger
    #[arg(long, alias = "by", value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    note: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Setting {
    /// Password writeback as a whole
    Writeback,
    /// Whether a lockout may be cleared without a new password
    UnlockWithoutReset,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Value {
    On,
    Off,
}

impl Settings {
    pub(crate) async fn run(self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        match self {
            Self::Show { forest } => {
                known(address, forest.as_ref())?;
                let mut client = SettingsClient::new(address.connect().await?);
                let request = bounded(v1::GetSettingsRequest {}, ANSWER_TIME_OUT);
                let values = answer(client.get_settings(request), ANSWER_TIME_OUT).await?;
                match forest {
                    Some(forest) => print_one(&values, &forest, json)?,
                    None => print(&values, json)?,
                }
                Ok(Ending::Done)
            }
            Self::Set {
                setting,
                value,
                scope,
            } => set(setting, value, scope, address, json).await,
        }
    }
}

/// The kill switch, and back.
pub(crate) async fn turn(
    value: Value,
    scope: Scope,
    address: &Address,
    json: bool,
) -> anyhow::Result<Ending> {
    set(Setting::Writeback, value, scope, address, json).await
}

async fn set(
    setting: Setting,
    value: Value,
    scope: Scope,
    address: &Address,
    json: bool,
) -> anyhow::Result<Ending> {
    known(address, scope.forest.as_ref())?;
    let mut client = SettingsClient::new(address.connect().await?);
    let wanted = matches!(value, Value::On);
    let request = bounded(request(setting, wanted, scope), ANSWER_TIME_OUT);
    let of_a_forest = request.get_ref().forest.is_some();
    let set = answer(client.set_settings(request), ANSWER_TIME_OUT).await?;
    if of_a_forest && wanted && !effective(&set, setting) {
        writeln!(
            output::err(),
            "it is off for everybody: on in this forest takes effect when it is on for everybody"
        )?;
    }
    print(&set, json)?;
    Ok(Ending::Done)
}

const fn effective(values: &v1::SettingsValues, setting: Setting) -> bool {
    match setting {
        Setting::Writeback => values.writeback,
        Setting::UnlockWithoutReset => values.unlock_without_reset,
    }
}

/// A misspelt forest would be turned off in vain: the audit service knows none.
fn known(address: &Address, forest: Option<&ForestId>) -> anyhow::Result<()> {
    let Some(forest) = forest else {
        return Ok(());
    };
    let forests: Vec<String> = address.loaded()?.map_or_else(Vec::new, |config| {
        let ids = config.forests.iter().map(|forest| forest.id.to_string());
        ids.collect()
    });
    ensure!(
        forests.is_empty() || forests.contains(&forest.to_string()),
        "there is no forest {forest} in the configuration; there are: {}",
        forests.join(", ")
    );
    Ok(())
}

fn request(setting: Setting, on: bool, scope: Scope) -> v1::SetSettingsRequest {
    let (writeback, unlock_without_reset) = match setting {
        Setting::Writeback => (Some(on), None),
        Setting::UnlockWithoutReset => (None, Some(on)),
    };
    v1::SetSettingsRequest {
        writeback,
        unlock_without_reset,
        forest: scope.forest.map(|forest| forest.to_string()),
        note: scope.note.unwrap_or_default(),
    }
}

fn shown(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

fn to_json(values: &v1::SettingsValues) -> Json {
    let forests: Vec<Json> = { values.forests.iter() }
        .map(|own| {
            json!({
                "forest": own.forest,
                "writeback": own.writeback,
                "unlockWithoutReset": own.unlock_without_reset,
                "changedAt": moment::optional(own.changed_at),
                "changedBy": own.changed_by,
            })
        })
        .collect();
    json!({
        "writeback": values.writeback,
        "unlockWithoutReset": values.unlock_without_reset,
        "changedAt": moment::optional(values.changed_at),
        "changedBy": values.changed_by,
        "note": values.note,
        "forests": forests,
    })
}

fn print(values: &v1::SettingsValues, json: bool) -> io::Result<()> {
    let mut out = output::out();
    if json {
        return writeln!(out, "{:#}", to_json(values));
    }
    let mut rows = vec![
        vec![
            "writeback".to_owned(),
            shown(values.writeback),
            "everybody".to_owned(),
        ],
        vec![
            "unlock-without-reset".to_owned(),
            shown(values.unlock_without_reset),
            "everybody".to_owned(),
        ],
    ];
    for own in &values.forests {
        for (name, on) in [
            ("writeback", own.writeback),
            ("unlock-without-reset", own.unlock_without_reset),
        ] {
            if !on {
                rows.push(vec![
                    name.to_owned(),
                    shown(on),
                    format!("forest {}", own.forest),
                ]);
            }
        }
    }
    table::print(&mut out, &["SETTING", "VALUE", "FOR"], &rows)?;
    if values.changed_at != 0 {
        let by = table::printable(&values.changed_by);
        write!(out, "changed {} by {by}", moment::show(values.changed_at))?;
        if !values.note.is_empty() {
            write!(out, ": {}", table::printable(&values.note))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Makes what holds for everybody what holds in one forest.
pub(crate) fn narrow(values: &mut v1::SettingsValues, forest: &ForestId) {
    let own = { values.forests.iter() }.find(|own| own.forest == forest.as_str());
    values.writeback &= own.is_none_or(|own| own.writeback);
    values.unlock_without_reset &= own.is_none_or(|own| own.unlock_without_reset);
}

/// What holds in one forest.
fn print_one(values: &v1::SettingsValues, forest: &ForestId, json: bool) -> io::Result<()> {
    let own = { values.forests.iter() }.find(|own| own.forest == forest.as_str());
    let mut here = values.clone();
    narrow(&mut here, forest);
    let (writeback, unlock) = (here.writeback, here.unlock_without_reset);
    let mut out = output::out();
    if json {
        let value = json!({
            "forest": forest,
            "writeback": writeback,
            "unlockWithoutReset": unlock,
            "changedAt": own.and_then(|own| moment::optional(own.changed_at)),
            "changedBy": own.map(|own| &own.changed_by),
        });
        return writeln!(out, "{value:#}");
    }
    let rows = [
        vec!["writeback".to_owned(), shown(writeback)],
        vec!["unlock-without-reset".to_owned(), shown(unlock)],
    ];
    table::print(&mut out, &["SETTING", "VALUE"], &rows)?;
    if let Some(own) = own {
        let by = table::printable(&own.changed_by);
        writeln!(out, "changed {} by {by}", moment::show(own.changed_at))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_one_leaves_the_other_alone() {
        let scope = |forest: Option<&str>| Scope {
            forest: forest.map(|id| id.parse().unwrap()),
            note: None,
        };
        let off = request(Setting::Writeback, false, scope(None));
        assert_eq!(
            (off.writeback, off.unlock_without_reset),
            (Some(false), None)
        );
        assert_eq!(off.forest, None);
        let on = request(Setting::UnlockWithoutReset, true, scope(Some("corp")));
        assert_eq!((on.writeback, on.unlock_without_reset), (None, Some(true)));
        assert_eq!(on.forest.as_deref(), Some("corp"));
    }
}
