//! The public door: HTTP as any caller speaks it.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use operation::ForestId;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, Method, RequestBuilder};
use sealing::PublicKeys;
use serde_json::Value;

use crate::event::Event;
use crate::wait::until;

const STRUCTURED: &str = "application/cloudevents+json";
const BATCHED: &str = "application/cloudevents-batch+json";
/// Longer than the longest deadline an event gets by itself.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Door {
    client: Client,
    intake: lab::Intake,
    key_set: Value,
    keys: PublicKeys,
    forests: Vec<ForestId>,
}

/// What came back, and after how long.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
    pub took: Duration,
}

impl Answer {
    /// A member of the body, or nothing.
    pub fn text(&self, member: &str) -> &str {
        self.body
            .get(member)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub fn operation_id(&self) -> anyhow::Result<&str> {
        ["id", "operationId"]
            .into_iter()
            .map(|member| self.text(member))
            .find(|id| !id.is_empty())
            .with_context(|| format!("no operation in {}: {}", self.status, self.body))
    }

    pub fn location(&self) -> Option<&str> {
        self.headers.get(LOCATION)?.to_str().ok()
    }

    /// A problem (RFC 9457) with this status that names this field of the event.
    pub fn expect_malformed(&self, field: &str) -> anyhow::Result<()> {
        ensure!(
            self.status == 400
                && self.text("field") == field
                && self.text("detail").contains(field),
            "not 400 for {field}: {} {}",
            self.status,
            self.body
        );
        self.expect_problem()
    }

    /// Every member that RFC 9457 names, and as what it is sent.
    pub fn expect_problem(&self) -> anyhow::Result<()> {
        let media_type = self
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        ensure!(
            media_type == Some("application/problem+json"),
            "a problem sent as {media_type:?}: {} {}",
            self.status,
            self.body
        );
        ensure!(
            self.body.get("status") == Some(&Value::from(self.status))
                && ["type", "title", "detail"]
                    .iter()
                    .all(|member| !self.text(member).is_empty()),
            "not a whole problem: {}",
            self.body
        );
        Ok(())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn expect_applied(&self) -> anyhow::Result<()> {
        ensure!(
            self.status == 200 && self.text("status") == "applied",
            "not applied: {} {}",
            self.status,
            self.body
        );
        Ok(())
    }

    /// A problem (RFC 9457) with this status, reason and classic event id.
    pub fn expect_refused(&self, status: u16, reason: operation::Reason) -> anyhow::Result<()> {
        ensure!(
            self.status == status
                && self.text("reason") == reason.code()
                && self.text("eventId") == reason.event_id(),
            "not {status} {}: {} {}",
            reason.code(),
            self.status,
            self.body
        );
        ensure!(
            self.text("actor") == reason.actor().as_str() && self.body.get("violations").is_some(),
            "who must act is not told: {}",
            self.body
        );
        self.expect_problem()
    }
}

impl Door {
    pub(crate) async fn open(intake: lab::Intake) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(PATIENCE).build()?;
        let json = client
            .get(format!("{}/.well-known/jwks.json", intake.url))
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?;
        let key_set = serde_json::from_slice(&json)?;
        let keys = PublicKeys::from_jwks(&json)?;
        let mut forests: Vec<ForestId> = Vec::new();
        for key in keys.iter() {
            if !forests.contains(key.forest()) {
                forests.push(key.forest().clone());
            }
        }
        Ok(Self {
            client,
            intake,
            key_set,
            keys,
            forests,
        })
    }

    /// The same door, reached another way: over TLS for one.
    #[must_use]
    pub fn at(mut self, url: &str, client: Client) -> Self {
        url.clone_into(&mut self.intake.url);
        self.client = client;
        self
    }

    /// The public sealing keys as they are published.
    pub const fn key_set(&self) -> &Value {
        &self.key_set
    }

    /// Every replica's address.
    pub fn urls(&self) -> &[String] {
        &self.intake.urls
    }

    /// A request without a token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.intake.url))
    }

    /// The token with every scope.
    pub fn token(&self) -> &str {
        &self.intake.token
    }

    /// An event with the token and nothing said of its mode.
    pub fn post(&self) -> RequestBuilder {
        self.request(Method::POST, "/v1/events")
            .bearer_auth(&self.intake.token)
    }

    /// Sends the event as it is to one replica.
    pub async fn send_to(&self, replica: &str, event: &Value) -> anyhow::Result<Answer> {
        let request = self
            .client
            .post(format!("{replica}/v1/events"))
            .bearer_auth(&self.intake.token)
            .header(CONTENT_TYPE, STRUCTURED)
            .body(event.to_string());
        self.answer(request).await
    }

