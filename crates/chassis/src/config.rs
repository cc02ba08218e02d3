//! The one TOML file all services share, and the environment over it.
//!
//! `WRITEBACK_<SECTION>__<KEY>` overrides a key. Unknown keys are errors that name their line: a
//! misspelt security setting must never fall back to its default in silence. Secrets are given by
//! file path only, so none is in the file, the environment or `/proc`. Relative paths, wherever
//! they were written, are relative to the file's folder.

mod certificates;
mod forests;
mod pointed_to;
mod protected;
mod sections;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Metadata, Profile, Provider,
    error::Kind,
    providers::{Format as _, Toml},
    value::{Dict, Map, Value},
};
use secrecy::SecretString;
use toml::de::{DeTable, DeValue};

pub use certificates::{CertificateFiles, Section};
pub(crate) use certificates::{Held, Texts};
pub use forests::{ControllerChoice, Domain, Forest, PolicyHints, SendHints};
pub use pointed_to::{AccountFiles, PointedTo};
pub use protected::{ProtectedAccounts, Treatment};
pub use sections::{
    Audit, Broker, Config, Ctl, Intake, Ledger, LogFormat, OperatorTokens, Resolver, Sealing,
    Service, ServiceNames, Telemetry, Tokens, Writer,
};

const ENVIRONMENT_PREFIX: &str = "WRITEBACK_";

/// Why the configuration cannot be used. The message tells the operator what to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: {reason}", path.display())]
    Syntax { path: PathBuf, reason: String },
    #[error("{}, line {line}: {reason}", path.display())]
    AtLine {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error("{variable} in the environment: {reason}")]
    Environment { variable: String, reason: String },
    #[error("{}: {reason}", path.display())]
    Incomplete { path: PathBuf, reason: String },
    #[error("`{0}` is required by this service and is not set")]
    Required(&'static str),
    #[error("`{one}` and `{other}` contradict each other: set one of them")]
    Contradiction {
        one: &'static str,
        other: &'static str,
    },
    #[error("{}: {reason}", path.display())]
    Secret { path: PathBuf, reason: &'static str },
    #[error("`{key}` {}: {problem}", path.display())]
    Unusable {
        key: String,
        path: PathBuf,
        problem: String,
    },
    #[error("the certificates of [{section}] cannot be used: {problem}")]
    Tls {
        section: &'static str,
        problem: String,
    },
}

impl Config {
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::of(path, &text)
    }

    /// What this text of the file says, with the environment over it.
    pub(crate) fn of(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let environment: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self::parse(path, text, &environment)
    }

    fn parse(
        path: &Path,
        text: &str,
        environment: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        // parsed once more with positions, because figment's errors know keys but no lines
        let positions = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        let overrides = Overrides::from_environment(environment);
        let mut config: Self = Figment::from(Toml::string(text))
            .merge(&overrides)
            .extract()
            .map_err(|error| locate(path, text, positions.get_ref(), &overrides, &error))?;

        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        for relative in config.paths_mut() {
            *relative = folder.join(&*relative);
        }
        for (index, forest) in config.forests.iter().enumerate() {
            if config
                .forests
                .iter()
                .take(index)
                .any(|earlier| earlier.id == forest.id)
            {
                return Err(ConfigError::Incomplete {
                    path: path.to_owned(),
                    reason: format!("forest `{}` is given twice", forest.id),
                });
            }
        }
        let domains = || config.forests.iter().flat_map(|forest| &forest.domains);
        for (index, domain) in domains().enumerate() {
            if domains()
                .take(index)
                .any(|earlier| earlier.name == domain.name)
            {
                return Err(ConfigError::Incomplete {
                    path: path.to_owned(),
                    reason: format!("domain {} is given twice", domain.name),
                });
            }
        }
        Ok(config)
    }
}

/// The dotted keys the environment sets. Figment's own provider reads the process environment and
/// nothing else, which no test can set without unsafe code; the values are read as it reads them.
struct Overrides(Vec<(String, Value)>);

