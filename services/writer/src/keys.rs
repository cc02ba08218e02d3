//! The forest's private keys, read again when their folder changes: keys are rotated without a restart.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use operation::ForestId;
use sealing::{Binding, Contents, KeyError, OpenError, PrivateKeys, SealedPassword};
use telemetry::trouble::Trouble;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What tells that the folder's files are not those that were read.
type Files = BTreeSet<(PathBuf, Option<SystemTime>, u64)>;

pub(crate) struct Keys {
    directory: PathBuf,
    in_force: ArcSwap<PrivateKeys>,
    read: Mutex<Files>,
    trouble: Mutex<Trouble>,
}

impl Keys {
    /// # Errors
    /// When the folder holds no key, or one that cannot be used.
    pub(crate) fn open(directory: PathBuf) -> Result<Self, KeyError> {
        let files = files(&directory);
        let in_force = ArcSwap::from_pointee(PrivateKeys::from_directory(&directory)?);
        Ok(Self {
            directory,
            in_force,
            read: Mutex::new(files),
            trouble: Mutex::default(),
        })
    }

    /// Opens with the keys there are. A key that is not known may have been made a moment ago.
    pub(crate) async fn open_seal(
        self: &Arc<Self>,
        sealed: &SealedPassword,
        binding: &Binding,
        now: OffsetDateTime,
        skew: Duration,
    ) -> Result<Contents, OpenError> {
        let opened = self.in_force.load().open(sealed, binding, now, skew);
        match opened {
            Err(OpenError::UnknownKey) => {
                self.refresh().await;
                self.in_force.load().open(sealed, binding, now, skew)
            }
            opened => opened,
        }
    }

    /// Those that can be opened with now.
    pub(crate) fn key_ids(&self) -> Vec<String> {
        self.in_force.load().key_ids().map(str::to_owned).collect()
    }

    async fn refresh(self: &Arc<Self>) {
        let own = Arc::clone(self);
        if let Err(error) = tokio::task::spawn_blocking(move || own.read_again()).await {
            tracing::error!(%error, "the private keys could not be read again");
        }
    }

    /// What cannot be read leaves the keys as they were, and is tried again.
    fn read_again(&self) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let now = files(&self.directory);
        if *read == now {
            self.tell_mended();
            return;
        }
        match PrivateKeys::from_directory(&self.directory) {
            Ok(keys) => {
                let ids = |keys: &PrivateKeys| keys.key_ids().map(str::to_owned).collect();
                let (before, after): (BTreeSet<String>, BTreeSet<String>) =
                    (ids(&self.in_force.load()), ids(&keys));
                for kid in after.difference(&before) {
                    tracing::info!(kid, "a private key was added");
                }
                for kid in before.difference(&after) {
                    tracing::info!(kid, "a private key was taken away");
                }
                self.tell_mended();
                self.in_force.store(Arc::new(keys));
                *read = now;
            }
            Err(error) => {
                if let Some(so_far) = self.trouble().failed() {
                    tracing::warn!(%error, seconds = so_far.seconds, tries = so_far.tries,
                        "the private keys stay as they were");
                }
            }
        }
    }

    fn tell_mended(&self) {
        if let Some(so_far) = self.trouble().over() {
            tracing::info!(
                seconds = so_far.seconds,
                tries = so_far.tries,
                "the private keys can be read again"
            );
        }
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the folder every now and then until shutdown.
    pub(crate) async fn keep_fresh(self: Arc<Self>, forest: ForestId, shutdown: CancellationToken) {
        tracing::debug!(%forest, directory = %self.directory.display(), "following the private keys");
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => self.refresh().await,
            }
        }
    }
}

/// The key files with their times and sizes; what cannot be seen is not there.
fn files(directory: &PathBuf) -> Files {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let path = entry.path();
            path.extension().is_some_and(|extension| extension == "pem")
        })
        .filter_map(|entry| {
            // of what a link leads to: mounted secrets are links that are swapped
            let metadata = fs::metadata(entry.path()).ok()?;
            Some((entry.path(), metadata.modified().ok(), metadata.len()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use sealing::{Algorithm, KeyPair};

    use super::*;

    struct Folder(PathBuf);
    impl Folder {
        fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("writer-keys-{}", uuid::Uuid::now_v7()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn add(&self) -> KeyPair {
            let pair = KeyPair::generate(Algorithm::EcdhEsA256Kw, "corp".parse().unwrap()).unwrap();
            fs::write(
                self.0.join(format!("{}.pem", pair.kid())),
                pair.private_pem(),
            )
            .unwrap();
            pair
        }

        fn take_away(&self, pair: &KeyPair) {
            fs::remove_file(self.0.join(format!("{}.pem", pair.kid()))).unwrap();
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn known(keys: &Keys) -> Vec<String> {
        keys.in_force.load().key_ids().map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_key_that_comes_is_known_and_one_that_goes_forgotten() {
        let folder = Folder::new();
        let first = folder.add();
        let keys = Arc::new(Keys::open(folder.0.clone()).unwrap());
        let second = folder.add();
        keys.refresh().await;
        assert_eq!(known(&keys).len(), 2);
        folder.take_away(&first);
        keys.refresh().await;
        assert_eq!(known(&keys), [second.kid().to_owned()]);
    }

    #[tokio::test]
    async fn what_cannot_be_used_leaves_the_keys_as_they_were() {
        let folder = Folder::new();
        let first = folder.add();
        let keys = Arc::new(Keys::open(folder.0.clone()).unwrap());
        fs::write(folder.0.join("half.pem"), "-----BEGIN").unwrap();
        keys.refresh().await;
        assert_eq!(known(&keys), [first.kid().to_owned()]);
        // mended: it is tried again although nothing else changed
        fs::remove_file(folder.0.join("half.pem")).unwrap();
        folder.add();
        keys.refresh().await;
        assert_eq!(known(&keys).len(), 2);
        // not even the last one is given up
        fs::remove_dir_all(&folder.0).unwrap();
        keys.refresh().await;
        assert_eq!(known(&keys).len(), 2);
    }
}
