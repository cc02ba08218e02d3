//! `writebackctl settings`: what the next operation obeys.

use std::io::{self, Write as _};

use clap::ValueEnum;
use proto::v1::{self, settings_client::SettingsClient};
use serde_json::json;

use crate::{
    failure::Ending,
    ledger::{ANSWER_TIME_OUT, Address, answer, bounded},
    moment, table,
};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Settings {
    /// What is on, and who changed it last
    Show,
    /// Turn one on or off; the next operation obeys, and the ledger records it
    #[command(after_help = "\
Examples:
  writebackctl settings set writeback off
  writebackctl settings set unlock-without-reset on --by 'Ana Lima, change 4711'")]
    Set {
        setting: Setting,
        value: Value,
        /// Who changes it, for the ledger; by default the name in $USER
        #[arg(long, value_name = "NAME", env = "USER")]
        by: String,
    },
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
        let mut client = SettingsClient::new(address.connect().await?);
        let values = match self {
            Self::Show => {
                let request = bounded(v1::GetSettingsRequest {}, ANSWER_TIME_OUT);
                answer(client.get_settings(request), ANSWER_TIME_OUT).await?
            }
            Self::Set { setting, value, by } => {
                let request = bounded(request(setting, value, by), ANSWER_TIME_OUT);
                answer(client.set_settings(request), ANSWER_TIME_OUT).await?
            }
        };
        print(&values, json)?;
        Ok(Ending::Done)
    }
}

fn request(setting: Setting, value: Value, by: String) -> v1::SetSettingsRequest {
    let on = Some(matches!(value, Value::On));
    let (writeback, unlock_without_reset) = match setting {
        Setting::Writeback => (on, None),
        Setting::UnlockWithoutReset => (None, on),
    };
    v1::SetSettingsRequest {
        writeback,
        unlock_without_reset,
        changed_by: by,
    }
}

fn print(values: &v1::SettingsValues, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let value = json!({
            "writeback": values.writeback,
            "unlockWithoutReset": values.unlock_without_reset,
            "changedAt": moment::optional(values.changed_at),
            "changedBy": values.changed_by,
        });
        return writeln!(out, "{value:#}");
    }
    let shown = |on: bool| if on { "on" } else { "off" }.to_owned();
    let rows = [
        vec!["writeback".to_owned(), shown(values.writeback)],
        vec![
            "unlock-without-reset".to_owned(),
            shown(values.unlock_without_reset),
        ],
    ];
    table::print(&mut out, &["SETTING", "VALUE"], &rows)?;
    if values.changed_at != 0 {
        let by = table::printable(&values.changed_by);
        writeln!(out, "changed {} by {by}", moment::show(values.changed_at))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_one_leaves_the_other_alone() {
        let off = request(Setting::Writeback, Value::Off, "ana".to_owned());
        assert_eq!(
            (off.writeback, off.unlock_without_reset),
            (Some(false), None)
        );
        let on = request(Setting::UnlockWithoutReset, Value::On, "ana".to_owned());
        assert_eq!((on.writeback, on.unlock_without_reset), (None, Some(true)));
    }
}
