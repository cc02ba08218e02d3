//! `writebackctl keys`: each forest's key pairs, the private halves for its writers and the public
//! halves for everyone, from their making to their end.

mod files;
mod life;
mod recording;
mod retire;
mod rotate;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::ValueEnum;
use operation::ForestId;
use sealing::{Algorithm, KeyPair, PublicKeys, Times};
use serde_json::{Value, json};
use time::OffsetDateTime;

use self::{
    files::{Found, Places},
    life::State,
    recording::record,
};
use crate::{audit::Address, failure::Ending, moment, output, table};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Keys {
    /// Which keys there are, since when, and until when
    #[command(after_help = "\
current: sealed to now; retiring: replaced, still opened; due: `retire` takes it away; unpublished: in no key set.

Exit codes: 0 shown; 1 a forest has no current key, or a private half is missing; 3 wrong use, or a file cannot be read.

Examples:
  writebackctl --config /etc/writeback/config.toml keys list
  writebackctl keys list --forest corp --private-keys-directory keys/corp --public-keys-file keys/jwks.json")]
    List(List),
    /// Make a key pair: <kid>.pem in the private directory, and its public half added to the key set as the forest's newest
    #[command(after_help = "\
Exit codes: 0 made; 1 made, but the ledger could not be told; 3 wrong use, or a file cannot be read or written.

Give the private key to every writer of the forest before the intake serves the key set.
With --if-none nothing is made when the forest has a current key, or when the ledger is not reached: it can be run again.

Examples:
  writebackctl keys generate --forest corp --private-keys-directory keys/corp --public-keys-file keys/jwks.json
  writebackctl --config /etc/writeback/config.toml keys generate --forest corp --if-none      for a job that makes the first key")]
    Generate(Generate),
    /// Replace a forest's keys by new ones; the old ones open what was sealed to them until the overlap is over
    #[command(after_help = "\
Never asks anything. The private half is there before the public one: writers find it without a restart.
Without --forest the keys of every forest are rotated. The ledger is told when the audit service is known;
if it cannot be, the rotation stands all the same.

Exit codes: 0 rotated, or nothing was old enough; 1 rotated, but the ledger could not be told; 3 wrong use, or a file cannot be read or written.

Examples:
  writebackctl --config /etc/writeback/config.toml keys rotate --if-older-than 180d      for a scheduler
  writebackctl keys rotate --forest corp --overlap 14d")]
    Rotate(rotate::Rotate),
    /// Take away keys whose overlap is over: out of the key set, and their private halves deleted
    #[command(after_help = "\
Exit codes: 0 taken away, or nothing is due; 1 refused: the only key, current, or inside its overlap; or taken away, but the ledger could not be told; 3 wrong use, unknown, or a file cannot be read or written.

Examples:
  writebackctl --config /etc/writeback/config.toml keys retire        every forest's keys that are due
  writebackctl keys retire --forest corp --key 4yTq… --force          a key that was disclosed")]
    Retire(retire::Retire),
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[arg(long, value_name = "FOREST")]
    forest: Option<ForestId>,
    #[command(flatten)]
    places: Places,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Generate {
    #[arg(long, value_name = "FOREST")]
    forest: ForestId,
    #[arg(long, default_value = "rsa-oaep-256")]
    algorithm: AlgorithmArgument,
    /// Only if the forest has no current key, and not before the ledger can be told
    #[arg(long)]
    if_none: bool,
    #[command(flatten)]
    places: Places,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AlgorithmArgument {
    #[value(name = "rsa-oaep-256", alias = "RSA-OAEP-256")]
    RsaOaep256,
    #[value(name = "ecdh-es+a256kw", alias = "ECDH-ES+A256KW")]
    EcdhEsA256Kw,
}

impl From<AlgorithmArgument> for Algorithm {
    fn from(algorithm: AlgorithmArgument) -> Self {
        match algorithm {
            AlgorithmArgument::RsaOaep256 => Self::RsaOaep256,
            AlgorithmArgument::EcdhEsA256Kw => Self::EcdhEsA256Kw,
        }
    }
}

impl Keys {
    pub(crate) async fn run(self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        match self {
            Self::List(list) => list.run(address, json),
            Self::Generate(generate) => generate.run(address, json).await,
            Self::Rotate(rotate) => rotate.run(address, json).await,
            Self::Retire(retire) => retire.run(address, json).await,
        }
    }
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Seconds since the epoch as the operator reads them.
fn shown(seconds: Option<i64>) -> Option<String> {
    moment::optional(seconds?.saturating_mul(1_000_000))
}

/// The forests that have keys, in order.
fn forests(keys: &PublicKeys) -> Vec<ForestId> {
    let mut forests: Vec<ForestId> = keys.iter().map(|key| key.forest().clone()).collect();
    forests.sort();
    forests.dedup();
    forests
}

/// A key as `list` shows it.
struct Listed {
    kid: String,
    forest: ForestId,
    algorithm: Option<Algorithm>,
    state: State,
    times: Times,
    /// Nothing where the folder cannot be looked into.
    private: Option<bool>,
}

impl List {
    fn run(self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        let found = self.places.find(address)?;
        let keys = files::read_set(&found.set)?;
        let forests = self.forest.map_or_else(|| forests(&keys), |one| vec![one]);
        let now = now();
        let listed: Vec<Listed> = { forests.iter() }
            .flat_map(|forest| list(&found, &keys, forest, now))
            .collect();
        let no_current = { forests.iter() }.any(|forest| life::current(&keys, forest).is_empty());
        let incomplete =
            { listed.iter() }.any(|key| key.private == Some(false) && key.state != State::Due);
        print(&listed, json)?;
        Ok(if no_current || incomplete {
            Ending::No
        } else {
            Ending::Done
        })
    }
}

fn list(found: &Found, keys: &PublicKeys, forest: &ForestId, now: i64) -> Vec<Listed> {
    let private = found
        .private(forest)
        .and_then(|directory| files::private_keys(&directory).ok());
    let mut listed: Vec<Listed> = keys
        .iter()
        .filter(|key| key.forest() == forest)
        .map(|key| Listed {
            kid: key.kid().to_owned(),
            forest: forest.clone(),
            algorithm: Some(key.algorithm()),
            state: State::of(key, now),
            times: key.times(),
            private: private.as_ref().map(|known| known.contains(key.kid())),
        })
        .collect();
    for kid in private.iter().flatten() {
        if keys.forest_of(kid).is_none() {
            listed.push(Listed {
                kid: kid.clone(),
                forest: forest.clone(),
                algorithm: None,
                state: State::Unpublished,
                times: Times::default(),
                private: Some(true),
            });
        }
    }
    listed
}

fn print(listed: &[Listed], json: bool) -> io::Result<()> {
    let mut out = output::out();
    if json {
        let keys: Vec<Value> = listed
            .iter()
            .map(|key| {
                json!({
                    "kid": key.kid,
                    "forest": key.forest,
                    "algorithm": key.algorithm.map(Algorithm::as_str),
                    "state": key.state.as_str(),
                    "madeAt": shown(key.times.made),
                    "retiresAt": shown(key.times.retires),
                    "privateKey": key.private,
                })
            })
            .collect();
        return writeln!(out, "{:#}", json!({ "keys": keys }));
    }
    let dash = || "-".to_owned();
    let rows: Vec<_> = listed
        .iter()
        .map(|key| {
            vec![
                key.forest.to_string(),
                key.kid.clone(),
                key.algorithm
                    .map_or_else(dash, |algorithm| algorithm.to_string()),
                key.state.as_str().to_owned(),
                shown(key.times.made).unwrap_or_else(dash),
                shown(key.times.retires).unwrap_or_else(dash),
                match key.private {
                    Some(true) => "there",
                    Some(false) => "MISSING",
                    None => "not looked at",
                }
                .to_owned(),
            ]
        })
        .collect();
    let headings = [
        "FOREST",
        "KEY",
        "ALGORITHM",
        "STATE",
        "MADE",
        "RETIRES",
        "PRIVATE",
    ];
    table::print(&mut out, &headings, &rows)
}

impl Generate {
    async fn run(self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        let found = self.places.find(address)?;
        if self.if_none {
            if let Some(kid) = newest(&found, &self.forest)? {
                return self.there_already(&kid, json);
            }
            // a job that is run again must not find the ledger away twice and make two keys
            if address.is_known() {
                address.connect().await?;
            }
        }
        let algorithm = self.algorithm.into();
        let (kid, private_key_file) = if self.if_none {
            let Some(made) = make_first(&found, &self.forest, algorithm)? else {
                let kid = newest(&found, &self.forest)?.unwrap_or_default();
                return self.there_already(&kid, json);
            };
            made
        } else {
            make(&found, &self.forest, algorithm)?
        };
        let recorded = record(address, "generated", &self.forest, vec![kid.clone()]).await;
        let mut out = output::out();
        if json {
            let value = json!({
                "kid": kid,
                "forest": self.forest,
                "privateKeyFile": private_key_file,
                "publicKeysFile": found.set,
                "ledger": recorded.as_str(),
            });
            writeln!(out, "{value:#}")?;
        } else {
            writeln!(out, "key          {kid}")?;
            writeln!(out, "forest       {}", self.forest)?;
            writeln!(out, "private key  {}", private_key_file.display())?;
            writeln!(out, "key set      {}", found.set.display())?;
        }
        Ok(recorded.ending())
    }

    fn there_already(&self, kid: &str, json: bool) -> anyhow::Result<Ending> {
        let mut out = output::out();
        if json {
            let value = json!({ "kid": kid, "forest": self.forest, "made": false });
            writeln!(out, "{value:#}")?;
        } else {
            writeln!(
                out,
                "forest {} has a key: {kid}; none was made",
                self.forest
            )?;
        }
        Ok(Ending::Done)
    }
}

/// The key that is sealed to now, if there is one.
fn newest(found: &Found, forest: &ForestId) -> anyhow::Result<Option<String>> {
    let keys = files::read_set(&found.set)?;
    let current = life::current(&keys, forest);
    Ok(current.last().map(|key| key.kid().to_owned()))
}

/// The first key of a forest, of the algorithm that every sender knows. Returns its id.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn first(
    address: &Address,
    forest: &ForestId,
    private_keys_directory: &Path,
    public_keys_file: &Path,
) -> anyhow::Result<String> {
    let places = files::Places {
        private_keys_directory: Some(private_keys_directory.to_owned()),
        public_keys_file: Some(public_keys_file.to_owned()),
    };
    let (kid, _) = make(&places.find(address)?, forest, Algorithm::RsaOaep256)?;
    Ok(kid)
}

/// Tells the ledger of a key made by [`first`]. If it does not hear of it, the operator does.
pub(crate) async fn tell(address: &Address, forest: &ForestId, kid: String) {
    record(address, "generated", forest, vec![kid]).await;
}

fn make(
    found: &Found,
    forest: &ForestId,
    algorithm: Algorithm,
) -> anyhow::Result<(String, PathBuf)> {
    let made = make_if(found, forest, algorithm, |_| true)?;
    made.context("the key was not added to the key set")
}

/// Unless somebody was first, with whom it is decided under the key set's lock.
fn make_first(
    found: &Found,
    forest: &ForestId,
    algorithm: Algorithm,
) -> anyhow::Result<Option<(String, PathBuf)>> {
    make_if(found, forest, algorithm, |keys| {
        life::current(keys, forest).is_empty()
    })
}

/// The private key first: nothing may ever be sealed to a key that nobody holds.
fn make_if(
    found: &Found,
    forest: &ForestId,
    algorithm: Algorithm,
    wanted: impl FnOnce(&PublicKeys) -> bool,
) -> anyhow::Result<Option<(String, PathBuf)>> {
    let pair = KeyPair::generate(algorithm, forest.clone())?;
    let folder = found.require_private(forest)?;
    let path = files::write_private(&folder, &pair)?;
    let added = files::change_set(&found.set, |keys| {
        if !wanted(keys) {
            return Ok(None);
        }
        keys.add(pair.public().with_times(Times {
            made: Some(now()),
            retires: None,
        }));
        Ok(Some(()))
    })?;
    if added.is_none() {
        files::remove_private(&folder, pair.kid())?;
        return Ok(None);
    }
    Ok(Some((pair.kid().to_owned(), path)))
}

#[cfg(test)]
mod tests;
