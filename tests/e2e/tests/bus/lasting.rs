//! Connections break; nothing that was confirmed is lost, and the streams go on.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, ensure};
use bus::{Destination, Queue};
use e2e::until;
use tokio::time::timeout;

use crate::{
    house::{House, SOON, message, next},
    proxy::Proxy,
};

const MESSAGES: usize = 300;
const CUT_EVERY: usize = 60;
const ROUNDS: u32 = 10;
const PIECE: Duration = Duration::from_millis(3);

#[tokio::test]
async fn deliveries_outlive_the_connection() -> anyhow::Result<()> {
    let house = House::build().await?;
    let proxy = Proxy::plain(house.broker).await?;
    let mut deliveries = house
        .bus_by(proxy.address)
        .await?
        .consume(Queue::Outcomes, 1)
        .await?;
    let publisher = house.bus().await?.publisher();
    publisher
        .publish(Destination::Outcome, message("before"))
        .await?;
    let before = next(&mut deliveries).await?;
    proxy.cut();
    until("it is in other hands", SOON, || async {
        Ok((!before.is_held()).then_some(()))
    })
    .await?;
    ensure!(before.ack().await.is_err(), "settled without a connection");
    proxy.mend();
    let again = next(&mut deliveries).await?;
    ensure!(again.body == b"before" && again.redelivered && again.attempts == 1);
    again.ack().await?;
    publisher
        .publish(Destination::Outcome, message("after"))
        .await?;
    ensure!(next(&mut deliveries).await?.body == b"after");
    house.tear_down().await
}

#[tokio::test]
async fn nothing_confirmed_is_lost_while_connections_break() -> anyhow::Result<()> {
    let house = House::build().await?;
    let (to_publish, to_consume) = (
        Proxy::plain(house.broker).await?,
        Proxy::plain(house.broker).await?,
    );
    let bus = house.bus_by(to_publish.address).await?;
    let mut deliveries = house
        .bus_by(to_consume.address)
        .await?
        .consume(Queue::Outcomes, 16)
        .await?;
    let publisher = bus.publisher();
    let publishing = async {
        for number in 0..MESSAGES {
            if number % CUT_EVERY == CUT_EVERY - 1 {
                to_publish.cut();
                to_consume.cut();
                to_publish.mend();
                to_consume.mend();
            }
            until("a message is confirmed", SOON, || async {
                let attempt = publisher.publish(Destination::Outcome, message(&number.to_string()));
                Ok(attempt.await.ok())
            })
            .await?;
        }
        anyhow::Ok(())
    };
    let consuming = async {
        let mut seen = BTreeSet::new();
        while seen.len() < MESSAGES {
            let delivery = next(&mut deliveries).await?;
            let number: usize = String::from_utf8(delivery.body.clone())?.parse()?;
            // what cannot be settled comes again
            let _ = delivery.ack().await;
            seen.insert(number);
        }
        anyhow::Ok(())
    };
    let (sent, received) = tokio::join!(publishing, consuming);
    sent?;
    received?;
    house.tear_down().await
}

/// A service waits for a delivery beside other things, and begins to wait anew whenever one of those happens.
#[tokio::test]
async fn deliveries_waited_for_in_pieces_are_all_delivered() -> anyhow::Result<()> {
    let house = House::build().await?;
    let proxy = Proxy::plain(house.broker).await?;
    let mut deliveries = house
        .bus_by(proxy.address)
        .await?
        .consume(Queue::Outcomes, 8)
        .await?;
    let publisher = house.bus().await?.publisher();
    for round in 0..ROUNDS {
        proxy.cut();
        proxy.mend();
        publisher
            .publish(Destination::Outcome, message(&round.to_string()))
            .await?;
        let delivery = timeout(SOON, async {
            loop {
                // now and then in the very middle of reopening
                let piece = PIECE + PIECE * (round % 7);
                if let Ok(delivery) = timeout(piece, deliveries.next()).await {
                    break delivery;
                }
            }
        })
        .await
        .context("it is with a consumer that nobody knows any more")?
        .context("the deliveries ended")?;
        ensure!(delivery.body == round.to_string().as_bytes());
        delivery.ack().await?;
    }
    house.tear_down().await
}
