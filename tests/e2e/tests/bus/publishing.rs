//! Publishing says what became of the message.

use anyhow::ensure;
use bus::{Destination, Message, PublishError, Queue};
use e2e::until;
use opentelemetry::{
    global,
    trace::{TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{
    house::{House, SOON, message, next},
    proxy::Proxy,
};

#[tokio::test]
async fn a_message_without_a_queue_is_said_to_be_unroutable() -> anyhow::Result<()> {
    let house = House::build().await?;
    let bus = house.bus().await?;
    let nowhere = Destination::Forest("nowhere".parse()?);
    let published = bus.publisher().publish(nowhere, message("lost")).await;
    let error = published.err();
    ensure!(
        matches!(error, Some(PublishError::Unroutable(_))),
        "{error:?}"
    );
    ensure!(error.is_some_and(|error| error.certainly_not_published()));
    house.tear_down().await
}

#[tokio::test]
async fn a_confirmed_message_arrives_as_it_was_sent_and_once() -> anyhow::Result<()> {
    let house = House::build().await?;
    let bus = house.bus().await?;
    let mut deliveries = bus.consume(Queue::Requests, 1).await?;
    let sent = Message {
        reply_to: Some("writeback.replies.somebody".to_owned()),
        ..message("a body")
    };
    bus.publisher().publish(Destination::Requests, sent).await?;
    let delivery = next(&mut deliveries).await?;
    ensure!(delivery.body == b"a body");
    ensure!(delivery.reply_to.as_deref() == Some("writeback.replies.somebody"));
    ensure!(!delivery.redelivered && delivery.attempts == 0);
    ensure!(delivery.dead_letter.is_none() && delivery.is_held());
    delivery.ack().await?;
    drop(deliveries);
    ensure!(bus.waiting(&Queue::Requests).await? == 0);
    house.tear_down().await
}

#[tokio::test]
async fn what_waits_is_counted() -> anyhow::Result<()> {
    let house = House::build().await?;
    let bus = house.bus().await?;
    ensure!(
        bus.waiting(&Queue::Outcomes).await.is_err(),
        "a queue that does not exist is counted"
    );
    drop(bus.consume(Queue::Outcomes, 1).await?);
    for body in ["one", "two"] {
        bus.publisher()
            .publish(Destination::Outcome, message(body))
            .await?;
    }
    until("two messages wait", SOON, || async {
        Ok((bus.waiting(&Queue::Outcomes).await? == 2).then_some(()))
    })
    .await?;
    house.tear_down().await
}

#[tokio::test]
async fn without_a_connection_it_is_certain_that_nothing_was_published() -> anyhow::Result<()> {
    let house = House::build().await?;
    let proxy = Proxy::plain(house.broker).await?;
    let bus = house.bus_by(proxy.address).await?;
    let mut deliveries = house.bus().await?.consume(Queue::Outcomes, 8).await?;
    proxy.cut();
    until("the loss is seen", SOON, || async {
        Ok((!bus.is_connected()).then_some(()))
    })
    .await?;
    let publisher = bus.publisher();
    let refused = publisher
        .publish(Destination::Outcome, message("while away"))
        .await;
    ensure!(
        refused
            .as_ref()
            .is_err_and(PublishError::certainly_not_published),
        "{refused:?}"
    );
    proxy.mend();
    until("it is published again", SOON, || async {
        let attempt = publisher.publish(Destination::Outcome, message("after"));
        Ok(attempt.await.ok())
    })
    .await?;
    let delivery = next(&mut deliveries).await?;
    ensure!(
        delivery.body == b"after",
        "what was certainly not published came"
    );
    house.tear_down().await
}

#[tokio::test]
async fn the_trace_goes_along() -> anyhow::Result<()> {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = SdkTracerProvider::builder().build().tracer("bus-test");
    let subscriber =
        tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
    // of this thread alone, and every test here has a thread of its own
    let _guard = tracing::subscriber::set_default(subscriber);
    let house = House::build().await?;
    let bus = house.bus().await?;
    let mut deliveries = bus.consume(Queue::Requests, 1).await?;
    let span = tracing::info_span!("sending");
    let sent = span.context().span().span_context().trace_id();
    bus.publisher()
        .publish(Destination::Requests, message("traced"))
        .instrument(span)
        .await?;
    let delivery = next(&mut deliveries).await?;
    let processing = delivery.span();
    let received = processing.context().span().span_context().trace_id();
    ensure!(sent == received, "{sent} was sent, {received} came");
    ensure!(sent != opentelemetry::TraceId::INVALID, "no trace at all");
    house.tear_down().await
}
