//! Takes what resolvers and writers report into the ledger.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bus::{Deliveries, Delivery};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use prost::Message as _;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    appender::Appender,
    content::Reported,
    recording::{Recording, record_surely},
};

/// How many reports may wait for one commit.
pub(crate) const PREFETCH: u16 = 256;

/// How many reports this replica has taken from the queue and not recorded yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// Until shutdown. Reports are recorded side by side, so that they share transactions.
pub(crate) async fn consume(
    mut deliveries: Deliveries,
    appender: Appender,
    count: UnderWay,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            delivery = deliveries.next() => match delivery {
                Some(delivery) => under_way.push(take_in(delivery, &appender, &shutdown)),
                None => break,
            },
            Some(()) = under_way.next() => {}
        }
        count.0.store(under_way.len(), Ordering::Release);
    }
    while under_way.next().await.is_some() {}
    Ok(())
}

async fn take_in(delivery: Delivery, appender: &Appender, shutdown: &CancellationToken) {
    let span = delivery.span();
    async {
        let parsed = proto::v1::Report::decode(delivery.body.as_slice())
            .map_err(|error| error.to_string())
            .and_then(|report| Reported::from_wire(&report).map_err(|error| error.to_string()));
        match parsed {
            Ok((id, reported)) => {
                telemetry::span::current_belongs_to(id);
                let told = reported.outcome.clone();
                match record_surely(appender, id, reported, shutdown).await {
                    Recording::Done(record) => {
                        if told.is_some_and(|told| told.status() != record.status()) {
                            tracing::error!(status = %record.status(), "a second outcome contradicts the first; the first stays");
                        }
                    }
                    Recording::Unknown => {
                        tracing::error!("a report on an operation that was never admitted");
                    }
                    Recording::Abandoned => return,
                }
            }
            Err(problem) => tracing::error!(problem, "a report that cannot be read is dropped"),
        }
        if let Err(error) = delivery.ack().await {
            tracing::debug!(%error, "not acknowledged; it will come again");
        }
    }
    .instrument(span)
    .await;
}