    pub async fn send_with_preference(
        &self,
        replica: &str,
        event: &Value,
        preference: &str,
    ) -> anyhow::Result<Answer> {
        let request = self
            .client
            .post(format!("{replica}/v1/events"))
            .bearer_auth(&self.intake.token)
            .header(CONTENT_TYPE, STRUCTURED)
            .header("prefer", preference)
            .body(event.to_string());
        self.answer(request).await
    }

    /// Sends several events as one batch.
    pub async fn send_batch(&self, events: &[Value]) -> anyhow::Result<Answer> {
        let request = self
            .post()
            .header(CONTENT_TYPE, BATCHED)
            .body(Value::from(events).to_string());
        self.answer(request).await
    }

    /// The door at this address, for a caller of the lab.
    pub async fn open_at(url: &str) -> anyhow::Result<Self> {
        let intake = lab::Lab::load()?.intake;
        Self::open(lab::Intake {
            url: url.to_owned(),
            ..intake
        })
        .await
    }

    /// The event as JSON, sealed to the keys the door publishes.
    pub fn prepare(&self, event: &Event) -> anyhow::Result<Value> {
        event.to_json(&self.keys, &self.forests)
    }

    /// Sends the event and waits for how it ends.
    pub async fn send(&self, event: &Event) -> anyhow::Result<Answer> {
        self.send_json(&self.prepare(event)?).await
    }

    pub async fn send_json(&self, event: &Value) -> anyhow::Result<Answer> {
        self.answer(self.events(&self.intake.token).body(event.to_string()))
            .await
    }

    /// Sends the event and does not wait: `Prefer: respond-async` (RFC 7240).
    pub async fn send_without_waiting(&self, event: &Event) -> anyhow::Result<Answer> {
        let request = self
            .events(&self.intake.token)
            .header("prefer", "respond-async")
            .body(self.prepare(event)?.to_string());
        self.answer(request).await
    }

    /// Sends the event as part of a trace (W3C Trace Context).
    pub async fn send_in_trace(&self, event: &Event, traceparent: &str) -> anyhow::Result<Answer> {
        let request = self
            .events(&self.intake.token)
            .header("traceparent", traceparent)
            .body(self.prepare(event)?.to_string());
        self.answer(request).await
    }

    pub async fn send_with_token(&self, event: &Event, token: &str) -> anyhow::Result<Answer> {
        let request = self.events(token).body(self.prepare(event)?.to_string());
        self.answer(request).await
    }

    pub async fn send_raw(&self, body: impl Into<reqwest::Body>) -> anyhow::Result<Answer> {
        self.answer(self.events(&self.intake.token).body(body))
            .await
    }

    /// A token with this one scope.
    pub fn token_for(&self, scope: &str) -> anyhow::Result<&str> {
        self.intake
            .tokens
            .get(scope)
            .map(String::as_str)
            .with_context(|| format!("the lab has no token for {scope}"))
    }

    /// The operation as the ledger has it.
    pub async fn operation(&self, id: &str) -> anyhow::Result<Answer> {
        let request = self
            .client
            .get(format!("{}/v1/operations/{id}", self.intake.url))
            .bearer_auth(&self.intake.token);
        self.answer(request).await
    }

    /// Until the operation is in this forest's queue.
    pub async fn handed_to(&self, forest: &str, id: &str, within: Duration) -> anyhow::Result<()> {
        until("it is handed to the forest", within, || async {
            let operation = self.operation(id).await?;
            Ok((operation.text("forest") == forest).then_some(()))
        })
        .await
    }

    /// The operation once it has ended.
    pub async fn ended_operation(&self, id: &str) -> anyhow::Result<Answer> {
        until(&format!("the end of operation {id}"), PATIENCE, || async {
            let answer = self.operation(id).await?;
            ensure!(
                answer.status == 200,
                "operation {id}: {} {}",
                answer.status,
                answer.body
            );
            Ok((answer.text("status") != "pending").then_some(answer))
        })
        .await
    }

    fn events(&self, token: &str) -> RequestBuilder {
        self.request(Method::POST, "/v1/events")
            .bearer_auth(token)
            .header(CONTENT_TYPE, STRUCTURED)
    }

    pub async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Answer> {
        let began = Instant::now();
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await?;
        Ok(Answer {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
            took: began.elapsed(),
        })
    }
}
