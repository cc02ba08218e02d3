//! Whether the services could work with what was configured: each thing tried, and for what is missing
//! the command that mends it.

use std::time::Duration;

use chassis::config::Config;
use proto::v1::{self, settings_client::SettingsClient};
use sealing::PublicKeys;
use tokio::{net::TcpStream, time::timeout};

use super::{answers::Features, console::Console, draft::Draft};
use crate::{
    audit::{Address, answer, bounded},
    forests,
    permissions::{self, Where},
    web,
};

const ANSWER_TIME_OUT: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    verified: Vec<String>,
    missing: Vec<Missing>,
}

struct Missing {
    what: String,
    remedy: String,
}

impl Found {
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    fn verified(&mut self, console: &mut Console<'_>, what: String) -> anyhow::Result<()> {
        console.say(&format!("  ok       {what}"))?;
        self.verified.push(what);
        Ok(())
    }

    fn missing(
        &mut self,
        console: &mut Console<'_>,
        what: String,
        remedy: String,
    ) -> anyhow::Result<()> {
        console.say(&format!("  MISSING  {what}"))?;
        self.missing.push(Missing { what, remedy });
        Ok(())
    }

    pub(crate) fn tell(&self, console: &mut Console<'_>) -> anyhow::Result<()> {
        console.say(&format!(
            "{} verified, {} missing.",
            self.verified.len(),
            self.missing.len()
        ))?;
        for missing in &self.missing {
            console.say("")?;
            console.say(&format!("  missing: {}", missing.what))?;
            console.say(&format!("    mend:  {}", missing.remedy))?;
        }
        if self.is_complete() {
            console.say("Services that run take up new forests within seconds; a new forest needs its writers started.")?;
        }
        Ok(())
    }
}

/// The settings as they are.
///
/// # Errors
/// When the ledger does not say.
pub(crate) async fn features(address: &Address) -> anyhow::Result<Features> {
    let asking = async {
        let mut client = SettingsClient::new(address.connect().await?);
        let request = bounded(v1::GetSettingsRequest {}, ANSWER_TIME_OUT);
        answer(client.get_settings(request), ANSWER_TIME_OUT).await
    };
    let values = timeout(ANSWER_TIME_OUT, asking).await??;
    Ok(Features {
        password_writeback: values.writeback,
        unlock_without_reset: values.unlock_without_reset,
    })
}

/// Tries everything, telling each step.
///
/// # Errors
/// When the terminal is gone; what does not work is in what is found.
pub(crate) async fn prove(
    console: &mut Console<'_>,
    draft: &Draft,
    address: &Address,
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let path = draft.config.display();
    let config = match Config::load(&draft.config) {
        Ok(config) => config,
        Err(error) => {
            found.missing(
                console,
                "a configuration that the services accept".to_owned(),
                format!("{error}"),
            )?;
            return Ok(found);
        }
    };
    found.verified(
        console,
        format!("{path} is a configuration that the services accept"),
    )?;
    directories(console, &config, &mut found, &draft.config).await?;
    keys(console, &config, draft, &mut found)?;
    broker(console, &config, &mut found).await?;
    settings(console, &draft.answers.features, address, &mut found).await?;
    Ok(found)
}

/// Each domain with both accounts, and their rights.
async fn directories(
    console: &mut Console<'_>,
    config: &Config,
    found: &mut Found,
    path: &std::path::Path,
) -> anyhow::Result<()> {
    let command = format!("writebackctl --config {}", path.display());
    for domain in forests::domains(config, None)? {
        let name = domain.name();
        let again = || format!("{command} setup, and change forest {}", domain.forest.id);
        let mut signed_in = true;
        let writer = (domain.forest.account.as_str(), domain.as_writer());
        let reader = (domain.reader() != writer.0).then(|| (domain.reader(), domain.as_reader()));
        for (who, directory) in [writer].into_iter().chain(reader) {
            let probed = match directory {
                Ok(directory) => directory.probe().await.map_err(anyhow::Error::from),
                Err(error) => Err(error),
            };
            match probed {
                Ok(root) => found.verified(
                    console,
                    format!("{name}: {who} signs in at {}", root.domain_controller),
                )?,
                Err(error) => {
                    signed_in = false;
                    found.missing(
                        console,
                        format!("{name}: {who} cannot sign in: {error:#}"),
                        again(),
                    )?;
                }
            }
        }
        if !signed_in {
            continue;
        }
        for target in Where::domain(&domain)? {
            match permissions::missing(config, &target).await {
                Ok(missing) if missing.is_empty() => found.verified(
                    console,
                    format!("{name}: the service accounts hold every right they need"),
                )?,
                Ok(missing) => found.missing(
                    console,
                    format!("{name}: rights are missing: {}", missing.join("; ")),
                    format!(
                        "{command} permissions check --forest {}   names what mends each",
                        domain.forest.id
                    ),
                )?,
                Err(error) => found.missing(
                    console,
                    format!("{name}: the rights could not be checked: {error:#}"),
                    format!("{command} permissions check --forest {}", domain.forest.id),
                )?,
            }
        }
    }
    Ok(())
}

