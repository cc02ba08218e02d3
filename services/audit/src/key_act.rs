//! What an operator did with a forest's sealing keys (pure). The ledger never has a key, only its name.

use operation::ForestId;
use proto::{FromWireError, v1};
use serde::{Deserialize, Serialize};

use crate::content::plain;

const LONGEST_NAME: usize = 128;
const MOST_KEYS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Act {
    Generated,
    Rotated,
    Retired,
}

impl Act {
    const ALL: [Self; 3] = [Self::Generated, Self::Rotated, Self::Retired];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Rotated => "rotated",
            Self::Retired => "retired",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct KeyAct {
    pub(crate) act: Act,
    pub(crate) forest: ForestId,
    /// Made, or taken away.
    pub(crate) keys: Vec<String>,
    pub(crate) at: i64,
    /// The subject of the operator's token.
    pub(crate) by: String,
}

impl KeyAct {
    /// Of an operator; its time is that of its entry.
    pub(crate) fn from_wire(act: &v1::KeyAct, by: String) -> Result<Self, FromWireError> {
        let invalid = |field, problem: &str| FromWireError::Invalid {
            field,
            problem: problem.to_owned(),
        };
        if act.keys.is_empty() || act.keys.len() > MOST_KEYS {
            return Err(invalid("keys", "one to 64"));
        }
        for key in &act.keys {
            plain("keys", key)?;
            if key.is_empty() || key.len() > LONGEST_NAME {
                return Err(invalid("keys", "a name of one to 128 bytes"));
            }
        }
        let what = Act::ALL.into_iter().find(|known| known.as_str() == act.act);
        Ok(Self {
            act: what.ok_or_else(|| invalid("act", "generated, rotated or retired"))?,
            forest: act
                .forest
                .parse()
                .map_err(|_| invalid("forest", "not a forest id"))?,
            keys: act.keys.clone(),
            at: 0,
            by,
        })
    }

    /// For people who watch.
    pub(crate) fn told(&self) -> String {
        let (by, act, forest) = (&self.by, self.act.as_str(), &self.forest);
        format!(
            "{by} {act} keys of forest {forest}: {}",
            self.keys.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_names_its_keys_and_what_is_no_act_is_refused() {
        let good = v1::KeyAct {
            act: "rotated".to_owned(),
            forest: "corp".to_owned(),
            keys: vec!["k1".to_owned()],
        };
        let act = KeyAct::from_wire(&good, "ana".to_owned()).unwrap();
        assert_eq!(act.told(), "ana rotated keys of forest corp: k1");
        for bad in [
            v1::KeyAct {
                act: "lost".to_owned(),
                ..good.clone()
            },
            v1::KeyAct {
                forest: "Corp!".to_owned(),
                ..good.clone()
            },
            v1::KeyAct {
                keys: Vec::new(),
                ..good.clone()
            },
            v1::KeyAct {
                keys: vec!["a\nb".to_owned()],
                ..good.clone()
            },
        ] {
            assert!(
                KeyAct::from_wire(&bad, "ana".to_owned()).is_err(),
                "{bad:?}"
            );
        }
    }
}
