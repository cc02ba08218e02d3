//! Whom an anchor means, where it is not an `objectGUID`: one index per domain.
//!
//! Most anchors are the `objectGUID` of their person, which every domain controller finds at once.
//! The others are `mS-DS-ConsistencyGuid`, which is neither indexed nor in the global catalog: a
//! search for it looks at every person of the domain. So each domain has an index of the people whose
//! two GUIDs differ, filled by reading everybody page by page once, and kept by reading what changed.
//!
//! **An entry is a hint.** Whoever it names is read and must show that very anchor; if not, nobody is
//! found, and the entry is read again where the index is read. Deleted people need no more than that:
//! no plain account is told of them. Moves and renames change no GUID.
//!
//! **No news is not taken for no person.** An index that was not read within the last minute answers
//! nothing: the directory is searched instead, a few requests at a time, and if it does not answer
//! either, neither has its forest. Before anybody is told that a person does not exist, what changed
//! up to then is read, at most once a second for all who wait for it.
//!
//! **Changes are read by `uSNChanged`**, not by the DirSync control (MS-ADTS 3.1.1.3.4.1.3). DirSync's
//! cookie would be good at every domain controller of the domain. But its searches start at the root
//! of the domain and cannot be confined to people, so the first one hands over every object there is;
//! without the right to replicate the domain, which a reader must not have, it tells nothing of the
//! deleted either; and it is the least alike of all controls between servers that are not Windows.
//! `uSNChanged` is an indexed attribute in an ordinary search. That its numbers are one domain
//! controller's own is met by remembering how far each was read: another one, known from before, is
//! resumed where it was left, and only one never read before is read in full.

mod following;
mod index;
mod measure;
mod pace;
mod snapshot;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use directory::{Directory, DirectoryError, Found, Identifier};
use operation::{DomainName, ForestId, ObjectGuid, SourceAnchor};
use time::OffsetDateTime;
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{Instant, timeout},
};

use index::{Doubted, Index, Positions};
use measure::Measures;
use snapshot::Snapshot;

/// How many requests at a time may search a domain without its index: each looks at every person.
const SEARCHES: usize = 2;

/// How many requests at a time may wait for changes to be read.
const PLACES: usize = 8;

/// How long a request waits for its turn to search, or for changes to be read.
const PATIENCE: Duration = Duration::from_secs(3);

/// The anchors of one domain.
pub(crate) struct Anchors {
    forest: ForestId,
    domain: DomainName,
    directory: Arc<Directory>,
    refresh_every: Duration,
    /// Where it outlives a restart.
    file: Option<PathBuf>,
    state: Mutex<State>,
    /// Somebody wants changes to be read now.
    wanted: Notify,
    /// The last reading that ended.
    readings: watch::Sender<Option<Reading>>,
    searches: Semaphore,
    places: Semaphore,
    measures: Measures,
}

#[derive(Default)]
struct State {
    index: Index,
    positions: Positions,
    doubted: Doubted,
    /// When the last good reading began: everything before it is in the index.
    read_at: Option<Instant>,
    reading_everybody: bool,
    read_in_full_at: Option<OffsetDateTime>,
    full_reading_took: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    began: Instant,
    succeeded: bool,
}

impl Anchors {
    pub(crate) fn new(
        forest: ForestId,
        domain: DomainName,
        directory: Arc<Directory>,
        refresh_every: Duration,
        state_directory: Option<&Path>,
    ) -> Arc<Self> {
        let anchors = Arc::new(Self {
            file: state_directory
                .map(|directory| directory.join(format!("anchors-{forest}-{domain}"))),
            measures: Measures::new(&forest, &domain),
            forest,
            domain,
            directory,
            refresh_every,
            state: Mutex::default(),
            wanted: Notify::new(),
            readings: watch::Sender::new(None),
            searches: Semaphore::new(SEARCHES),
            places: Semaphore::new(PLACES),
        });
        measure::observe(&anchors);
        anchors
    }

