//! The product's way: an event at the public door, answered when the password is set.

use std::time::Duration;

use anyhow::ensure;
use reqwest::{
    Client,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;

use crate::round::Worker;

/// Longer than the deadline an event gets by itself.
const PATIENCE: Duration = Duration::from_mins(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// One caller, with a connection of its own to one replica of the door.
pub(crate) struct Caller {
    client: Client,
    intake: String,
    authorization: HeaderValue,
    /// The operation that ended last.
    last: Option<String>,
}

#[derive(Deserialize)]
struct Operation {
    id: String,
    status: String,
}

/// So many callers, spread over the door's replicas.
pub(crate) fn callers(intake: &lab::Intake, count: usize) -> anyhow::Result<Vec<Caller>> {
    let mut authorization = HeaderValue::try_from(format!("Bearer {}", intake.token))?;
    authorization.set_sensitive(true);
    intake
        .urls
        .iter()
        .cycle()
        .take(count)
        .map(|url| {
            Ok(Caller {
                client: Client::builder().timeout(PATIENCE).build()?,
                intake: url.clone(),
                authorization: authorization.clone(),
                last: None,
            })
        })
        .collect()
}

impl Worker for Caller {
    type Operation = String;

    async fn carry_out(&mut self, event: String) -> anyhow::Result<()> {
        let response = self
            .client
            .post(format!("{}/v1/events", self.intake))
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, "application/cloudevents+json")
            .body(event)
            .send()
            .await?;
        let status = response.status();
        let body = response.bytes().await?;
        let told = || format!("not applied: {status} {}", String::from_utf8_lossy(&body));
        ensure!(status.as_u16() == 200, told());
        let operation: Operation = serde_json::from_slice(&body)?;
        ensure!(operation.status == "applied", told());
        self.last = Some(operation.id);
        Ok(())
    }
}

impl Caller {
    /// Returns once the ledger, too, has the end of this caller's last operation: what is still being written down then
    /// would be charged to the next round.
    pub(crate) async fn written_down(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.last.take() else {
            return Ok(());
        };
        let looking = async {
            loop {
                let body = self
                    .client
                    .get(format!("{}/v1/operations/{id}", self.intake))
                    .header(AUTHORIZATION, &self.authorization)
                    .send()
                    .await?
                    .error_for_status()?
                    .bytes()
                    .await?;
                let operation: Operation = serde_json::from_slice(&body)?;
                if operation.status == "applied" {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await?
    }
}
