//! `writebackctl keys retire`.

use std::io::Write as _;

use anyhow::{Context as _, ensure};
use operation::ForestId;
use serde_json::json;

use super::{
    files::{self, Found, Places},
    forests,
    life::{self, Kept},
    now,
    recording::{Recorded, record},
};
use crate::{audit::Address, failure::Ending, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Retire {
    /// This forest only
    #[arg(long, value_name = "FOREST")]
    forest: Option<ForestId>,
    /// This key, as `keys list` names it; without one, all that are due
    #[arg(long, value_name = "KEY", requires = "forest")]
    key: Option<String>,
    /// Although it is current or inside its overlap: what was sealed to it will not be opened
    #[arg(long, requires = "key")]
    force: bool,
    #[command(flatten)]
    places: Places,
}

/// What became of the keys that were meant.
pub(super) enum Retired {
    Gone(Vec<String>),
    Kept(Kept),
}

impl Retire {
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
        let mut retired = Vec::new();
        for forest in &forests {
            match retire(&found, forest, self.key.as_deref(), self.force, now())? {
                Retired::Gone(gone) if gone.is_empty() => {}
                Retired::Gone(gone) => {
                    let told = record(address, "retired", forest, gone.clone()).await;
                    recorded = recorded.and(told);
                    retired.extend(gone.into_iter().map(|kid| (forest.clone(), kid)));
                }
                Retired::Kept(why) => {
                    let key = self.key.as_deref().unwrap_or_default();
                    output::tell(format_args!(
                        "writebackctl: key {key} of forest {forest} stays: {why}"
                    ));
                    return Ok(Ending::No);
                }
            }
        }
        let mut out = output::out();
        if json {
            let keys: Vec<_> = { retired.iter() }
                .map(|(forest, kid)| json!({ "forest": forest, "kid": kid }))
                .collect();
            let value = json!({ "retired": keys, "ledger": recorded.as_str() });
            writeln!(out, "{value:#}")?;
        } else if retired.is_empty() {
            writeln!(out, "no key is due")?;
        } else {
            for (forest, kid) in &retired {
                writeln!(out, "forest {forest}: {kid} is gone")?;
            }
        }
        Ok(recorded.ending())
    }
}

/// Out of the key set first: nothing may be sealed to a key that nobody holds any more.
pub(super) fn retire(
    found: &Found,
    forest: &ForestId,
    key: Option<&str>,
    force: bool,
    now: i64,
) -> anyhow::Result<Retired> {
    let directory = found.require_private(forest)?;
    let mut kept = None;
    let gone = files::change_set(&found.set, |keys| {
        let meant: Vec<String> = match key {
            None => life::due(keys, forest, now)
                .into_iter()
                .map(|key| key.kid().to_owned())
                .collect(),
            Some(kid) => {
                let known = keys
                    .iter()
                    .find(|key| key.kid() == kid && key.forest() == forest)
                    .with_context(|| {
                        format!(
                            "forest {forest} has no key {kid} in {}",
                            found.set.display()
                        )
                    })?;
                if let Err(why) = life::may_go(keys, known, now, force) {
                    kept = Some(why);
                    return Ok(None);
                }
                vec![kid.to_owned()]
            }
        };
        let mut gone = Vec::new();
        for kid in meant {
            let last = keys.iter().filter(|key| key.forest() == forest).count() <= 1;
            if !last {
                keys.remove(&kid);
                gone.push(kid);
            }
        }
        Ok((!gone.is_empty()).then_some(gone))
    })?;
    if let Some(why) = kept {
        return Ok(Retired::Kept(why));
    }
    let gone = gone.unwrap_or_default();
    for kid in &gone {
        files::remove_private(&directory, kid)?;
    }
    Ok(Retired::Gone(gone))
}
