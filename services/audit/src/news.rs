//! News of new entries: one listener per replica, told to everyone in it who waits or watches.
//!
//! Only while there is somebody to tell does it have the database tell of every commit: each time wakes a backend
//! for every replica, which costs as much as a statement. Else it looks now and then.
//!
//! Entries are committed in the order of their numbers (whoever appends holds the head), so reading
//! everything after the last one seen misses nothing, also after a lost connection.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chain::{Entry, Tip};
use proto::v1;
use sqlx::{PgPool, postgres::PgListener};
use telemetry::trouble::Trouble;
use tokio::{
    sync::{Notify, broadcast, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    content::{self, KEYS, SETTINGS},
    key_act::KeyAct,
    record::Record,
    settings::Settings,
    store::{self, StoreError},
};

const REMEMBERED: usize = 4096;
const PAGE: i64 = 500;
const RETRY: Duration = Duration::from_secs(1);
/// Without a notification for this long, look all the same.
const QUIET: Duration = Duration::from_secs(5);
/// How often to look while nobody is subscribed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For how long to go on listening when nobody is subscribed any more: who looks up one operation after the other
/// is subscribed for moments only.
const LINGER: Duration = Duration::from_secs(5);
const LISTEN_TIME_OUT: Duration = Duration::from_secs(5);

/// One new entry, with its operation as it was when the news was read.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) sequence: i64,
    pub(crate) at: i64,
    pub(crate) operation_id: Option<Uuid>,
    pub(crate) record: Option<Record>,
    pub(crate) note: String,
}

/// Where to subscribe.
#[derive(Clone)]
pub(crate) struct News {
    events: broadcast::Sender<Arc<Event>>,
    /// Told of every subscription.
    subscribed: Arc<Notify>,
    /// The newest entry this replica has seen or appended.
    newest: watch::Sender<Option<(i64, Vec<u8>)>>,
    chain: watch::Sender<v1::ChainHealth>,
}

