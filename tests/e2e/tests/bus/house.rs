//! A virtual host of one test's own on the lab's broker.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, ensure};
use bus::{BrokerConfig, Bus, BusError, Deliveries, Delivery, Message};
use reqwest::{Client, Method};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;

pub(crate) const SOON: Duration = Duration::from_secs(15);

pub(crate) struct House {
    pub(crate) broker: SocketAddr,
    pub(crate) name: String,
    pub(crate) username: String,
    pub(crate) password: String,
    management: Url,
    client: Client,
}

impl House {
    pub(crate) async fn build() -> anyhow::Result<Self> {
        // the provider is the process's; another test may have been first
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let lab = lab::Lab::load()?.rabbitmq;
        let amqp = Url::parse(&lab.amqp)?;
        let house = Self {
            broker: format!(
                "{}:{}",
                amqp.host_str().context("the broker has no host")?,
                amqp.port().context("the broker has no port")?
            )
            .parse()?,
            name: format!("bus-test-{}", uuid::Uuid::now_v7().simple()),
            username: amqp.username().to_owned(),
            password: amqp.password().unwrap_or_default().to_owned(),
            management: Url::parse(&lab.management)?,
            client: Client::builder().timeout(SOON).build()?,
        };
        house
            .ask(Method::PUT, &format!("vhosts/{}", house.name))
            .await?;
        house
            .ask(
                Method::PUT,
                &format!("permissions/{}/{}", house.name, house.username),
            )
            .await?;
        Ok(house)
    }

    pub(crate) async fn tear_down(&self) -> anyhow::Result<()> {
        self.ask(Method::DELETE, &format!("vhosts/{}", self.name))
            .await
    }

    async fn ask(&self, method: Method, path: &str) -> anyhow::Result<()> {
        let mut url = self.management.join(&format!("api/{path}"))?;
        ensure!(
            url.set_username("").is_ok() && url.set_password(None).is_ok(),
            "the management URL takes no credentials"
        );
        let rights = json!({ "configure": ".*", "write": ".*", "read": ".*" });
        self.client
            .request(method, url)
            .basic_auth(&self.username, Some(&self.password))
            .header("content-type", "application/json")
            .body(rights.to_string())
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    pub(crate) fn config(&self, at: SocketAddr) -> BrokerConfig {
        BrokerConfig {
            url: format!("amqp://{at}/{}", self.name),
            username: self.username.clone(),
            password: self.password.clone().into(),
            ca_pem: None,
        }
    }

    pub(crate) async fn bus(&self) -> anyhow::Result<Bus> {
        self.bus_by(self.broker).await
    }

    pub(crate) async fn bus_by(&self, at: SocketAddr) -> anyhow::Result<Bus> {
        Ok(connect(self.config(at)).await?)
    }
}

pub(crate) async fn connect(config: BrokerConfig) -> Result<Bus, BusError> {
    Bus::connect(config, "bus-test", CancellationToken::new()).await
}

pub(crate) fn message(body: &str) -> Message {
    Message {
        body: body.as_bytes().to_vec(),
        id: body.to_owned(),
        reply_to: None,
        time_to_live: None,
    }
}

/// The next delivery, which must come.
pub(crate) async fn next(deliveries: &mut Deliveries) -> anyhow::Result<Delivery> {
    timeout(SOON, deliveries.next())
        .await
        .context("no delivery")?
        .context("the deliveries ended")
}
