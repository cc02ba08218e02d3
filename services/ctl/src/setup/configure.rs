//! What is going to be done, and doing it: files first, then the proof that the services could work
//! with them.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use operation::ForestId;
use sealing::PublicKeys;
use secrecy::ExposeSecret as _;

use super::{console::Console, document, draft::Draft};
use crate::{audit::Address, keys, web};

/// What "Configure" would do.
pub(crate) struct Plan {
    changes: Vec<String>,
    secrets: Vec<PathBuf>,
    keys: Vec<ForestId>,
    settings: Vec<String>,
    config: PathBuf,
}

impl Plan {
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.changes.is_empty() {
            lines.push(format!("{} stays as it is.", self.config.display()));
        } else {
            lines.push(format!("In {}:", self.config.display()));
            lines.extend(self.changes.iter().map(|change| format!("  {change}")));
        }
        for path in &self.secrets {
            lines.push(format!(
                "The password typed goes to {}, readable by its owner only.",
                path.display()
            ));
        }
        for forest in &self.keys {
            lines.push(format!("A sealing key is made for {forest}."));
        }
        lines.extend(self.settings.iter().cloned());
        lines
    }
}

/// # Errors
/// When the configuration, or the key set it names, cannot be understood.
pub(crate) fn plan(draft: &Draft) -> anyhow::Result<Plan> {
    let after = draft.after()?;
    let places = Places::of(draft, &after)?;
    Ok(Plan {
        changes: document::difference(draft.before.as_deref(), &after)?,
        secrets: draft.secrets.keys().map(|path| draft.place(path)).collect(),
        keys: if draft.answers.features.password_writeback {
            places.without_a_key(draft)?
        } else {
            Vec::new()
        },
        settings: settings(draft),
        config: draft.config.clone(),
    })
}

/// What would be turned, for everybody.
fn settings(draft: &Draft) -> Vec<String> {
    let Some(now) = &draft.settings else {
        return Vec::new();
    };
    let wanted = &draft.answers.features;
    let mut lines = Vec::new();
    for (what, now, wanted) in [
        (
            "Password writeback",
            now.password_writeback,
            wanted.password_writeback,
        ),
        (
            "Unlock without reset",
            now.unlock_without_reset,
            wanted.unlock_without_reset,
        ),
    ] {
        if now != wanted {
            let to = if wanted { "on" } else { "off" };
            lines.push(format!("{what} is turned {to}, for everybody."));
        }
    }
    lines
}

/// Where the keys are.
struct Places {
    public: PathBuf,
    /// Each forest's private keys stand in a directory of this one, by its id.
    private: PathBuf,
}

impl Places {
    fn of(draft: &Draft, text: &str) -> anyhow::Result<Self> {
        let keys = document::keys(text)?;
        let public = keys
            .get("sealing.public_keys_file")
            .map_or("keys/jwks.json", String::as_str);
        let private = keys
            .get("ctl.keys_directory")
            .map_or("keys", String::as_str);
        let public = draft.place(Path::new(public));
        let private = draft.place(Path::new(private));
        Ok(Self { public, private })
    }

    fn without_a_key(&self, draft: &Draft) -> anyhow::Result<Vec<ForestId>> {
        let keys = if fs::exists(&self.public)? {
            PublicKeys::from_jwks(&web::read_file(&self.public)?)
                .with_context(|| self.public.display().to_string())?
        } else {
            PublicKeys::default()
        };
        let forests = draft.answers.forests.iter().map(|forest| &forest.id);
        Ok(forests
            .filter(|id| keys.for_forest(id).is_none())
            .cloned()
            .collect())
    }
}

/// Writes what was planned, and tells each step. What is there already is not lost: the configuration
/// as it was is kept beside it.
///
/// # Errors
/// At the first file that cannot be written; what was written before it stays.
pub(crate) async fn write(
    console: &mut Console<'_>,
    draft: &Draft,
    plan: &Plan,
    address: &Address,
) -> anyhow::Result<()> {
    for (path, secret) in &draft.secrets {
        let path = draft.place(path);
        replace(&path, 0o600, secret.expose_secret().as_bytes())
            .with_context(|| path.display().to_string())?;
        console.say(&format!("  written  {}", path.display()))?;
    }
    let after = draft.after()?;
    let places = Places::of(draft, &after)?;
    let mut made = Vec::new();
    if let (Some(folder), false) = (places.public.parent(), plan.keys.is_empty()) {
        // whoever serves the public keys looks into it; the private ones have folders of their own
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    for forest in &plan.keys {
        let private = places.private.join(forest.as_str());
        let kid = keys::first(address, forest, &private, &places.public)?;
        console.say(&format!(
            "  made     key {kid} of {forest}: private in {}, public in {}",
            private.display(),
            places.public.display()
        ))?;
        made.push((forest, kid));
    }
    if draft.before.as_deref() != Some(after.as_str()) {
        if let Some(before) = &draft.before {
            let previous = beside(&draft.config, ".previous");
            replace(&previous, 0o644, before.as_bytes())
                .with_context(|| previous.display().to_string())?;
            console.say(&format!("  kept     {}", previous.display()))?;
        }
        // last: the services look at it once a second, and what it names must be there by then
        replace(&draft.config, 0o644, after.as_bytes())
            .with_context(|| draft.config.display().to_string())?;
        console.say(&format!("  written  {}", draft.config.display()))?;
    }
    // the way to the ledger is in the configuration, which was not there before
    for (forest, kid) in made {
        keys::tell(address, forest, kid).await;
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Readers see the old file or the new one. Folders that are missing are made for their owner alone.
fn replace(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let next = beside(path, ".new");
    match fs::remove_file(&next) {
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
    file.sync_all()?;
    fs::rename(&next, path)
}