impl News {
    pub(crate) fn new() -> Self {
        Self {
            events: broadcast::Sender::new(REMEMBERED),
            subscribed: Arc::new(Notify::new()),
            newest: watch::Sender::new(None),
            chain: watch::Sender::default(),
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        let events = self.events.subscribe();
        self.subscribed.notify_one();
        events
    }

    fn is_heard(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// Returns as soon as somebody is subscribed. That the chain holds can be seen of many entries together, for
    /// less than of each by itself.
    async fn until_heard(&self, at_most: Duration) {
        let until = tokio::time::sleep(at_most);
        tokio::pin!(until);
        while !self.is_heard() {
            tokio::select! {
                () = &mut until => return,
                () = self.subscribed.notified() => {}
            }
        }
    }

    /// Remembers where the chain ended, as far as that is news.
    pub(crate) fn saw(&self, sequence: i64, hash: &[u8]) {
        self.newest.send_if_modified(|newest| {
            let is_news = newest.as_ref().is_none_or(|(seen, _)| *seen < sequence);
            if is_news {
                *newest = Some((sequence, hash.to_vec()));
            }
            is_news
        });
    }

    /// The number and hash of the newest entry seen or appended since this replica was started.
    pub(crate) fn newest(&self) -> Option<(i64, Vec<u8>)> {
        self.newest.borrow().clone()
    }

    /// Whether every entry seen since this replica was started follows from the one before it.
    pub(crate) fn chain(&self) -> v1::ChainHealth {
        self.chain.borrow().clone()
    }

    /// Listens until shutdown. `ready` is told whether the database answers.
    pub(crate) async fn run(
        self,
        pool: PgPool,
        ready: impl Fn(bool) + Send + Sync,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut seen: Option<Tip> = None;
        let mut trouble = Trouble::none();
        loop {
            let answers = || {
                if let Some(so_far) = trouble.over() {
                    tracing::info!(
                        seconds = so_far.seconds,
                        tries = so_far.tries,
                        "in touch with the database again"
                    );
                }
                ready(true);
            };
            let error = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Err(error) = self.listen(&pool, &mut seen, answers) => error,
            };
            ready(false);
            if let Some(so_far) = trouble.failed() {
                tracing::warn!(%error, seconds = so_far.seconds, tries = so_far.tries,
                    "lost touch with the database: not ready until it answers");
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    async fn listen(
        &self,
        pool: &PgPool,
        seen: &mut Option<Tip>,
        mut answers: impl FnMut() + Send,
    ) -> Result<std::convert::Infallible, StoreError> {
        loop {
            // to listen is refused by a standby; to look is not
            in_time(store::can_append(pool)).await?;
            self.look(pool, seen, &mut answers).await?;
            self.until_heard(LOOK_EVERY).await;
            if !self.is_heard() {
                continue;
            }
            let mut listener = in_time(PgListener::connect_with(pool)).await?;
            // before the look: what is committed after it is told
            in_time(listener.listen(store::CHANNEL)).await?;
            let mut heard = Instant::now();
            while heard.elapsed() < LINGER {
                self.look(pool, seen, &mut answers).await?;
                if self.is_heard() {
                    // Ok(None): the connection was lost and made again; in both cases there may be news
                    match tokio::time::timeout(QUIET, listener.try_recv()).await {
                        Ok(received) => {
                            received?;
                        }
                        Err(_quiet) => {}
                    }
                    heard = Instant::now();
                } else {
                    self.until_heard(LOOK_EVERY).await;
                }
                take_all(&mut listener).await?;
            }
        }
    }

    /// Tells what there is to tell.
    async fn look(
        &self,
        pool: &PgPool,
        seen: &mut Option<Tip>,
        answers: &mut (impl FnMut() + Send),
    ) -> Result<(), StoreError> {
        in_time(self.catch_up(pool, seen)).await?;
        answers();
        Ok(())
    }

    async fn catch_up(&self, pool: &PgPool, seen: &mut Option<Tip>) -> Result<(), StoreError> {
        let mut tip = match seen {
            Some(tip) => tip.clone(),
            None => store::head(pool).await?.tip(),
        };
        self.chain.send_if_modified(|chain| {
            let first = chain.followed_to == 0;
            if first {
                (chain.followed_from, chain.followed_to) = (tip.sequence, tip.sequence);
            }
            first
        });
        loop {
            let entries = store::entries_after(pool, tip.sequence, PAGE).await?;
            let ids: Vec<Uuid> = entries
                .iter()
                .filter_map(|entry| entry.operation_id)
                .collect();
            let mut records = HashMap::new();
            // whoever subscribes after this asks the database later still, and finds these entries there
            let heard = self.is_heard();
            if heard && !ids.is_empty() {
                for row in store::rows(pool, &ids).await? {
                    records.insert(row.id, row.to_record()?);
                }
            }
            let more = i64::try_from(entries.len()).is_ok_and(|count| count == PAGE);
            if let Some(end) = entries.last() {
                self.saw(end.sequence, &end.hash);
            }
            for entry in entries {
                self.follow(&mut tip, &entry);
                if !heard {
                    continue;
                }
                let note = match entry.kind.as_str() {
                    SETTINGS => content::from_text::<Settings>(&entry.content)?.told(),
                    KEYS => content::from_text::<KeyAct>(&entry.content)?.told(),
                    _ => String::new(),
                };
                let event = Event {
                    sequence: entry.sequence,
                    at: entry.at,
                    operation_id: entry.operation_id,
                    record: entry.operation_id.and_then(|id| records.get(&id).cloned()),
                    note,
                };
                // nobody may be listening
                let _ = self.events.send(Arc::new(event));
            }
            *seen = Some(tip.clone());
            if !more {
                return Ok(());
            }
        }
    }

    /// The first thing that is wrong stays told: what follows it proves nothing.
    fn follow(&self, tip: &mut Tip, entry: &Entry) {
        let findings = tip.follow(entry);
        self.chain.send_modify(|chain| {
            chain.followed_to = entry.sequence;
            if let (Some(first), true) = (findings.into_iter().next(), chain.problem.is_empty()) {
                tracing::error!(finding = first, "the ledger's chain is broken");
                chain.problem = first;
            }
        });
    }
}

/// A database that stands still does not even refuse.
async fn in_time<T, E: From<sqlx::Error>>(
    asking: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(LISTEN_TIME_OUT, asking)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into()))
}

/// What was told meanwhile waits in the socket: one look at the database serves all of it.
async fn take_all(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    while let Ok(told) = tokio::time::timeout(Duration::ZERO, listener.try_recv()).await {
        if told?.is_none() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_last_is_not_forgotten_for_something_earlier() {
        let news = News::new();
        news.saw(0, b"");
        assert_eq!(news.newest(), Some((0, Vec::new())));
        news.saw(7, b"seventh");
        news.saw(6, b"sixth");
        news.saw(7, b"another");
        assert_eq!(news.newest(), Some((7, b"seventh".to_vec())));
    }

    const A_WHILE: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn news_wait_for_company_while_nobody_is_subscribed() {
        let news = News::new();
        // one that came and went leaves no hurry behind
        drop(news.subscribe());
        let began = Instant::now();
        news.until_heard(A_WHILE).await;
        assert!(began.elapsed() >= A_WHILE);
    }

    #[tokio::test]
    async fn whoever_is_subscribed_or_comes_meanwhile_is_told_at_once() {
        let news = News::new();
        let began = Instant::now();
        let subscribing = async {
            tokio::task::yield_now().await;
            news.subscribe()
        };
        let ((), events) = tokio::join!(news.until_heard(QUIET), subscribing);
        news.until_heard(QUIET).await;
        assert!(began.elapsed() < QUIET);
        drop(events);
    }
}
