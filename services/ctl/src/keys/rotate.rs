//! `writebackctl keys rotate`.

use std::io::{self, Write as _};

use anyhow::{Context as _, ensure};
use operation::ForestId;
use sealing::{KeyPair, PublicKeys, Times};
use serde_json::{Value, json};
use time::Duration;

use super::{
    files::{self, Found, Places},
    forests, life, now,
    recording::{Recorded, record},
    shown,
};
use crate::{audit::Address, failure::Ending, moment, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Rotate {
    /// This forest only
    #[arg(long, value_name = "FOREST")]
    forest: Option<ForestId>,
    /// How long what was sealed to the old keys is still opened: longer than any sender keeps the key set, and than the longest deadline
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = moment::parse_span)]
    overlap: Duration,
    /// Only a forest one of whose current keys is older
    #[arg(long, value_name = "SPAN", value_parser = moment::parse_span)]
    if_older_than: Option<Duration>,
    #[command(flatten)]
    places: Places,
}

/// What was done in one forest.
pub(super) struct Rotated {
    pub(super) made: Vec<String>,
    pub(super) retiring: Vec<String>,
    until: i64,
}

impl Rotate {
    pub(super) async fn run(self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        let found = self.places.find(address)?;
        let forests = match &self.forest {
            Some(forest) => vec![forest.clone()],
            None => forests(&files::read_set(&found.set)?),
        };
        ensure!(
            forests.len() <= 1 || !found.is_of_one_forest(),
            "--private-keys-directory is one forest's: say which with --forest"
        );
        let mut recorded = Recorded::NotAsked;
        let mut told = Vec::new();
        for forest in &forests {
            let rotated = rotate(
                &found,
                forest,
                self.overlap.whole_seconds(),
                self.if_older_than.map(Duration::whole_seconds),
                now(),
            )?;
            if let Some(rotated) = &rotated {
                let made = rotated.made.clone();
                recorded = recorded.and(record(address, "rotated", forest, made).await);
            }
            told.push((forest, rotated));
        }
        print(&told, recorded, json)?;
        Ok(recorded.ending())
    }
}

/// Nothing where no current key is older than that.
pub(super) fn rotate(
    found: &Found,
    forest: &ForestId,
    overlap: i64,
    if_older_than: Option<i64>,
    now: i64,
) -> anyhow::Result<Option<Rotated>> {
    let directory = found.require_private(forest)?;
    let until = now.saturating_add(overlap);
    files::change_set(&found.set, |keys| {
        let current = life::current(keys, forest);
        ensure!(
            !current.is_empty(),
            "forest {forest} has no current key in {}: `keys generate` makes the first",
            found.set.display()
        );
        if let Some(limit) = if_older_than {
            let is_older = |kid: &str, times: Times| {
                // of what nobody knows the age, it is time
                let made = times.made.or_else(|| files::written(&directory, kid));
                made.is_none_or(|made| now.saturating_sub(made) >= limit)
            };
            if !{ current.iter() }.any(|key| is_older(key.kid(), key.times())) {
                return Ok(None);
            }
        }
        let algorithms = life::algorithms(&current);
        let replaced: Vec<(String, Times)> = { current.iter() }
            .map(|key| (key.kid().to_owned(), key.times()))
            .collect();
        let mut made = Vec::new();
        for algorithm in algorithms {
            let pair = KeyPair::generate(algorithm, forest.clone())?;
            files::write_private(&directory, &pair)?;
            made.push(pair.kid().to_owned());
            keys.add(pair.public().with_times(Times {
                made: Some(now),
                retires: None,
            }));
        }
        Ok(Some(Rotated {
            made,
            retiring: retire_from(keys, &replaced, until),
            until,
        }))
    })
    .with_context(|| format!("forest {forest}"))
}

fn retire_from(keys: &mut PublicKeys, replaced: &[(String, Times)], until: i64) -> Vec<String> {
    for (kid, times) in replaced {
        let retires = Some(until);
        keys.set_times(kid, Times { retires, ..*times });
    }
    replaced.iter().map(|(kid, _)| kid.clone()).collect()
}

fn print(told: &[(&ForestId, Option<Rotated>)], recorded: Recorded, json: bool) -> io::Result<()> {
    let mut out = output::out();
    if json {
        let forests: Vec<Value> = told
            .iter()
            .map(|(forest, rotated)| match rotated {
                Some(rotated) => json!({
                    "forest": forest,
                    "rotated": true,
                    "made": rotated.made,
                    "retiring": rotated.retiring,
                    "overlapUntil": shown(Some(rotated.until)),
                }),
                None => json!({ "forest": forest, "rotated": false }),
            })
            .collect();
        let value = json!({ "forests": forests, "ledger": recorded.as_str() });
        return writeln!(out, "{value:#}");
    }
    for (forest, rotated) in told {
        match rotated {
            None => writeln!(
                out,
                "forest {forest}: no key is old enough; nothing was changed"
            )?,
            Some(rotated) => {
                writeln!(out, "forest {forest}: rotated")?;
                for kid in &rotated.made {
                    writeln!(out, "  new       {kid}")?;
                }
                let until = shown(Some(rotated.until)).unwrap_or_default();
                for kid in &rotated.retiring {
                    writeln!(out, "  retiring  {kid}, opened until {until}")?;
                }
            }
        }
    }
    Ok(())
}
