//! A real Prometheus that scrapes the lab, with the product's own rules.

use std::{fs, net::TcpListener, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, bail, ensure};
use lab::{Lab, Place};
use reqwest::{Client, Url};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::wait::until;

const PATIENCE: Duration = Duration::from_secs(10);
const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// Where the lab's broker tells its metrics.
const BROKER: &str = "127.0.0.1:15692";

/// Runs until it is dropped.
pub struct Prometheus {
    client: Client,
    url: Url,
    _process: Child,
}

/// A value of an instant vector.
#[derive(Debug, Clone)]
pub struct Sample {
    pub labels: Value,
    pub value: f64,
}

impl Prometheus {
    /// Watches the lab every second, and returns when each of its pages was read and each rule evaluated.
    pub async fn watch(name: &str) -> anyhow::Result<Self> {
        crate::provide_cryptography();
        let place = Place::of_this_repository()?;
        let home = place.path("prometheus").join(name);
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        fs::create_dir_all(&home)?;
        let configuration = home.join("prometheus.yml");
        // JSON is YAML
        fs::write(
            &configuration,
            configured(&Lab::load()?, &place)?.to_string(),
        )?;
        let port = free_port()?;
        let log = fs::File::create(home.join("log"))?;
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                home.join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start prometheus: run tests/lab/install.sh")?;
        let prometheus = Self {
            client: Client::builder().timeout(PATIENCE).build()?,
            url: Url::parse(&format!("http://127.0.0.1:{port}/api/v1/"))?,
            _process: process,
        };
        until(
            "Prometheus has read every page and every rule",
            STARTS_WITHIN,
            || async {
                let Ok(up) = prometheus.query("up").await else {
                    return Ok(None);
                };
                let targets = Lab::load()?.services.len() + 2;
                let read = up.len() == targets && up.iter().all(|sample| sample.value > 0.0);
                Ok((read && prometheus.has_evaluated().await?).then_some(()))
            },
        )
        .await
        .with_context(|| format!("see {}", home.join("log").display()))?;
        Ok(prometheus)
    }

    /// What an expression says now.
    pub async fn query(&self, expression: &str) -> anyhow::Result<Vec<Sample>> {
        let mut url = self.url.join("query")?;
        url.query_pairs_mut().append_pair("query", expression);
        let answer: Value = self.client.get(url).send().await?.json().await?;
        ensure!(
            answer.get("status") == Some(&json!("success")),
            "{expression}: {}",
            answer.get("error").unwrap_or(&answer)
        );
        let samples = answer.pointer("/data/result").and_then(Value::as_array);
        samples
            .with_context(|| format!("{expression} is no vector: {answer}"))?
            .iter()
            .map(sample)
            .collect()
    }

    async fn has_evaluated(&self) -> anyhow::Result<bool> {
        let answer: Value = self
            .client
            .get(self.url.join("rules")?)
            .send()
            .await?
            .json()
            .await?;
        let groups = answer.pointer("/data/groups").and_then(Value::as_array);
        let groups = groups.with_context(|| format!("no rules: {answer}"))?;
        // the time of what never was is the year 1
        let never = |group: &Value| {
            let at = group.get("lastEvaluation").and_then(Value::as_str);
            at.is_none_or(|at| at.starts_with("0001-"))
        };
        Ok(!groups.is_empty() && !groups.iter().any(never))
    }

    /// The labels of the alerts with this name that are firing.
    pub async fn firing(&self, alert: &str) -> anyhow::Result<Vec<Value>> {
        let expression = format!("ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}}");
        let samples = self.query(&expression).await?;
        Ok(samples.into_iter().map(|sample| sample.labels).collect())
    }
}

fn sample(of: &Value) -> anyhow::Result<Sample> {
    let value = of.pointer("/value/1").and_then(Value::as_str);
    Ok(Sample {
        labels: of.get("metric").cloned().unwrap_or_default(),
        value: value.context("a sample without a value")?.parse()?,
    })
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// As `deploy/compose/prometheus.yml`, with the lab's addresses, and every second.
fn configured(lab: &Lab, place: &Place) -> anyhow::Result<Value> {
    let rules = place.repository().join("deploy/prometheus");
    let rule_files: Vec<PathBuf> = ["rules.yml", "alerts.yml"]
        .map(|file| rules.join(file))
        .into();
    let mut services = Vec::new();
    for service in &lab.services {
        let Some((deployment, _)) = service.name.rsplit_once('-') else {
            bail!("{} has no number", service.name);
        };
        services.push(json!({
            "targets": [service.admin.trim_start_matches("http://")],
            "labels": { "instance": service.name, "deployment": deployment },
        }));
    }
    let broker = json!([{ "targets": [BROKER] }]);
    Ok(json!({
        "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
        "rule_files": rule_files,
        "scrape_configs": [
            { "job_name": "writeback", "static_configs": services },
            { "job_name": "rabbitmq", "static_configs": broker },
            { "job_name": "rabbitmq-queues", "static_configs": broker, "metrics_path": "/metrics/detailed",
              "params": { "vhost": ["writeback"], "family": ["queue_coarse_metrics", "queue_consumer_count"] } },
        ],
    }))
}