    /// Everybody who bears this anchor as their consistency GUID: each read just now. If the index
    /// is too old to be believed, whoever has the other identifier will do: all given must agree.
    pub(crate) async fn bearers(
        &self,
        anchor: SourceAnchor,
        other: Option<Identifier>,
    ) -> Result<Vec<Found>, DirectoryError> {
        let began = Instant::now();
        let (found, by) = match (self.known(anchor), other) {
            (Some(known), _) => (self.verified(anchor, known).await, "index"),
            (None, Some(other)) => (self.directory.find(&self.domain, &other).await, "search"),
            (None, None) => (self.searched(anchor).await, "search"),
        };
        self.measures.looked_up(by, began.elapsed());
        found
    }

    /// Whether the anchor is known after what changed up to now was read.
    pub(crate) async fn look_again(&self, anchor: SourceAnchor) -> bool {
        self.refresh().await;
        self.known(anchor).is_some_and(|known| !known.is_empty())
    }

    /// Whom the index names. None if it is too old to be believed.
    fn known(&self, anchor: SourceAnchor) -> Option<Vec<ObjectGuid>> {
        let state = self.state();
        pace::is_usable(state.read_at, Instant::now()).then(|| state.index.bearers(anchor))
    }

    async fn verified(
        &self,
        anchor: SourceAnchor,
        known: Vec<ObjectGuid>,
    ) -> Result<Vec<Found>, DirectoryError> {
        let mut bearers = Vec::new();
        for object in known {
            let by_guid = Identifier::ObjectGuid(object);
            let shown = self.directory.find(&self.domain, &by_guid).await?;
            let bearer = shown
                .into_iter()
                .find(|found| found.consistency_guid == Some(anchor));
            match bearer {
                Some(bearer) => bearers.push(bearer),
                None => self.state().doubted.add(object),
            }
        }
        Ok(bearers)
    }

    /// Without the index: the domain controller looks at every person.
    async fn searched(&self, anchor: SourceAnchor) -> Result<Vec<Found>, DirectoryError> {
        let Ok(Ok(_turn)) = timeout(PATIENCE, self.searches.acquire()).await else {
            return Err(DirectoryError::Unavailable {
                endpoint: self.domain.to_string(),
                cause: "the index of its anchors is not up to date, and others search without it"
                    .to_owned(),
            });
        };
        let by_anchor = Identifier::ConsistencyGuid(anchor);
        self.directory.find(&self.domain, &by_anchor).await
    }

    /// Returns once everything that was there when it was called has been read, or cannot be now.
    async fn refresh(&self) {
        let asked = Instant::now();
        // unknown people in great number must not hold up the known ones
        let Ok(_place) = self.places.try_acquire() else {
            return;
        };
        let mut readings = self.readings.subscribe();
        // after a failure the next try comes in its own time, and reading everybody takes too long
        let read_soon = readings.borrow().is_some_and(|last| last.succeeded);
        if !read_soon || self.state().reading_everybody {
            return;
        }
        self.wanted.notify_one();
        let read = readings.wait_for(|last| last.is_some_and(|last| last.began >= asked));
        // when patience ends, what is known is at most a minute old
        let _ = timeout(PATIENCE, read).await;
    }

    /// How old the index is; none if it was never read.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.state().read_at.map(|at| at.elapsed())
    }

    /// Never held across an await; a panic while it was held leaves at worst a wrong hint.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn snapshot(&self, domain: &DomainName) -> Snapshot {
        Snapshot {
            domain: domain.clone(),
            bearings: self.index.entries().collect(),
            positions: self.positions.clone(),
            read_in_full_at: self.read_in_full_at,
        }
    }

    fn restore(&mut self, snapshot: Snapshot) {
        for bearing in snapshot.bearings {
            self.index.apply(bearing);
        }
        self.positions = snapshot.positions;
        self.read_in_full_at = snapshot.read_in_full_at;
    }
}
