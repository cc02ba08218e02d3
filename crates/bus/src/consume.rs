//! Consuming: every delivery is acknowledged by hand, and the stream outlives the connection.

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::BoxFuture};
use lapin::{
    Consumer,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use telemetry::trouble::Trouble;
use tokio::{
    task::{JoinError, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    BrokerConfig, BusError, Delivery, Queue,
    connection::{Link, Waits, connect},
};

const START_ATTEMPTS: u32 = 10;
const SETTLE_TIME_OUT: Duration = Duration::from_secs(5);

/// The deliveries of one queue.
pub struct Deliveries {
    opener: Arc<Opener>,
    shutdown: CancellationToken,
    source: Source,
}

enum Source {
    Open(Arc<Link>, Consumer),
    /// Kept here and not in [`Deliveries::next`], which is dropped and called anew at will: given up
    /// half-way, a connection stays open and its consumer keeps what the broker sends it.
    Opening(BoxFuture<'static, (Arc<Link>, Consumer)>),
    /// Shutdown was asked for, and the broker is told to send no more. Nothing, if it does not agree.
    Ending(BoxFuture<'static, Option<(Arc<Link>, Consumer)>>),
    /// It sends no more: what is left, and then the end.
    Last(Arc<Link>, Consumer),
    Ended,
}

#[derive(Debug)]
struct Opener {
    config: Arc<BrokerConfig>,
    name: String,
    queue: Queue,
    prefetch: u16,
}

impl std::fmt::Debug for Deliveries {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Deliveries")
            .field("opener", &self.opener)
            .finish_non_exhaustive()
    }
}

impl Deliveries {
    pub(crate) async fn start(
        config: Arc<BrokerConfig>,
        name: String,
        queue: Queue,
        prefetch: u16,
        shutdown: CancellationToken,
    ) -> Result<Self, BusError> {
        let opener = Arc::new(Opener {
            config,
            name,
            queue,
            prefetch,
        });
        // two processes that declare the same new quorum queue at once: the broker refuses one of them
        let mut attempts = START_ATTEMPTS;
        let (mut trouble, mut waits) = (Trouble::none(), Waits::default());
        let (link, consumer) = loop {
            attempts -= 1;
            match opener.open().await {
                Ok(source) => break source,
                Err(error) if attempts == 0 || shutdown.is_cancelled() => return Err(error),
                Err(error) => {
                    if trouble.failed().is_some() {
                        warn!(queue = opener.name, %error, "not consuming yet");
                    }
                }
            }
            let pause = tokio::time::sleep(waits.next());
            shutdown.run_until_cancelled(pause).await;
        };
        info!(queue = opener.name, "consuming");
        Ok(Self {
            opener,
            shutdown,
            source: Source::Open(link, consumer),
        })
    }

    /// The next delivery; `None` once shutdown was asked for and what the broker had sent before was delivered: given
    /// back it would count as taken by who may have begun with it. May be dropped and called again: no delivery is
    /// lost.
    pub async fn next(&mut self) -> Option<Delivery> {
        let shutdown = self.shutdown.clone();
        loop {
            match &mut self.source {
                Source::Opening(opening) => {
                    self.source = tokio::select! {
                        () = shutdown.cancelled() => Source::Ended,
                        (link, consumer) = opening => Source::Open(link, consumer),
                    };
                }
                Source::Open(link, consumer) => {
                    let received = tokio::select! {
                        biased;
                        () = shutdown.cancelled() => {
                            self.end();
                            continue;
                        }
                        received = consumer.next() => received,
                    };
                    if let Some(Ok(delivery)) = received {
                        return Some(Delivery::new(
                            delivery,
                            &self.opener.queue,
                            Arc::clone(link),
                        ));
                    }
                    warn!(
                        queue = self.opener.name,
                        "consumer ended: nothing is taken from the queue until the broker is back"
                    );
                    let opener = Arc::clone(&self.opener);
                    self.source = Source::Opening(Box::pin(async move { opener.reopen().await }));
                }
                Source::Ending(ending) => {
                    let agreed = ending.await;
                    self.source = agreed.map_or(Source::Ended, |(link, consumer)| {
                        Source::Last(link, consumer)
                    });
                }
                Source::Last(link, consumer) => {
                    if let Some(Ok(delivery)) = consumer.next().await {
                        return Some(Delivery::new(
                            delivery,
                            &self.opener.queue,
                            Arc::clone(link),
                        ));
                    }
                    self.source = Source::Ended;
                }
                Source::Ended => return None,
            }
        }
    }

    /// Tells the broker to send no more, before anything is acknowledged that makes room for more.
    fn end(&mut self) {
        self.source = match std::mem::replace(&mut self.source, Source::Ended) {
            Source::Open(link, consumer) => Source::Ending(Box::pin(async move {
                let options = BasicCancelOptions::default();
                let cancelling = link.channel.basic_cancel(consumer.tag(), options);
                let agreed = timeout(SETTLE_TIME_OUT, cancelling).await;
                matches!(agreed, Ok(Ok(()))).then_some((link, consumer))
            })),
            other => other,
        };
    }

    /// Handles every delivery in a task of its own, until shutdown was asked for and all have ended. A panic in one
    /// goes on here.
    pub async fn each<F>(mut self, handle: impl Fn(Delivery) -> F + Send)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                delivery = self.next() => match delivery {
                    Some(delivery) => drop(under_way.spawn(handle(delivery))),
                    None => break,
                },
                Some(ended) = under_way.join_next() => pass_on(ended),
            }
        }
        while let Some(ended) = under_way.join_next().await {
            pass_on(ended);
        }
    }
}

/// Nothing aborts these tasks: what did not end well panicked.
fn pass_on(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        resume_unwind(panic);
    }
}

impl Opener {
    /// The end of the consumer has been told.
    async fn reopen(&self) -> (Arc<Link>, Consumer) {
        let (mut trouble, mut refused) = (Trouble::none(), Trouble::none());
        trouble.failed();
        let mut waits = Waits::default();
        loop {
            tokio::time::sleep(waits.next()).await;
            let error = match self.open().await {
                Ok(source) => {
                    if let Some(so_far) = trouble.over() {
                        info!(
                            queue = self.name,
                            seconds = so_far.seconds,
                            tries = so_far.tries,
                            "consuming again"
                        );
                    }
                    return source;
                }
                Err(error) => error,
            };
            let due = if error.is_for_the_operator() {
                refused.failed()
            } else {
                trouble.failed()
            };
            if let Some(so_far) = due {
                warn!(queue = self.name, %error, seconds = so_far.seconds, tries = so_far.tries,
                    "not consuming");
            }
        }
    }

    async fn open(&self) -> Result<(Arc<Link>, Consumer), BusError> {
        let link = connect(&self.config, &self.name).await?;
        let opening = async {
            self.queue.declare(&link.channel).await?;
            link.channel
                .basic_qos(self.prefetch, BasicQosOptions::default())
                .await?;
            link.channel
                .basic_consume(
                    self.queue.name().into(),
                    "".into(),
                    BasicConsumeOptions::default(),
                    FieldTable::default(),
                )
                .await
        };
        let opened = timeout(SETTLE_TIME_OUT, opening)
            .await
            .map_err(|_| BusError::TimeOut(SETTLE_TIME_OUT))
            .and_then(|opened| Ok(opened?));
        match opened {
            Ok(consumer) => Ok((Arc::new(link), consumer)),
            Err(error) => {
                link.close().await;
                Err(error)
            }
        }
    }
}
