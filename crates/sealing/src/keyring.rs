//! The keys of all forests to seal to, and the keys of one forest to open with.

use std::{collections::BTreeMap, fmt, fs, io, path::Path};

use operation::ForestId;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    KeyError,
    key::{KeyPair, Private, PublicKey, Times},
};

/// The public keys of every forest: a JSON Web Key Set whose keys name their `forest`.
///
/// The order is the age: the last key of a forest is its newest, the one to seal to. Earlier ones
/// stay while something sealed to them may still arrive.
#[derive(Debug, Clone, Default)]
pub struct PublicKeys {
    keys: Vec<PublicKey>,
}

impl PublicKeys {
    pub fn from_jwks(json: &[u8]) -> Result<Self, KeyError> {
        let set: Value =
            serde_json::from_slice(json).map_err(|_| KeyError::NotAKeySet("it is not JSON"))?;
        let jwks = set
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(KeyError::NotAKeySet("it has no array `keys`"))?;
        let mut keys = Self::default();
        for (index, jwk) in jwks.iter().enumerate() {
            let key = PublicKey::from_jwk(jwk)
                .map_err(|problem| KeyError::UnusableJwk { index, problem })?;
            if keys.forest_of(key.kid()).is_some() {
                let problem = "the same key appears earlier";
                return Err(KeyError::UnusableJwk { index, problem });
            }
            keys.add(key);
        }
        Ok(keys)
    }

    pub fn to_jwks(&self) -> Value {
        let keys: Vec<Value> = self.keys.iter().map(PublicKey::to_jwk).collect();
        json!({ "keys": keys })
    }

    /// The set as its keepers' file has it: with each key's times, which [`Self::to_jwks`] leaves out.
    pub fn to_file(&self) -> Value {
        let keys: Vec<Value> = self.keys.iter().map(PublicKey::to_file).collect();
        json!({ "keys": keys })
    }

    /// The forest whose writers hold this key.
    pub fn forest_of(&self, kid: &str) -> Option<&ForestId> {
        self.keys
            .iter()
            .find(|key| key.kid() == kid)
            .map(PublicKey::forest)
    }

    /// The newest key of a forest.
    pub fn for_forest(&self, forest: &ForestId) -> Option<&PublicKey> {
        self.keys.iter().rev().find(|key| key.forest() == forest)
    }

    /// Adds a key as its forest's newest.
    pub fn add(&mut self, key: PublicKey) {
        self.keys.retain(|known| known.kid() != key.kid());
        self.keys.push(key);
    }

    /// Sets a key's times; its place in the order stays.
    pub fn set_times(&mut self, kid: &str, times: Times) {
        for key in self.keys.iter_mut().filter(|key| key.kid() == kid) {
            *key = key.clone().with_times(times);
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, kid: &str) {
        self.keys.retain(|key| key.kid() != kid);
    }

    /// Every key, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter()
    }
}

/// The private keys of one forest's writers.
pub struct PrivateKeys {
    keys: BTreeMap<String, Private>,
}

impl fmt::Debug for PrivateKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKeys")
            .field("key_ids", &self.keys.keys())
            .finish_non_exhaustive()
    }
}

impl FromIterator<KeyPair> for PrivateKeys {
    fn from_iter<I: IntoIterator<Item = KeyPair>>(pairs: I) -> Self {
        Self {
            keys: pairs.into_iter().map(KeyPair::into_private).collect(),
        }
    }
}

impl PrivateKeys {
    /// Every `*.pem` of a directory: unencrypted PKCS#8, RSA of 2048 bits or more, or P-256.
    ///
    /// One file that cannot be used is an error: a writer that starts without one of its keys would
    /// refuse what was sealed to it.
    pub fn from_directory(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |path: &Path, cause: io::Error| KeyError::Unreadable {
            path: path.to_owned(),
            cause,
        };
        let mut keys = BTreeMap::new();
        for entry in fs::read_dir(path).map_err(|cause| unreadable(path, cause))? {
            let file = entry.map_err(|cause| unreadable(path, cause))?.path();
            if file.extension().is_none_or(|extension| extension != "pem") {
                continue;
            }
            let pem = fs::read_to_string(&file)
                .map(Zeroizing::new)
                .map_err(|cause| unreadable(&file, cause))?;
            let (kid, key) = Private::from_pem(&pem)
                .and_then(|key| Ok((key.kid()?, key)))
                .map_err(|cause| KeyError::File {
                    path: file,
                    cause: Box::new(cause),
                })?;
            keys.insert(kid, key);
        }
        if keys.is_empty() {
            let path = path.to_owned();
            return Err(KeyError::NoKeys { path });
        }
        Ok(Self { keys })
    }

    /// The RFC 7638 thumbprints of the keys.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    pub(crate) fn get(&self, kid: &str) -> Option<&Private> {
        self.keys.get(kid)
    }
}