fn keys(
    console: &mut Console<'_>,
    config: &Config,
    draft: &Draft,
    found: &mut Found,
) -> anyhow::Result<()> {
    let file = &config.sealing.public_keys_file;
    let keys = web::read_file(file)
        .ok()
        .and_then(|bytes| PublicKeys::from_jwks(&bytes).ok())
        .unwrap_or_default();
    for forest in &config.forests {
        match keys.for_forest(&forest.id) {
            Some(key) => {
                found.verified(console, format!("{}: sealing key {}", forest.id, key.kid()))?;
            }
            None => found.missing(
                console,
                format!("{}: a sealing key in {}", forest.id, file.display()),
                format!(
                    "writebackctl --config {} keys generate --forest {}",
                    draft.config.display(),
                    forest.id
                ),
            )?,
        }
    }
    Ok(())
}

/// That somebody listens there; the services' own users and rights show when they start.
async fn broker(
    console: &mut Console<'_>,
    config: &Config,
    found: &mut Found,
) -> anyhow::Result<()> {
    let remedy = || "check [broker] url, and that this machine may reach it".to_owned();
    let place = url::Url::parse(&config.broker.url).ok().and_then(|url| {
        let port = url
            .port()
            .unwrap_or(if url.scheme() == "amqps" { 5671 } else { 5672 });
        Some((url.host_str()?.trim_matches(['[', ']']).to_owned(), port))
    });
    let Some((host, port)) = place else {
        return found.missing(console, "the broker's address".to_owned(), remedy());
    };
    match timeout(ANSWER_TIME_OUT, TcpStream::connect((host.as_str(), port))).await {
        Ok(Ok(_)) => found.verified(console, format!("the broker listens at {host}:{port}")),
        Ok(Err(error)) => found.missing(
            console,
            format!("the broker at {host}:{port}: {error}"),
            remedy(),
        ),
        Err(_) => found.missing(
            console,
            format!("the broker at {host}:{port}: no answer"),
            remedy(),
        ),
    }
}

/// Turned as it was answered, if it is otherwise; the ledger has who and when.
async fn settings(
    console: &mut Console<'_>,
    wanted: &Features,
    address: &Address,
    found: &mut Found,
) -> anyhow::Result<()> {
    let word = |on: bool| if on { "on" } else { "off" };
    let commands = format!(
        "with a token that audit takes: writebackctl settings set writeback {}; writebackctl settings set unlock-without-reset {}",
        word(wanted.password_writeback),
        word(wanted.unlock_without_reset)
    );
    let now = match features(address).await {
        Ok(now) => now,
        Err(error) => {
            let what = format!("the settings, which the audit service keeps: {error:#}");
            return found.missing(console, what, commands);
        }
    };
    if now != *wanted {
        let request = v1::SetSettingsRequest {
            writeback: (now.password_writeback != wanted.password_writeback)
                .then_some(wanted.password_writeback),
            unlock_without_reset: (now.unlock_without_reset != wanted.unlock_without_reset)
                .then_some(wanted.unlock_without_reset),
            forest: None,
            note: "setup".to_owned(),
        };
        let setting = async {
            let mut client = SettingsClient::new(address.connect().await?);
            answer(
                client.set_settings(bounded(request, ANSWER_TIME_OUT)),
                ANSWER_TIME_OUT,
            )
            .await
        };
        if let Err(error) = setting.await {
            return found.missing(console, format!("the settings: {error:#}"), commands);
        }
    }
    found.verified(
        console,
        format!(
            "password writeback is {}, unlock without reset is {}",
            word(wanted.password_writeback),
            word(wanted.unlock_without_reset)
        ),
    )
}
