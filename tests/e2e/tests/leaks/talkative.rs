//! One more of every service, that logs and traces everything it can.

use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use e2e::until;
use lab::{Lab, Place};
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Talkative {
    /// Dropped, they end.
    children: Vec<(String, Child)>,
    pub(crate) intake: String,
    pub(crate) admins: Vec<String>,
}

fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

impl Talkative {
    pub(crate) async fn start(collector: SocketAddr) -> anyhow::Result<Self> {
        let place = Place::of_this_repository()?;
        let intake = free_address()?;
        let mut all = vec![
            (
                "audit",
                "audit".to_owned(),
                vec![("WRITEBACK_AUDIT__LISTEN", free_address()?)],
            ),
            ("resolver", "resolver".to_owned(), vec![]),
            (
                "intake",
                "intake".to_owned(),
                vec![("WRITEBACK_INTAKE__LISTEN", intake.clone())],
            ),
        ];
        for forest in Lab::load()?.forests {
            let keys = place.path("keys").join(&forest.id);
            let keys = keys.to_str().context("a path that is no text")?.to_owned();
            let environment = vec![
                ("WRITEBACK_WRITER__FOREST", forest.id.clone()),
                ("WRITEBACK_SEALING__PRIVATE_KEYS_DIRECTORY", keys),
            ];
            all.push(("writer", format!("writer-{}", forest.id), environment));
        }
        let mut talkative = Self {
            children: Vec::new(),
            intake: format!("http://{intake}"),
            admins: Vec::new(),
        };
        for (kind, broker_user, environment) in all {
            let name = format!("talkative-{broker_user}");
            let admin = free_address()?;
            let log = || {
                let path = place.log(&name);
                OpenOptions::new().create(true).append(true).open(path)
            };
            let mut command = Command::new(place.binary(&format!("writeback-{kind}")));
            if kind != "audit" {
                // audit knows who asks it by a certificate
                let certificate = place.path(format!("services/{kind}.pem"));
                let key = place.path(format!("services/{kind}.key"));
                command
                    .env("WRITEBACK_LEDGER__CERTIFICATE_FILE", certificate)
                    .env("WRITEBACK_LEDGER__KEY_FILE", key);
            }
            let child = command
                .arg("--config")
                .arg(place.path("config.toml"))
                .envs(environment)
                .env("WRITEBACK_SERVICE__NAME", &name)
                .env("WRITEBACK_SERVICE__ADMIN_LISTEN", &admin)
                .env("WRITEBACK_BROKER__USERNAME", &broker_user)
                .env(
                    "WRITEBACK_BROKER__PASSWORD_FILE",
                    place.path(format!("secrets/broker-{broker_user}")),
                )
                .env("WRITEBACK_TELEMETRY__LOG_FILTER", "trace")
                .env(
                    "WRITEBACK_TELEMETRY__OTLP_ENDPOINT",
                    format!("http://{collector}"),
                )
                .env("RUST_BACKTRACE", "full")
                .stdin(Stdio::null())
                .stdout(log()?)
                .stderr(log()?)
                .kill_on_drop(true)
                .spawn()
                .with_context(|| format!("cannot start {name}"))?;
            talkative.children.push((name, child));
            talkative.admins.push(format!("http://{admin}"));
        }
        talkative.ready().await?;
        Ok(talkative)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .build()?;
        for ((name, child), admin) in self.children.iter_mut().zip(&self.admins) {
            let (what, url) = (format!("{name} is ready"), format!("{admin}/readyz"));
            let ready = until(&what, PATIENCE, || async {
                let answer = client.get(&url).send().await;
                Ok(answer
                    .is_ok_and(|answer| answer.status().is_success())
                    .then_some(()))
            });
            tokio::select! {
                ready = ready => ready?,
                status = child.wait() => bail!("{name} ended: {}", status?),
            }
        }
        Ok(())
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.children
            .iter()
            .map(|(name, _)| name.as_str())
            .collect()
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.children
            .iter()
            .filter_map(|(_, child)| child.id())
            .collect()
    }

    /// Asks them to stop, so that they send what they have to send, and waits.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        for pid in self.pids() {
            Command::new("kill")
                .args(["-TERM", &pid.to_string()])
                .status()
                .await?;
        }
        for (name, child) in &mut self.children {
            let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
            ended.with_context(|| format!("{name} does not stop"))??;
        }
        Ok(())
    }
}
