//! The life of a forest's keys: which are current, which are due, what may go (pure).

use operation::ForestId;
use sealing::{Algorithm, PublicKey, PublicKeys};

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// What is sealed now is sealed to it.
    Current,
    /// A newer one is there; what is sealed to this one is still opened.
    Retiring,
    /// Its overlap is over: `retire` takes it away.
    Due,
    /// Nobody can seal to it: it is in no key set.
    Unpublished,
}

impl State {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Retiring => "retiring",
            Self::Due => "due",
            Self::Unpublished => "unpublished",
        }
    }

    pub(crate) fn of(key: &PublicKey, now: i64) -> Self {
        match key.times().retires {
            None => Self::Current,
            Some(retires) if retires <= now => Self::Due,
            Some(_) => Self::Retiring,
        }
    }
}

fn of_forest<'a>(
    keys: &'a PublicKeys,
    forest: &'a ForestId,
) -> impl Iterator<Item = &'a PublicKey> {
    keys.iter().filter(move |key| key.forest() == forest)
}

/// The keys that a rotation replaces, oldest first.
pub(crate) fn current<'a>(keys: &'a PublicKeys, forest: &'a ForestId) -> Vec<&'a PublicKey> {
    of_forest(keys, forest)
        .filter(|key| key.times().retires.is_none())
        .collect()
}

/// One key of each algorithm there is, in the order in which they were made: the newest, which
/// senders prefer, stays of the same kind.
pub(crate) fn algorithms(current: &[&PublicKey]) -> Vec<Algorithm> {
    let mut newest_first = Vec::new();
    for key in current.iter().rev() {
        if !newest_first.contains(&key.algorithm()) {
            newest_first.push(key.algorithm());
        }
    }
    newest_first.reverse();
    newest_first
}

/// Why a key is not taken away.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Kept {
    #[error("it is the only key of its forest: `keys rotate` first")]
    Only,
    #[error(
        "it is current, and what is sealed now is sealed to it: `keys rotate` first, or --force"
    )]
    Current,
    #[error(
        "it is inside its overlap, and what was sealed to it may be on its way: wait, or --force"
    )]
    Overlap,
}

/// Whether a key may be taken away.
pub(crate) fn may_go(
    keys: &PublicKeys,
    key: &PublicKey,
    now: i64,
    force: bool,
) -> Result<(), Kept> {
    if of_forest(keys, key.forest()).all(|other| other.kid() == key.kid()) {
        return Err(Kept::Only);
    }
    match State::of(key, now) {
        _ if force => Ok(()),
        State::Current => Err(Kept::Current),
        State::Retiring => Err(Kept::Overlap),
        State::Due | State::Unpublished => Ok(()),
    }
}

/// The keys of a forest whose overlap is over.
pub(crate) fn due<'a>(keys: &'a PublicKeys, forest: &'a ForestId, now: i64) -> Vec<&'a PublicKey> {
    of_forest(keys, forest)
        .filter(|key| State::of(key, now) == State::Due)
        .collect()
}

#[cfg(test)]
mod tests {
    use sealing::{KeyPair, Times};

    use super::*;

    fn key(forest: &str, algorithm: Algorithm, retires: Option<i64>) -> PublicKey {
        let pair = KeyPair::generate(algorithm, forest.parse().unwrap()).unwrap();
        pair.public().with_times(Times {
            made: Some(1),
            retires,
        })
    }

    const EC: Algorithm = Algorithm::EcdhEsA256Kw;

    #[test]
    fn a_key_goes_only_when_its_time_is_over_and_another_stays() {
        let corp = "corp".parse().unwrap();
        let (old, older, new) = (
            key("corp", EC, Some(100)),
            key("corp", EC, Some(50)),
            key("corp", EC, None),
        );
        let mut keys = PublicKeys::default();
        for key in [&older, &old, &new, &key("emea", EC, Some(1))] {
            keys.add(key.clone());
        }
        assert_eq!(may_go(&keys, &older, 50, false), Ok(()));
        assert_eq!(may_go(&keys, &old, 50, false), Err(Kept::Overlap));
        assert_eq!(may_go(&keys, &old, 50, true), Ok(()));
        assert_eq!(may_go(&keys, &new, 50, false), Err(Kept::Current));
        let kids = |keys: Vec<&PublicKey>| -> Vec<String> {
            keys.iter().map(|key| key.kid().to_owned()).collect()
        };
        assert_eq!(kids(due(&keys, &corp, 50)), [older.kid()]);
        assert_eq!(kids(current(&keys, &corp)), [new.kid()]);
        // of emea's there is one, and no force takes it
        let emea = keys.iter().last().unwrap();
        assert_eq!(may_go(&keys, emea, 50, true), Err(Kept::Only));
    }

    #[test]
    fn the_newest_stays_of_the_same_kind() {
        let (rsa, ec) = (Algorithm::RsaOaep256, EC);
        let (one, two, three) = (
            key("corp", ec, None),
            key("corp", rsa, None),
            key("corp", ec, None),
        );
        assert_eq!(algorithms(&[&one, &two, &three]), [rsa, ec]);
        assert_eq!(algorithms(&[&one, &two]), [ec, rsa]);
    }
}
