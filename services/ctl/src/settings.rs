//! `writebackctl settings`: what the next operation obeys.

use std::io::{self, Write as _};

use clap::{ValueEnum, builder::NonEmptyStringValueParser};
use proto::v1::{self, settings_client::SettingsClient};
use serde_json::json;

use crate::{
    audit::{ANSWER_TIME_OUT, Address, answer, bounded},
    failure::Ending,
    moment, table,
};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Settings {
    /// What is on, and who changed it last
    #[command(after_help = "\
Exit codes: 0 shown; 3 wrong use or no connection.

Example:
  writebackctl --config /etc/writeback/config.toml settings show")]
    Show,
    /// Turn one on or off; the next operation obeys, and the ledger records it
    #[command(after_help = "\
Exit codes: 0 recorded in the ledger, or so already; 3 wrong use or no connection, nothing is changed or it is not known.

Examples:
  writebackctl settings set writeback off
  writebackctl settings set unlock-without-reset on --by 'Ana Lima, change 4711'")]
    Set {
        setting: Setting,
        value: Value,
        /// Who changes it, for the ledger; by default the user who called sudo, else who runs this
        #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
        by: Option<String>,
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
                let by = by.unwrap_or_else(who);
                let shown = bounded(v1::GetSettingsRequest {}, ANSWER_TIME_OUT);
                let before = answer(client.get_settings(shown), ANSWER_TIME_OUT).await?;
                let request = bounded(request(setting, value, by), ANSWER_TIME_OUT);
                let after = answer(client.set_settings(request), ANSWER_TIME_OUT).await?;
                if after == before {
                    writeln!(
                        io::stderr(),
                        "unchanged: it was so already, and nothing is recorded"
                    )?;
                }
                after
            }
        };
        print(&values, json)?;
        Ok(Ending::Done)
    }
}

/// The user who runs this, behind sudo the one who called it.
fn who() -> String {
    let behind_sudo = std::env::var("SUDO_USER").ok();
    behind_sudo
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| {
            let uid = nix::unistd::getuid();
            match nix::unistd::User::from_uid(uid) {
                Ok(Some(user)) => user.name,
                // containers run as numbers that have no name
                Ok(None) | Err(_) => format!("uid {uid}"),
            }
        })
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
