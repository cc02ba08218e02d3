//! A connection that cannot be made says which setting to look at, and passwords never travel in the clear by mistake.

use anyhow::{Context as _, ensure};
use bus::{BrokerConfig, BusError, Queue};

use crate::{
    house::{House, connect},
    proxy::Proxy,
};

/// The error in words. It must come at once, not after the patience for a broker that is away.
async fn refusal(config: BrokerConfig) -> anyhow::Result<(BusError, String)> {
    let began = std::time::Instant::now();
    let error = connect(config).await.err().context("it connected")?;
    ensure!(
        began.elapsed() < std::time::Duration::from_secs(20),
        "{error} only after {:?}",
        began.elapsed()
    );
    let words = error.to_string();
    Ok((error, words))
}

#[tokio::test]
async fn a_wrong_password() -> anyhow::Result<()> {
    let house = House::build().await?;
    let (error, words) = refusal(BrokerConfig {
        password: "not-the-password".to_owned().into(),
        ..house.config(house.broker)
    })
    .await?;
    ensure!(matches!(error, BusError::Credentials { .. }), "{error:?}");
    ensure!(words.contains("broker.username") && words.contains("broker.password_file"));
    ensure!(!format!("{error:?} {words}").contains("not-the-password"));
    house.tear_down().await
}

#[tokio::test]
async fn a_virtual_host_that_does_not_exist() -> anyhow::Result<()> {
    let house = House::build().await?;
    let (error, words) = refusal(BrokerConfig {
        url: format!("amqp://{}/elsewhere", house.broker),
        ..house.config(house.broker)
    })
    .await?;
    ensure!(matches!(error, BusError::VirtualHost { .. }), "{error:?}");
    ensure!(
        words.contains("broker.url") && words.contains("elsewhere"),
        "{words}"
    );
    house.tear_down().await
}

#[tokio::test]
async fn tls_spoken_to_a_plain_port() -> anyhow::Result<()> {
    let house = House::build().await?;
    let (error, words) = refusal(BrokerConfig {
        url: format!("amqps://{}/{}", house.broker, house.name),
        ..house.config(house.broker)
    })
    .await?;
    ensure!(matches!(error, BusError::Tls { .. }), "{error:?}");
    ensure!(
        words.contains("broker.url") && words.contains("port"),
        "{words}"
    );
    house.tear_down().await
}

#[tokio::test]
async fn plain_amqp_spoken_to_a_tls_port() -> anyhow::Result<()> {
    let house = House::build().await?;
    let proxy = Proxy::tls(house.broker).await?;
    let (error, words) = refusal(house.config(proxy.address)).await?;
    ensure!(matches!(error, BusError::NotAmqp { .. }), "{error:?}");
    ensure!(words.contains("amqps://"), "{words}");
    house.tear_down().await
}

#[tokio::test]
async fn tls_with_the_right_authority_and_with_none() -> anyhow::Result<()> {
    let house = House::build().await?;
    let proxy = Proxy::tls(house.broker).await?;
    let over_tls = |ca_pem: Option<Vec<u8>>| BrokerConfig {
        url: format!("amqps://localhost:{}/{}", proxy.address.port(), house.name),
        ca_pem,
        ..house.config(proxy.address)
    };
    let authority = proxy.authority.clone().context("no authority")?;
    let bus = connect(over_tls(Some(authority.into_bytes()))).await?;
    bus.consume(Queue::Requests, 1).await?;
    let (error, words) = refusal(over_tls(None)).await?;
    ensure!(matches!(error, BusError::Tls { .. }), "{error:?}");
    ensure!(words.contains("broker.ca_file"), "{words}");
    house.tear_down().await
}

#[tokio::test]
async fn credentials_in_the_address() -> anyhow::Result<()> {
    let house = House::build().await?;
    let (error, words) = refusal(BrokerConfig {
        url: format!("amqp://somebody:secret@{}/{}", house.broker, house.name),
        ..house.config(house.broker)
    })
    .await?;
    ensure!(matches!(error, BusError::Address(_)), "{error:?}");
    ensure!(
        words.contains("broker.password_file") && !words.contains("secret"),
        "{words}"
    );
    house.tear_down().await
}
