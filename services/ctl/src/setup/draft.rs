//! What is being made: the answers so far, the secrets typed, and the file they will go into.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use secrecy::SecretString;

use super::{
    answers::{Answers, Features},
    document,
};

pub(crate) struct Draft {
    pub(crate) config: PathBuf,
    /// The file as it is; None where there is none yet.
    pub(crate) before: Option<String>,
    pub(crate) answers: Answers,
    /// The settings as the ledger has them; None where it does not say.
    pub(crate) settings: Option<Features>,
    /// Typed, not written yet: by the path they go to, as it stands in the answers.
    pub(crate) secrets: BTreeMap<PathBuf, SecretString>,
}

impl Draft {
    /// # Errors
    /// When the file is there and cannot be read or understood: it is never replaced then.
    pub(crate) fn of(config: &Path) -> anyhow::Result<Self> {
        let before = match fs::read_to_string(config) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| config.display().to_string()),
        };
        let answers = before
            .as_deref()
            .map(Answers::of_configuration)
            .transpose()
            .with_context(|| config.display().to_string())?
            .unwrap_or_default();
        Ok(Self {
            config: config.to_owned(),
            before,
            answers,
            settings: None,
            secrets: BTreeMap::new(),
        })
    }

    /// The file as it will be.
    pub(crate) fn after(&self) -> anyhow::Result<String> {
        document::with(self.before.as_deref(), &self.answers)
            .with_context(|| self.config.display().to_string())
    }

    /// A path of the file, from where we stand: relative ones are relative to the file.
    pub(crate) fn place(&self, path: &Path) -> PathBuf {
        self.config.parent().unwrap_or(Path::new("")).join(path)
    }

    /// The secret that will stand in this file.
    pub(crate) fn secret(&self, path: &Path) -> anyhow::Result<SecretString> {
        match self.secrets.get(path) {
            Some(typed) => Ok(typed.clone()),
            None => Ok(chassis::config::read_secret(&self.place(path))?),
        }
    }
}
