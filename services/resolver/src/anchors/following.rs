//! One domain's task: reads everybody once, what changed ever after, and keeps the index on disk.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use directory::{DirectoryError, Visit};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Anchors, Reading,
    index::Index,
    measure::{CHANGES, EVERYBODY},
    pace::{self, Pace},
    snapshot,
};

/// Longer than a million people take; a domain controller that never comes to an end is no better
/// than one that does not answer.
const LONGEST_READING: Duration = Duration::from_hours(1);

/// The least time between two writes of the index to disk when somebody's anchor changed,
const STORE_NEWS_EVERY: Duration = Duration::from_secs(5);
/// and when nothing did but how far was read: the next start has a little more to catch up with.
const STORE_EVERY: Duration = Duration::from_mins(5);

/// What was read.
struct Read {
    what: &'static str,
    domain_controller: String,
    people: usize,
    /// Entries of the index that are other than before.
    news: usize,
}

/// What is not on disk yet.
struct Unstored {
    news: bool,
    stored_at: Option<Instant>,
}

impl Anchors {
    /// Runs until shutdown. Whatever fails is tried again; it never ends by itself.
    pub(crate) async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        self.restore().await;
        let mut pace = Pace::new(self.refresh_every);
        let mut unstored = Unstored {
            news: false,
            stored_at: None,
        };
        loop {
            let began = Instant::now();
            let read = tokio::select! {
                () = shutdown.cancelled() => break,
                read = self.read() => read,
            };
            let succeeded = read.is_ok();
            let pause = match read {
                Ok(read) => {
                    if pace.is_failing() {
                        tracing::info!(forest = %self.forest, domain = %self.domain,
                            "the anchors can be read again");
                    }
                    self.tell(&read, began);
                    unstored.news |= read.news > 0 || read.what == EVERYBODY;
                    pace.after_success(chance())
                }
                Err(error) => {
                    // said once: how long it lasts is told by the index's age
                    if !pace.is_failing() {
                        tracing::warn!(forest = %self.forest, domain = %self.domain, %error,
                            "the anchors cannot be read");
                    }
                    pace.after_failure(chance())
                }
            };
            self.readings
                .send_replace(Some(Reading { began, succeeded }));
            self.store(&mut unstored).await;
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = sleep(pause) => {}
                () = self.asked_for(began), if succeeded => {}
            }
        }
        unstored.stored_at = None;
        self.store(&mut unstored).await;
    }

    fn tell(&self, read: &Read, began: Instant) {
        tracing::debug!(
            forest = %self.forest,
            domain = %self.domain,
            domain_controller = read.domain_controller,
            read = read.what,
            people = read.people,
            news = read.news,
            entries = self.state().index.len(),
            took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the anchors are read"
        );
    }

    /// Until a request wants to know what changed, and the last reading is long enough ago.
    async fn asked_for(&self, last_began: Instant) {
        self.wanted.notified().await;
        sleep_until(last_began + pace::AT_MOST_EVERY).await;
    }

    async fn read(&self) -> Result<Read, DirectoryError> {
        let began = Instant::now();
        let visit = self.directory.visit(&self.domain).await?;
        let since = {
            let state = self.state();
            if pace::is_due_in_full(state.read_in_full_at, OffsetDateTime::now_utc()) {
                None
            } else {
                state.positions.resume(visit.began_at())
            }
        };
        let what = if since.is_some() { CHANGES } else { EVERYBODY };
        let reading = async {
            match since {
                Some(since) => self.catch_up(&visit, began, since).await,
                None => self.read_everybody(&visit, began).await,
            }
        };
        let read = timeout(LONGEST_READING, reading).await.unwrap_or_else(|_| {
            Err(DirectoryError::Unavailable {
                endpoint: visit.domain_controller(),
                cause: "the reading of anchors came to no end".to_owned(),
            })
        });
        self.state().reading_everybody = false;
        self.measures.read(what, read.is_ok());
        let (people, news) = read?;
        let domain_controller = visit.domain_controller();
        visit.end();
        Ok(Read {
            what,
            domain_controller,
            people,
            news,
        })
    }

    /// Takes what changed since that number, up to where the visit began, into the index.
    async fn catch_up(
        &self,
        visit: &Visit,
        began: Instant,
        since: u64,
    ) -> Result<(usize, usize), DirectoryError> {
        let at = visit.began_at();
        let (mut people, mut news) = (0, 0);
        let doubted = self.state().doubted.take();
        if at.update_sequence_number > since {
            let mut pages = visit.changed_after(since);
            while let Some(page) = pages.next().await? {
                people += page.len();
                let mut state = self.state();
                news += page
                    .into_iter()
                    .filter(|bearing| state.index.apply(*bearing))
                    .count();
            }
        }
        for object in doubted {
            let person = visit.person(object).await?;
            let index = &mut self.state().index;
            news += usize::from(match person {
                Some(bearing) => index.apply(bearing),
                None => index.remove(object),
            });
        }
        self.measures.people(CHANGES, people);
        let mut state = self.state();
        state.positions.reached(at);
        state.read_at = Some(began);
        Ok((people, news))
    }

    /// Makes the index anew. The old one stays in use, and is kept up to date if that can be done.
    async fn read_everybody(
        &self,
        visit: &Visit,
        began: Instant,
    ) -> Result<(usize, usize), DirectoryError> {
        let first = visit.began_at();
        let resumable = {
            let mut state = self.state();
            state.reading_everybody = true;
            state.positions.resume(first)
        };
        let mut index = Index::default();
        let mut people = 0;
        let mut pages = visit.everybody();
        let mut caught_up = began;
        while let Some(page) = pages.next().await? {
            people += page.len();
            for bearing in page {
                index.apply(bearing);
            }
            if resumable.is_some() && caught_up.elapsed() >= self.refresh_every {
                caught_up = Instant::now();
                self.catch_up_meanwhile(caught_up).await?;
            }
        }
        // what changed while the pages were read
        let last_began = Instant::now();
        let last = visit.position().await?;
        if last.invocation != first.invocation {
            return Err(DirectoryError::Unexpected {
                endpoint: visit.domain_controller(),
                cause: "its database became another one meanwhile".to_owned(),
            });
        }
        let mut pages = visit.changed_after(first.update_sequence_number);
        while let Some(page) = pages.next().await? {
            people += page.len();
            for bearing in page {
                index.apply(bearing);
            }
        }
        self.measures.people(EVERYBODY, people);
        let news = index.len();
        let mut state = self.state();
        state.index = index;
        state.positions.only(last);
        state.doubted.take();
        state.read_at = Some(last_began);
        state.read_in_full_at = Some(OffsetDateTime::now_utc());
        state.full_reading_took = Some(began.elapsed());
        Ok((people, news))
    }

    /// Over a connection of its own, so that the paged reading is left in peace.
    async fn catch_up_meanwhile(&self, began: Instant) -> Result<(), DirectoryError> {
        let visit = self.directory.visit(&self.domain).await?;
        let since = self.state().positions.resume(visit.began_at());
        if let Some(since) = since {
            self.catch_up(&visit, began, since).await?;
        }
        visit.end();
        Ok(())
    }

    /// Takes in what an earlier life left on disk.
    async fn restore(&self) {
        let Some(path) = self.file.clone() else {
            return;
        };
        let domain = self.domain.clone();
        let loading = tokio::task::spawn_blocking(move || snapshot::load(&path, &domain));
        match loading.await {
            Ok(Ok(Some(snapshot))) => {
                tracing::debug!(forest = %self.forest, domain = %self.domain, entries = snapshot.bearings.len(),
                    "the index of anchors is as it was before the start");
                self.state().restore(snapshot);
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                tracing::warn!(forest = %self.forest, domain = %self.domain, %error,
                    "the stored index of anchors is ignored: everybody is read anew");
            }
            Err(_) => tracing::warn!(forest = %self.forest, domain = %self.domain,
                "the stored index of anchors could not be loaded: everybody is read anew"),
        }
    }

    /// Writes the index to disk if it is time.
    async fn store(&self, unstored: &mut Unstored) {
        let Some(path) = self.file.clone() else {
            return;
        };
        let due_after = if unstored.news {
            STORE_NEWS_EVERY
        } else {
            STORE_EVERY
        };
        if unstored
            .stored_at
            .is_some_and(|at| at.elapsed() < due_after)
        {
            return;
        }
        let snapshot = {
            let state = self.state();
            if state.read_at.is_none() {
                return; // nothing was read in this life
            }
            state.snapshot(&self.domain)
        };
        let storing =
            tokio::task::spawn_blocking(move || snapshot::store(&path, &snapshot.encode()));
        let error = match storing.await {
            Ok(Ok(())) => {
                unstored.news = false;
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it panicked".to_owned()),
        };
        unstored.stored_at = Some(Instant::now());
        if let Some(error) = error {
            tracing::warn!(forest = %self.forest, domain = %self.domain, error,
                "the index of anchors cannot be stored: a restart would read everybody anew");
        }
    }
}

/// From 0 to 1, by the standard library's seed for hash tables.
fn chance() -> f64 {
    let seed = RandomState::new().hash_one(0_u8);
    f64::from(u32::try_from(seed >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
