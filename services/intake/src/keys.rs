//! The public sealing keys this replica hands out and accepts, read again when their file changes:
//! keys are rotated without a restart.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use chassis::config::Config;
use proto::v1;
use sealing::PublicKeys;
use telemetry::trouble::Trouble;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A new forest's key is handed out no later than the forest is looked in.
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error("the public sealing keys {path} cannot be read: {cause}")]
    Unreadable { path: String, cause: std::io::Error },
    #[error("the public sealing keys {path} are not a key set: {cause}")]
    Malformed { path: String, cause: String },
}

pub(crate) struct SealingKeys {
    path: PathBuf,
    keys: ArcSwap<PublicKeys>,
    trouble: Mutex<Trouble>,
}

impl SealingKeys {
    pub(crate) async fn open(path: PathBuf) -> Result<Self, KeysError> {
        let keys = ArcSwap::from_pointee(read(&path).await?);
        Ok(Self {
            path,
            keys,
            trouble: Mutex::default(),
        })
    }

    pub(crate) fn current(&self) -> Guard<Arc<PublicKeys>> {
        self.keys.load()
    }

    /// What is published, by forest, for the heartbeat.
    pub(crate) fn health(&self) -> Vec<v1::ForestHealth> {
        let mut forests: BTreeMap<String, v1::ForestHealth> = BTreeMap::new();
        for key in self.keys.load().iter() {
            let forest = key.forest().to_string();
            let entry = forests.entry(forest.clone()).or_insert(v1::ForestHealth {
                forest,
                ..v1::ForestHealth::default()
            });
            entry.keys.push(v1::SealingKeyHealth {
                kid: key.kid().to_owned(),
                made_at: key
                    .times()
                    .made
                    .and_then(|made| made.checked_mul(1_000_000)),
            });
        }
        forests.into_values().collect()
    }

    /// Reads the file again. A file that is broken for a moment leaves the keys as they were.
    pub(crate) async fn refresh(&self) {
        let read = read(&self.path).await;
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(keys) => {
                if let Some(so_far) = trouble.over() {
                    tracing::info!(
                        seconds = so_far.seconds,
                        tries = so_far.tries,
                        "the sealing keys can be read again"
                    );
                }
                let (before, now) = (forests(&self.keys.load()), forests(&keys));
                if before != now {
                    let (before, now) = (before.join(", "), now.join(", "));
                    tracing::info!(before, now, "other forests have sealing keys than before");
                }
                self.keys.store(Arc::new(keys));
            }
            Err(error) => {
                if let Some(so_far) = trouble.failed() {
                    tracing::warn!(%error, seconds = so_far.seconds, tries = so_far.tries,
                        "the sealing keys stay as they were");
                }
            }
        }
    }

    /// Looks at the file every now and then, and when a new configuration says that there is news.
    pub(crate) async fn keep_fresh(
        &self,
        mut changes: watch::Receiver<Arc<Config>>,
        shutdown: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
                Ok(()) = changes.changed() => {}
            }
            self.refresh().await;
        }
    }
}

/// The forests that can be sealed to, in order.
fn forests(keys: &PublicKeys) -> Vec<String> {
    let forests: BTreeSet<String> = keys.iter().map(|key| key.forest().to_string()).collect();
    forests.into_iter().collect()
}

async fn read(path: &PathBuf) -> Result<PublicKeys, KeysError> {
    let bytes = tokio::fs::read(path)
        .await
        .map_err(|cause| KeysError::Unreadable {
            path: path.display().to_string(),
            cause,
        })?;
    PublicKeys::from_jwks(&bytes).map_err(|error| KeysError::Malformed {
        path: path.display().to_string(),
        cause: error.to_string(),
    })
}
