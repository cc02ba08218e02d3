//! What the broker sees, through its management API: every message as it is published.

use std::time::Duration;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

use crate::wait::until;

const PATIENCE: Duration = Duration::from_secs(15);
const VIRTUAL_HOST: &str = "writeback";
/// More than any test publishes between two looks.
const AT_MOST: usize = 10_000;

/// The management API, as the lab's administrator.
pub struct Broker {
    client: Client,
    base: Url,
}

/// A message as it was published.
#[derive(Debug)]
pub struct Published {
    pub exchange: String,
    /// Properties and headers.
    pub envelope: Value,
    pub body: Vec<u8>,
}

impl Published {
    /// Whether it is about this operation, as its properties say.
    pub fn is_about(&self, operation_id: &str) -> bool {
        self.envelope.to_string().contains(operation_id)
    }
}

impl Broker {
    pub fn of_the_lab() -> anyhow::Result<Self> {
        crate::provide_cryptography();
        let management = lab::Lab::load()?.rabbitmq.management;
        Ok(Self {
            client: Client::builder().timeout(PATIENCE).build()?,
            base: Url::parse(&management)?.join("/api/")?,
        })
    }

    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = self.base.join(path)?;
        let text = self
            .client
            .request(method.clone(), url)
            .json(body)
            .send()
            .await?
            .error_for_status()
            .with_context(|| format!("{method} {path}"))?
            .text()
            .await?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Hears everything that is published from now on, by RabbitMQ's own tracer
    /// (rabbitmq.com/docs/firehose).
    pub async fn overhear(self) -> anyhow::Result<Overheard> {
        let queue = format!("overheard.{}", uuid::Uuid::new_v4());
        let declared = format!("queues/{VIRTUAL_HOST}/{queue}");
        self.ask(Method::PUT, &declared, &json!({ "durable": false }))
            .await?;
        let bound = format!("bindings/{VIRTUAL_HOST}/e/amq.rabbitmq.trace/q/{queue}");
        let every_publication = json!({ "routing_key": "publish.#" });
        self.ask(Method::POST, &bound, &every_publication).await?;
        self.trace(true).await?;
        Ok(Overheard {
            broker: self,
            queue,
        })
    }

    /// The last step of taking a forest out: its queue is deleted, once it is empty.
    pub async fn delete_queues_of_removed_forests(&self) -> anyhow::Result<()> {
        let queues = format!("queues/{VIRTUAL_HOST}");
        let listed = self.ask(Method::GET, &queues, &json!({})).await?;
        let names = listed.as_array().context("no list of queues")?.iter();
        let forests = lab::Lab::load()?.forests;
        for name in names.filter_map(|queue| queue["name"].as_str()) {
            let Some(forest) = name.strip_prefix("writeback.forest.") else {
                continue;
            };
            if forests.iter().any(|known| known.id == forest) {
                continue;
            }
            let queue = format!("{queues}/{name}");
            until(&format!("{name} is empty"), PATIENCE, || async {
                let told = self.ask(Method::GET, &queue, &json!({})).await?;
                let empty = told.get("messages") == Some(&json!(0));
                Ok(empty.then_some(()))
            })
            .await?;
            self.ask(Method::DELETE, &queue, &json!({})).await?;
        }
        Ok(())
    }

    /// Until no message is left in any queue, nor in anybody's hands.
    pub async fn emptied(&self, within: Duration) -> anyhow::Result<()> {
        let queues = format!("queues/{VIRTUAL_HOST}");
        until("every queue is empty", within, || async {
            let listed = self.ask(Method::GET, &queues, &json!({})).await?;
            let mut all = listed.as_array().context("no list of queues")?.iter();
            let empty = all.all(|queue| queue.get("messages") == Some(&json!(0)));
            Ok(empty.then_some(()))
        })
        .await
    }

    async fn trace(&self, on: bool) -> anyhow::Result<()> {
        let path = format!("vhosts/{VIRTUAL_HOST}");
        self.ask(Method::PUT, &path, &json!({ "tracing": on }))
            .await?;
        Ok(())
    }
}

/// What is published while it is listened to.
pub struct Overheard {
    broker: Broker,
    queue: String,
}

impl Overheard {
    /// What was published since the last look.
    pub async fn take(&self) -> anyhow::Result<Vec<Published>> {
        let path = format!("queues/{VIRTUAL_HOST}/{}/get", self.queue);
        let wanted = json!({
            "count": AT_MOST, "ackmode": "ack_requeue_false", "encoding": "base64",
        });
        let messages = self.broker.ask(Method::POST, &path, &wanted).await?;
        let messages = messages.as_array().context("no list of messages")?;
        messages
            .iter()
            .map(|message| {
                let text = message["payload"].as_str().unwrap_or_default();
                let body = match message["payload_encoding"].as_str() {
                    Some("base64") => STANDARD.decode(text)?,
                    _ => text.as_bytes().to_vec(),
                };
                let key = message["routing_key"].as_str().unwrap_or_default();
                Ok(Published {
                    exchange: key.trim_start_matches("publish.").to_owned(),
                    envelope: message["properties"].clone(),
                    body,
                })
            })
            .collect()
    }

    /// Nothing is heard any more. Not called by a test that fails: the lab goes with its tracer.
    pub async fn end(self) -> anyhow::Result<()> {
        self.broker.trace(false).await?;
        let path = format!("queues/{VIRTUAL_HOST}/{}", self.queue);
        self.broker.ask(Method::DELETE, &path, &json!({})).await?;
        Ok(())
    }
}