impl Overrides {
    /// Only names with a section count: Kubernetes itself sets `WRITEBACK_SERVICE_HOST` and the
    /// like for a Service called `writeback`.
    fn from_environment(variables: &[(String, String)]) -> Self {
        let overrides = variables.iter().filter_map(|(name, text)| {
            let key = name.strip_prefix(ENVIRONMENT_PREFIX)?;
            let value = match text.parse::<Value>() {
                Ok(value) => value,
                Err(never) => match never {},
            };
            key.contains("__")
                .then(|| (key.to_lowercase().replace("__", "."), value))
        });
        Self(overrides.collect())
    }
}

impl Provider for &Overrides {
    fn metadata(&self) -> Metadata {
        Metadata::named("the environment")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut data = Figment::new();
        for (key, value) in &self.0 {
            data = data.merge((key.as_str(), value));
        }
        data.data()
    }
}

/// Says where the first error is: the line of the file, else the variable of the environment.
fn locate(
    path: &Path,
    text: &str,
    file: &DeTable<'_>,
    overrides: &Overrides,
    error: &figment::Error,
) -> ConfigError {
    let mut keys = error.path.clone();
    let reason = match &error.kind {
        // an unknown key is in the path already, a missing one is not
        Kind::UnknownField(_, known) => format!(
            "unknown key `{}`; known here: {}",
            keys.join("."),
            known.join(", ")
        ),
        Kind::MissingField(key) => {
            keys.push(key.to_string());
            let reason = format!("`{}` is missing", keys.join("."));
            return ConfigError::Incomplete {
                path: path.to_owned(),
                reason,
            };
        }
        kind if keys.is_empty() => kind.to_string(),
        kind => format!("`{}`: {kind}", keys.join(".")),
    };
    let variable = format!("{ENVIRONMENT_PREFIX}{}", keys.join("__").to_uppercase());
    if overrides.0.iter().any(|(key, _)| *key == keys.join(".")) {
        return ConfigError::Environment { variable, reason };
    }
    match offset_of(file, &keys) {
        Some(offset) => ConfigError::AtLine {
            path: path.to_owned(),
            line: text
                .bytes()
                .take(offset)
                .filter(|byte| *byte == b'\n')
                .count()
                + 1,
            reason,
        },
        None => ConfigError::Incomplete {
            path: path.to_owned(),
            reason,
        },
    }
}

/// Where the last key of the path that the file holds was written.
fn offset_of(file: &DeTable<'_>, keys: &[String]) -> Option<usize> {
    let (first, rest) = keys.split_first()?;
    let (key, value) = file.get_key_value(first.as_str())?;
    let mut value = value;
    let mut offset = key.span().start;
    let mut rest = rest;
    while let Some((next, after)) = rest.split_first() {
        match value.get_ref() {
            DeValue::Table(table) => {
                return offset_of(table, rest).or(Some(offset));
            }
            DeValue::Array(items) => {
                let Some(item) = next.parse().ok().and_then(|index: usize| items.get(index)) else {
                    break;
                };
                value = item;
                offset = item.span().start;
                rest = after;
            }
            _ => break,
        }
    }
    Some(offset)
}

/// Reads a secret from its file, less one trailing newline. The error names the file, never its content.
pub fn read_secret(path: &Path) -> Result<SecretString, ConfigError> {
    let mut secret = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    if secret.ends_with('\n') {
        secret.pop();
        if secret.ends_with('\r') {
            secret.pop();
        }
    }
    if secret.is_empty() {
        return Err(ConfigError::Secret {
            path: path.to_owned(),
            reason: "the secret in it is empty",
        });
    }
    Ok(SecretString::from(secret))
}

/// Reads a file the configuration names, such as a CA; the error names the file.
pub fn read_file(path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// A key that only this service cannot do without. Returned from a service's closure, the error
/// exits 64 like any other fault of the configuration.
pub fn required<T>(value: Option<T>, key: &'static str) -> Result<T, ConfigError> {
    value.ok_or(ConfigError::Required(key))
}

#[cfg(test)]
mod tests;
