//! How many operations this writer has in hand at a time.
//!
//! One in doubt is held until a domain controller answers, which may take hours. It keeps nobody's place: while
//! operations are in doubt for long there are other consumers of the forest's queue, with as many places at least.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use bus::{Bus, Deliveries, Queue};
use telemetry::trouble::Trouble;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{passage::Passage, under_way::UnderWay};

/// Most doubts are over sooner.
const LONG: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// No more consumers than this besides the first.
const MOST: usize = 8;

/// The operations in doubt: since when each is.
pub(crate) type Doubts = UnderWay<Instant>;

/// How many have been in doubt for long by then.
fn for_long(doubts: &Doubts, now: Instant) -> usize {
    let is_long = |since: &Instant| now.saturating_duration_since(*since) >= LONG;
    doubts.now().into_iter().filter(is_long).count()
}

/// How many consumers there have to be besides the first, each with so many places.
fn wanted(in_doubt: usize, places: u16) -> usize {
    in_doubt.div_ceil(usize::from(places.max(1))).min(MOST)
}

/// What operations are taken with.
pub(crate) struct Places {
    pub(crate) bus: Bus,
    pub(crate) queue: Queue,
    /// The places of one consumer.
    pub(crate) prefetch: u16,
    pub(crate) passage: Arc<Passage>,
    pub(crate) shutdown: CancellationToken,
}

impl Places {
    /// Carries out what these bring, and what others do while many operations are in doubt, until shutdown was asked for
    /// and all have ended.
    pub(crate) async fn keep(self, first: Deliveries) -> anyhow::Result<()> {
        let mut consumers = JoinSet::new();
        consumers.spawn(self.carry_out(first));
        let mut more = 0;
        let mut until = self.shutdown.child_token();
        let mut trouble = Trouble::none();
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                Some(ended) = consumers.join_next() => {
                    ended.context("carrying out operations")?;
                    continue;
                }
                _ = ticks.tick() => {}
            }
            let in_doubt = for_long(&self.passage.doubts, Instant::now());
            let wanted = wanted(in_doubt, self.prefetch);
            if wanted == 0 && more > 0 {
                tracing::info!("nothing is in doubt for long any more: as many places as ever");
                until.cancel();
                until = self.shutdown.child_token();
                more = 0;
            }
            if wanted <= more {
                continue;
            }
            let queue = self.queue.clone();
            match self
                .bus
                .consume_until(queue, self.prefetch, until.clone())
                .await
            {
                Ok(deliveries) => {
                    trouble.calm();
                    more += 1;
                    tracing::info!(in_doubt, "in doubt for long: others get as many places");
                    consumers.spawn(self.carry_out(deliveries));
                }
                Err(error) => {
                    if let Some(so_far) = trouble.failed() {
                        tracing::warn!(%error, in_doubt, seconds = so_far.seconds, tries = so_far.tries,
                            "operations in doubt take places, and there are no others yet");
                    }
                }
            }
        }
        while let Some(ended) = consumers.join_next().await {
            ended.context("carrying out operations")?;
        }
        Ok(())
    }

    fn carry_out(&self, deliveries: Deliveries) -> impl Future<Output = ()> + Send + use<> {
        let passage = Arc::clone(&self.passage);
        deliveries.each(move |delivery| Arc::clone(&passage).take(delivery))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_places_more_as_operations_in_doubt_up_to_a_bound() {
        assert_eq!(wanted(0, 8), 0);
        assert_eq!(wanted(1, 8), 1);
        assert_eq!(wanted(8, 8), 1);
        assert_eq!(wanted(9, 8), 2);
        assert_eq!(wanted(10_000, 8), MOST);
        assert_eq!(wanted(1, 1), 1);
    }

    #[test]
    fn a_doubt_counts_once_it_is_long_and_until_it_is_over() {
        let doubts = Doubts::default();
        let began = Instant::now();
        let one = doubts.enter(began);
        let other = doubts.enter(began);
        assert_eq!(for_long(&doubts, began), 0);
        assert_eq!(for_long(&doubts, began + LONG), 2);
        drop(one);
        assert_eq!(for_long(&doubts, began + LONG), 1);
        drop(other);
        assert_eq!(for_long(&doubts, began + LONG), 0);
    }
}
