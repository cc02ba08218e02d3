//! The sealing keys of each forest: the private one where its writers read it, the public ones where everyone does.

use std::{fs, path::PathBuf};

use operation::ForestId;
use sealing::{Algorithm, KeyPair, PublicKeys, Times};

use crate::forest::{FORESTS, ForestPlan};
use crate::place::Place;
use crate::secret::write_private;

/// The newest last, which senders prefer: it opens in a fraction of the time that RSA takes.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::RsaOaep256, Algorithm::EcdhEsA256Kw];

pub(crate) fn public_keys_file(place: &Place) -> PathBuf {
    place.path("keys/jwks.json")
}

/// A folder for each forest.
pub(crate) fn keys_directory(place: &Place) -> PathBuf {
    place.path("keys")
}

pub(crate) fn private_keys_directory(place: &Place, forest: &str) -> PathBuf {
    keys_directory(place).join(forest)
}

pub(crate) fn make(place: &Place) -> anyhow::Result<()> {
    let mut public = PublicKeys::default();
    for forest in &FORESTS {
        generate(place, forest, &mut public)?;
    }
    publish(place, &public)
}

/// Keys for one more forest.
pub(crate) fn add(place: &Place, forest: &ForestPlan) -> anyhow::Result<()> {
    let mut public = PublicKeys::from_jwks(&fs::read(public_keys_file(place))?)?;
    generate(place, forest, &mut public)?;
    publish(place, &public)
}

/// Nobody is to seal to this forest any more.
pub(crate) fn remove(place: &Place, forest: &ForestPlan) -> anyhow::Result<()> {
    let mut public = PublicKeys::default();
    for key in PublicKeys::from_jwks(&fs::read(public_keys_file(place))?)?.iter() {
        if key.forest().to_string() != forest.id {
            public.add(key.clone());
        }
    }
    publish(place, &public)
}

fn generate(place: &Place, forest: &ForestPlan, public: &mut PublicKeys) -> anyhow::Result<()> {
    for algorithm in ALGORITHMS {
        let pair = KeyPair::generate(algorithm, forest.id.parse::<ForestId>()?)?;
        let file = private_keys_directory(place, forest.id).join(format!("{}.pem", pair.kid()));
        write_private(&file, pair.private_pem().as_bytes())?;
        let made = Some(time::OffsetDateTime::now_utc().unix_timestamp());
        public.add(pair.public().with_times(Times {
            made,
            retires: None,
        }));
    }
    Ok(())
}

fn publish(place: &Place, public: &PublicKeys) -> anyhow::Result<()> {
    write_private(
        &public_keys_file(place),
        serde_json::to_string_pretty(&public.to_file())?.as_bytes(),
    )
}
