//! How messages die decides whether an operation is called expired: only what nobody ever had.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bus::{DeadLetter, Deliveries, Destination, Fate, Message, Queue};
use e2e::until;
use operation::ForestId;

use crate::house::{House, SOON, message, next};

const SHORT: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_hours(1);

fn corp() -> anyhow::Result<ForestId> {
    Ok("corp".parse()?)
}

fn living(time_to_live: Duration) -> Message {
    Message {
        time_to_live: Some(time_to_live),
        ..message("mortal")
    }
}

async fn death(dead_letters: &mut Deliveries) -> anyhow::Result<DeadLetter> {
    let delivery = next(dead_letters).await?;
    ensure!(delivery.body == b"mortal");
    let death = delivery.dead_letter.clone().context("it did not die")?;
    delivery.ack().await?;
    Ok(death)
}

#[tokio::test]
async fn what_nobody_took_dies_in_time_and_untaken() -> anyhow::Result<()> {
    let house = House::build().await?;
    let bus = house.bus().await?;
    let mut dead_letters = bus.consume(Queue::Expired, 1).await?;
    // declared, and nobody consumes
    drop(bus.consume(Queue::Forest(corp()?), 1).await?);
    bus.publisher()
        .publish(Destination::Forest(corp()?), living(SHORT))
        .await?;
    let death = death(&mut dead_letters).await?;
    ensure!(
        death
            == DeadLetter {
                queue: "writeback.forest.corp".to_owned(),
                reason: "expired".to_owned(),
                fate: Fate::Untaken,
            },
        "{death:?}"
    );
    house.tear_down().await
}

/// The connection of whoever had it is lost, before its time or after.
async fn dies_taken(time_to_live: Duration, queue: Queue, to: Destination) -> anyhow::Result<()> {
    let house = House::build().await?;
    let bus = house.bus().await?;
    let mut dead_letters = bus.consume(Queue::Expired, 1).await?;
    let mut deliveries = bus.consume(queue, 1).await?;
    bus.publisher().publish(to, living(time_to_live)).await?;
    let taken = next(&mut deliveries).await?;
    let published = std::time::Instant::now();
    until("its time has come", SOON, || async {
        Ok((time_to_live == LONG || published.elapsed() > time_to_live).then_some(()))
    })
    .await?;
    drop(taken);
    drop(deliveries);
    let death = death(&mut dead_letters).await?;
    ensure!(death.fate == Fate::PerhapsTaken, "{death:?}");
    house.tear_down().await
}

#[tokio::test]
async fn what_a_writer_rejected_says_so() -> anyhow::Result<()> {
    let house = House::build().await?;
    let bus = house.bus().await?;
    let mut dead_letters = bus.consume(Queue::Expired, 1).await?;
    let mut deliveries = bus.consume(Queue::Forest(corp()?), 1).await?;
    bus.publisher()
        .publish(Destination::Forest(corp()?), living(LONG))
        .await?;
    next(&mut deliveries).await?.reject().await?;
    let death = death(&mut dead_letters).await?;
    ensure!(death.fate == Fate::Rejected, "{death:?}");
    house.tear_down().await
}

#[tokio::test]
async fn what_a_writer_had_and_lost_says_so() -> anyhow::Result<()> {
    dies_taken(LONG, Queue::Forest(corp()?), Destination::Forest(corp()?)).await
}

#[tokio::test]
async fn what_a_writer_held_beyond_its_time_says_so() -> anyhow::Result<()> {
    dies_taken(SHORT, Queue::Forest(corp()?), Destination::Forest(corp()?)).await
}

#[tokio::test]
async fn what_a_resolver_had_and_lost_says_so() -> anyhow::Result<()> {
    dies_taken(LONG, Queue::Requests, Destination::Requests).await
}

#[tokio::test]
async fn what_a_resolver_held_beyond_its_time_says_so() -> anyhow::Result<()> {
    dies_taken(SHORT, Queue::Requests, Destination::Requests).await
}

#[tokio::test]
async fn an_outcome_is_delivered_again_and_counted() -> anyhow::Result<()> {
    let house = House::build().await?;
    let bus = house.bus().await?;
    let mut deliveries = bus.consume(Queue::Outcomes, 1).await?;
    bus.publisher()
        .publish(Destination::Outcome, message("outcome"))
        .await?;
    for attempt in 0..25 {
        let taken = next(&mut deliveries).await?;
        ensure!(
            taken.attempts == attempt && taken.redelivered == (attempt > 0),
            "{taken:?}"
        );
        // unsettled, its connection closed
        drop(taken);
        drop(deliveries);
        deliveries = bus.consume(Queue::Outcomes, 1).await?;
    }
    house.tear_down().await
}
