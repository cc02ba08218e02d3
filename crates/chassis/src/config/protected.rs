//! `writer.protected_accounts`: one word, or a table by who asks.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        self, MapAccess, Visitor,
        value::{MapAccessDeserializer, StrDeserializer},
    },
};

/// What a writer does with accounts in administrative groups, by who asks. One word counts for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProtectedAccounts {
    pub users: Treatment,
    pub administrators: Treatment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Treatment {
    #[default]
    Refuse,
    Allow,
}

impl<'de> Deserialize<'de> for ProtectedAccounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Each {
            users: Treatment,
            administrators: Treatment,
        }

        struct WordOrTable;

        impl<'de> Visitor<'de> for WordOrTable {
            type Value = ProtectedAccounts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("refuse, allow, or { users = …, administrators = … }")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Self::Value, E> {
                let both = Treatment::deserialize(StrDeserializer::new(word))?;
                Ok(ProtectedAccounts {
                    users: both,
                    administrators: both,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
                let each = Each::deserialize(MapAccessDeserializer::new(table))?;
                Ok(ProtectedAccounts {
                    users: each.users,
                    administrators: each.administrators,
                })
            }
        }

        deserializer.deserialize_any(WordOrTable)
    }
}
