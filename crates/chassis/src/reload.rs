//! The configuration file while the service runs: looked at every second, and at once on SIGHUP.
//!
//! Looked at, not watched by the kernel's events: a mounted config map is changed by swapping links,
//! and network file systems tell of nothing. A new text counts once it was seen twice, for half of a
//! file that is being written can be a valid one that lacks the last forests. What does not hold is
//! told once, and what was in force stays in force.

use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    signal::unix::Signal,
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::config::{Config, ConfigError};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A file system that hangs must not keep SIGHUP from being heard for ever.
const READ_TIME_OUT: Duration = Duration::from_secs(10);

/// What the file held when it was looked at.
type Text = Result<String, io::ErrorKind>;

/// Which of the contents seen are to be judged.
#[derive(Debug)]
struct Sightings<T> {
    judged: T,
    unsettled: Option<T>,
}

impl<T: Clone + PartialEq> Sightings<T> {
    const fn new(judged: T) -> Self {
        Self {
            judged,
            unsettled: None,
        }
    }

    /// Whether this is to be judged now. Whoever asked by a signal has finished writing.
    fn judge(&mut self, text: &T, asked: bool) -> bool {
        if asked {
            self.unsettled = None;
        } else if self.judged == *text {
            self.unsettled = None;
            return false;
        } else if self.unsettled.as_ref() != Some(text) {
            self.unsettled = Some(text.clone());
            return false;
        }
        self.unsettled = None;
        self.judged.clone_from(text);
        true
    }
}

/// Looks at what `read` finds every second, and hands on what is something else than `known` once it was seen twice, each time
/// it changes. Runs until it is dropped.
pub(crate) async fn follow<T, Read>(known: T, read: Read, mut judge: impl FnMut(Result<T, String>))
where
    T: Clone + PartialEq + Send + 'static,
    Read: Fn() -> Result<T, ConfigError> + Clone + Send + 'static,
{
    let mut sightings = Sightings::new(Ok(known));
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let read = read.clone();
        let reading =
            tokio::task::spawn_blocking(move || read().map_err(|error| error.to_string()));
        let seen = match timeout(READ_TIME_OUT, reading).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(_)) | Err(_) => Err("reading them does not end".to_owned()),
        };
        if sightings.judge(&seen, false) {
            judge(seen);
        }
    }
}

/// What the metrics tell.
#[derive(Debug)]
struct Standing {
    generation: AtomicU64,
    rejected: AtomicBool,
}

/// Keeps the configuration in force what the file says.
pub(crate) struct Reload {
    path: PathBuf,
    sightings: Sightings<Text>,
    in_force: watch::Sender<Arc<Config>>,
    standing: Arc<Standing>,
}

impl Reload {
    /// `text` is what the configuration was made of.
    pub(crate) fn new(path: PathBuf, text: String, config: &Config) -> Self {
        let standing = Arc::new(Standing {
            generation: AtomicU64::new(1),
            rejected: AtomicBool::new(false),
        });
        observe(&standing);
        Self {
            path,
            sightings: Sightings::new(Ok(text)),
            in_force: watch::Sender::new(Arc::new(config.clone())),
            standing,
        }
    }

    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Config>> {
        self.in_force.subscribe()
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self, mut hang_up: Signal) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                _ = ticks.tick() => false,
                // none once no signal can be heard any more; the file is still looked at
                Some(()) = hang_up.recv() => true,
            };
            if asked {
                tracing::info!("asked to read the configuration again");
            }
            let path = self.path.clone();
            let reading = tokio::task::spawn_blocking(move || fs::read_to_string(path));
            let text = match timeout(READ_TIME_OUT, reading).await {
                Ok(Ok(read)) => read.map_err(|error| error.kind()),
                Ok(Err(_)) | Err(_) => Err(io::ErrorKind::TimedOut),
            };
            if self.sightings.judge(&text, asked) {
                self.take(text);
            }
        }
    }

    fn take(&self, text: Text) {
        let read = text
            .map_err(|kind| ConfigError::Unreadable {
                path: self.path.clone(),
                source: kind.into(),
            })
            .and_then(|text| Config::of(&self.path, &text));
        let generation = self.standing.generation.load(Ordering::Relaxed);
        let config = match read {
            Ok(config) => config,
            Err(error) => {
                self.standing.rejected.store(true, Ordering::Relaxed);
                tracing::error!(%error, generation, "the new configuration does not hold; the one before stays in force");
                return;
            }
        };
        self.standing.rejected.store(false, Ordering::Relaxed);
        let before = Arc::clone(&self.in_force.borrow());
        if *before == config {
            tracing::info!(generation, "the configuration is as it was");
        } else {
            let generation = generation.saturating_add(1);
            self.standing
                .generation
                .store(generation, Ordering::Relaxed);
            if before.differs_beyond_forests(&config) {
                tracing::warn!(
                    generation,
                    "the configuration differs in more than its forests; the rest of it takes effect when the service is started again"
                );
            }
            tracing::info!(
                generation,
                forests = config.forests.len(),
                "a new configuration is in force"
            );
        }
        // also when nothing changed: what the file only points to may have
        self.in_force.send_replace(Arc::new(config));
    }
}

fn observe(standing: &Arc<Standing>) {
    let generation = Arc::clone(standing);
    // the meter keeps them alive
    let _gauge = telemetry::metric::meter()
        .u64_observable_gauge("writeback.config.generation")
        .with_description(
            "How many configurations have been in force since the start, with this one",
        )
        .with_callback(move |observer| {
            observer.observe(generation.generation.load(Ordering::Relaxed), &[]);
        })
        .build();
    let rejected = Arc::clone(standing);
    let _gauge = telemetry::metric::meter()
        .u64_observable_gauge("writeback.config.rejected")
        .with_description("Whether the file holds another configuration, which is wrong: 1 or 0")
        .with_callback(move |observer| {
            observer.observe(rejected.rejected.load(Ordering::Relaxed).into(), &[]);
        })
        .build();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn a_text_is_judged_once_and_only_when_it_was_seen_twice() {
        let mut sightings = Sightings::<Text>::new(Ok(held("a")));
        assert!(!sightings.judge(&Ok(held("a")), false));
        assert!(
            !sightings.judge(&Ok(held("b")), false),
            "perhaps half of it"
        );
        assert!(!sightings.judge(&Ok(held("bc")), false), "it was");
        assert!(sightings.judge(&Ok(held("bc")), false));
        assert!(!sightings.judge(&Ok(held("bc")), false));
    }

    #[test]
    fn a_file_that_was_gone_for_a_moment_is_no_news() {
        let mut sightings = Sightings::<Text>::new(Ok(held("a")));
        let gone = Err(io::ErrorKind::NotFound);
        assert!(!sightings.judge(&gone, false));
        assert!(!sightings.judge(&Ok(held("a")), false));
        assert!(!sightings.judge(&gone, false));
        assert!(sightings.judge(&gone, false), "it stays away");
        assert!(!sightings.judge(&gone, false));
    }

    #[test]
    fn who_asks_is_heard_at_once() {
        let mut sightings = Sightings::<Text>::new(Ok(held("a")));
        assert!(sightings.judge(&Ok(held("b")), true));
        assert!(!sightings.judge(&Ok(held("b")), false));
        assert!(sightings.judge(&Ok(held("b")), true), "and every time");
    }
}
