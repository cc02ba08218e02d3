//! Deliveries are handled side by side, and none is left half-way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use bus::{Bus, Destination, Queue};
use e2e::until;
use tokio::{
    sync::{Barrier, Semaphore},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::house::{House, SOON, message, next};

const A_WHILE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn they_are_handled_side_by_side_and_to_their_end() -> anyhow::Result<()> {
    let house = House::build().await?;
    let shutdown = CancellationToken::new();
    let bus = Bus::connect(house.config(house.broker), "bus-test", shutdown.clone()).await?;
    let deliveries = bus.consume(Queue::Outcomes, 2).await?;
    // two handlers and this test: each comes through only when the others are there too
    let (under_way, go_on) = (Arc::new(Barrier::new(3)), Arc::new(Semaphore::new(0)));
    let ended = Arc::new(AtomicUsize::new(0));
    let mut handling = {
        let (under_way, go_on, ended) = (
            Arc::clone(&under_way),
            Arc::clone(&go_on),
            Arc::clone(&ended),
        );
        tokio::spawn(deliveries.each(move |delivery| {
            let (under_way, go_on, ended) = (
                Arc::clone(&under_way),
                Arc::clone(&go_on),
                Arc::clone(&ended),
            );
            async move {
                under_way.wait().await;
                drop(go_on.acquire().await);
                if delivery.ack().await.is_ok() {
                    ended.fetch_add(1, Ordering::AcqRel);
                }
            }
        }))
    };
    let publisher = house.bus().await?.publisher();
    for body in ["one", "two"] {
        publisher
            .publish(Destination::Outcome, message(body))
            .await?;
    }
    timeout(SOON, under_way.wait())
        .await
        .context("they wait for each other")?;
    shutdown.cancel();
    ensure!(
        timeout(A_WHILE, &mut handling).await.is_err(),
        "it did not wait for what was under way"
    );
    go_on.add_permits(2);
    timeout(SOON, handling).await.context("it does not end")??;
    ensure!(ended.load(Ordering::Acquire) == 2);
    let waiting = house.bus().await?.waiting(&Queue::Outcomes).await?;
    ensure!(waiting == 0, "{waiting} were given back");
    house.tear_down().await
}

/// What is given back counts as taken: the next writer could not know whether it was begun with.
#[tokio::test]
async fn what_was_sent_before_shutdown_is_delivered_and_nothing_after() -> anyhow::Result<()> {
    let house = House::build().await?;
    let shutdown = CancellationToken::new();
    let bus = Bus::connect(house.config(house.broker), "bus-test", shutdown.clone()).await?;
    let mut deliveries = bus.consume(Queue::Outcomes, 2).await?;
    let publisher = house.bus().await?.publisher();
    for body in ["one", "two", "three"] {
        publisher
            .publish(Destination::Outcome, message(body))
            .await?;
    }
    let others = house.bus().await?;
    until("two are on their way and one waits", SOON, || async {
        Ok((others.waiting(&Queue::Outcomes).await? == 1).then_some(()))
    })
    .await?;
    shutdown.cancel();
    let mut delivered = Vec::new();
    while let Some(delivery) = timeout(SOON, deliveries.next())
        .await
        .context("the deliveries do not end")?
    {
        delivered.push(String::from_utf8(delivery.body.clone())?);
        delivery.ack().await?;
    }
    ensure!(delivered == ["one", "two"], "{delivered:?}");
    ensure!(deliveries.next().await.is_none());
    let mut left = others.consume(Queue::Outcomes, 2).await?;
    let left = next(&mut left).await?;
    let body = String::from_utf8_lossy(&left.body);
    ensure!(
        body == "three" && !left.redelivered,
        "{body} {}",
        left.redelivered
    );
    house.tear_down().await
}

#[tokio::test]
async fn a_panic_in_one_is_not_kept_quiet() -> anyhow::Result<()> {
    let house = House::build().await?;
    let bus = house.bus().await?;
    let deliveries = bus.consume(Queue::Outcomes, 2).await?;
    let handling = tokio::spawn(deliveries.each(|delivery| async move {
        assert_ne!(delivery.body, b"odd");
    }));
    bus.publisher()
        .publish(Destination::Outcome, message("odd"))
        .await?;
    let ended = timeout(SOON, handling).await.context("it goes on")?;
    ensure!(ended.is_err_and(|error| error.is_panic()));
    house.tear_down().await
}
