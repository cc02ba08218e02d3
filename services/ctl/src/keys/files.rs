//! The files keys are in: a private key to a file that only its owner reads, and the key set, which
//! readers see as it was or as it is, and of two writers at once neither loses anything.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use anyhow::{Context as _, bail};
use operation::ForestId;
use sealing::{KeyPair, PrivateKeys, PublicKeys};

use crate::{audit::Address, web};

/// Where the keys are, unless the configuration says so.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Places {
    /// Where the forest's writers read their keys; made if it is missing. By default the forest's folder in keys_directory of [ctl]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) private_keys_directory: Option<PathBuf>,
    /// The key set that the intake serves; made if it is missing. By default that of [sealing]
    #[arg(long, value_name = "FILE")]
    pub(crate) public_keys_file: Option<PathBuf>,
}

/// The same, found.
#[derive(Debug)]
pub(crate) struct Found {
    given: Option<PathBuf>,
    /// A folder for each forest.
    all: Option<PathBuf>,
    pub(crate) set: PathBuf,
}

impl Places {
    pub(crate) fn find(&self, address: &Address) -> anyhow::Result<Found> {
        let both = self.private_keys_directory.is_some() && self.public_keys_file.is_some();
        let config = if both { None } else { address.loaded()? };
        let set = { self.public_keys_file.clone() }.or_else(|| {
            let sealing = config.as_ref().map(|config| &config.sealing);
            sealing.map(|sealing| sealing.public_keys_file.clone())
        });
        Ok(Found {
            given: self.private_keys_directory.clone(),
            all: config.and_then(|config| config.ctl.keys_directory),
            set: set.context(
                "say where the keys are: --private-keys-directory and --public-keys-file, or --config FILE",
            )?,
        })
    }
}

impl Found {
    /// The folder of one forest's private keys, if it is known.
    pub(crate) fn private(&self, forest: &ForestId) -> Option<PathBuf> {
        let own = || Some(self.all.as_ref()?.join(forest.to_string()));
        self.given.clone().or_else(own)
    }

    pub(crate) fn require_private(&self, forest: &ForestId) -> anyhow::Result<PathBuf> {
        self.private(forest).with_context(|| {
            format!(
                "say where the private keys of forest {forest} are: --private-keys-directory, or \
                 keys_directory in [ctl] of the configuration"
            )
        })
    }

    /// Whether one folder was given: then it is of one forest.
    pub(crate) const fn is_of_one_forest(&self) -> bool {
        self.given.is_some()
    }
}

/// The key set as it is now; none yet is an empty one.
pub(crate) fn read_set(path: &Path) -> anyhow::Result<PublicKeys> {
    let read = || {
        if fs::exists(path)? {
            anyhow::Ok(PublicKeys::from_jwks(&web::read_file(path)?)?)
        } else {
            Ok(PublicKeys::default())
        }
    };
    read().with_context(|| path.display().to_string())
}

/// Changes the key set while nobody else does. What `change` writes elsewhere is there before it.
pub(crate) fn change_set<T>(
    path: &Path,
    change: impl FnOnce(&mut PublicKeys) -> anyhow::Result<Option<T>>,
) -> anyhow::Result<Option<T>> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let context = || path.display().to_string();
    fs::create_dir_all(folder).with_context(context)?;
    let directory = File::open(folder).with_context(context)?;
    // held until the rename; released by closing
    directory.lock().with_context(context)?;
    let mut keys = read_set(path)?;
    let Some(changed) = change(&mut keys)? else {
        return Ok(None);
    };
    let text = format!("{:#}\n", keys.to_file());
    write_whole(path, 0o644, text.as_bytes()).with_context(context)?;
    Ok(Some(changed))
}

/// Writes a new key's private half, for whoever owns the folder and nobody else.
pub(crate) fn write_private(directory: &Path, pair: &KeyPair) -> anyhow::Result<PathBuf> {
    let path = directory.join(format!("{}.pem", pair.kid()));
    let write = || {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        write_whole(&path, 0o600, pair.private_pem().as_bytes())
    };
    write().with_context(|| path.display().to_string())?;
    Ok(path)
}

/// Takes a private key away. One that is gone already is no fault.
pub(crate) fn remove_private(directory: &Path, kid: &str) -> anyhow::Result<bool> {
    let path = directory.join(format!("{kid}.pem"));
    match fs::remove_file(&path) {
        Ok(()) => {
            File::open(directory)?.sync_all()?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // under another name it would stay, and nobody would know
            if private_keys(directory)?.contains(kid) {
                bail!(
                    "{}: a file of another name holds key {kid}; remove it by hand",
                    directory.display()
                );
            }
            Ok(false)
        }
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// The names of the private keys in a folder; none is fine.
pub(crate) fn private_keys(directory: &Path) -> anyhow::Result<BTreeSet<String>> {
    match PrivateKeys::from_directory(directory) {
        Ok(keys) => Ok(keys.key_ids().map(str::to_owned).collect()),
        Err(sealing::KeyError::NoKeys { .. }) => Ok(BTreeSet::new()),
        Err(error) => Err(error.into()),
    }
}

/// When a private key's file was written: for keys of which the set does not say when they were made.
pub(crate) fn written(directory: &Path, kid: &str) -> Option<i64> {
    let metadata = fs::metadata(directory.join(format!("{kid}.pem"))).ok()?;
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// Beside it first, then in its place: a reader never sees half of it.
fn write_whole(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".new");
    let next = PathBuf::from(next);
    match fs::remove_file(&next) {
        // left behind by a run that was interrupted
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&next)?;
    file.write_all(content)?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if nix::unistd::geteuid().is_root() {
        // its readers run as whoever was given the folder
        let owner = fs::metadata(folder)?;
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.sync_all()?;
    fs::rename(&next, path)?;
    File::open(folder)?.sync_all()
}
