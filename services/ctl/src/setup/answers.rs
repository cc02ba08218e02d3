//! Everything the wizard asks, as one value: typed by a person, or read from an answers file.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use operation::{DomainName, ForestId};
use serde::{Deserialize, Serialize};

/// The answers file is this in TOML; an unknown key in it is an error with its line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Answers {
    pub(crate) broker: Option<Broker>,
    pub(crate) ledger: Option<Ledger>,
    pub(crate) cloud: Option<Cloud>,
    pub(crate) features: Features,
    pub(crate) forests: Vec<Forest>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Broker {
    pub(crate) url: String,
    pub(crate) username: String,
    pub(crate) password_file: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ledger {
    pub(crate) urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The operator's own token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cloud {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// The issuer's signing keys: an address or a file.
    pub(crate) key_set: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Features {
    pub(crate) password_writeback: bool,
    pub(crate) unlock_without_reset: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            password_writeback: true,
            unlock_without_reset: true,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forest {
    pub(crate) id: ForestId,
    pub(crate) ca_file: PathBuf,
    pub(crate) account: String,
    pub(crate) account_password_file: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reader_account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reader_account_password_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) dns_servers: Vec<String>,
    #[serde(default)]
    pub(crate) domains: Vec<Domain>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_field_names,
    reason = "the key is called so in the configuration"
)]
pub(crate) struct Domain {
    pub(crate) name: DomainName,
    /// None: they are found by DNS.
    #[serde(default)]
    pub(crate) domain_controllers: Vec<String>,
    #[serde(default)]
    pub(crate) include: Vec<String>,
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
}

impl Answers {
    /// These answers with those of a file over them: what the file does not name stays, an empty list takes
    /// away.
    ///
    /// # Errors
    /// When the file cannot be read, has a key that is not known, or the two together leave a hole.
    pub(crate) fn with(&self, path: &Path) -> anyhow::Result<Self> {
        let place = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(place)?;
        let given: toml::Table = toml::from_str(&text).with_context(place)?;
        let mut all = toml::Table::try_from(self)?;
        merge(&mut all, given).with_context(place)?;
        all.try_into().with_context(place)
    }

    /// What a configuration file says already. Keys that are none of the wizard's are left alone.
    pub(crate) fn of_configuration(text: &str) -> anyhow::Result<Self> {
        let file: Configuration = toml::from_str(text)?;
        let cloud = file.intake.tokens.map(|tokens| Cloud {
            issuer: tokens.issuer,
            audience: tokens.audience,
            key_set: tokens.jwks_url.or(tokens.jwks_file).unwrap_or_default(),
        });
        Ok(Self {
            broker: file.broker.map(|broker| Broker {
                url: broker.url,
                username: broker.username,
                password_file: broker.password_file,
                ca_file: broker.ca_file,
            }),
            ledger: file.ledger.map(|ledger| Ledger {
                urls: ledger.urls,
                ca_file: ledger.ca_file,
                token_file: file.ctl.token_file,
            }),
            cloud,
            features: Features::default(),
            forests: file.forests.into_iter().map(Forest::from).collect(),
        })
    }

    pub(crate) fn forest(&self, id: &ForestId) -> Option<&Forest> {
        self.forests.iter().find(|forest| forest.id == *id)
    }
}

/// Tables key by key, lists of tables by their `id` or `name`, everything else as a whole.
fn merge(into: &mut toml::Table, given: toml::Table) -> anyhow::Result<()> {
    for (key, value) in given {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(known)), toml::Value::Table(given)) => merge(known, given)?,
            (Some(toml::Value::Array(known)), toml::Value::Array(given))
                if given.iter().any(toml::Value::is_table) =>
            {
                merge_named(&key, known, given)?;
            }
            (_, value) => drop(into.insert(key, value)),
        }
    }
    Ok(())
}

fn merge_named(
    list: &str,
    known: &mut Vec<toml::Value>,
    given: Vec<toml::Value>,
) -> anyhow::Result<()> {
    let name = |value: &toml::Value| {
        let name = value.get("id").or_else(|| value.get("name"))?;
        name.as_str().map(str::to_owned)
    };
    let mut seen = Vec::new();
    for value in given {
        let own = name(&value).with_context(|| format!("one of [[{list}]] has no id or name"))?;
        anyhow::ensure!(!seen.contains(&own), "[[{list}]] has {own} twice");
        let place = known
            .iter_mut()
            .find(|one| name(one).as_ref() == Some(&own));
        match (place, value) {
            (Some(toml::Value::Table(known)), toml::Value::Table(given)) => merge(known, given)?,
            (_, value) => known.push(value),
        }
        seen.push(own);
    }
    Ok(())
}

/// The part of the configuration file that the wizard knows; everything else is passed over.
#[derive(Deserialize)]
struct Configuration {
    broker: Option<BrokerSection>,
    ledger: Option<LedgerSection>,
    #[serde(default)]
    intake: IntakeSection,
    #[serde(default)]
    ctl: CtlSection,
    #[serde(default)]
    forests: Vec<ForestSection>,
}

#[derive(Deserialize)]
struct BrokerSection {
    url: String,
    username: String,
    password_file: PathBuf,
    ca_file: Option<PathBuf>,
}

#[derive(Deserialize)]
struct LedgerSection {
    urls: Vec<String>,
    ca_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
struct CtlSection {
    token_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
struct IntakeSection {
    tokens: Option<TokensSection>,
}

#[derive(Deserialize)]
struct TokensSection {
    issuer: String,
    audience: String,
    jwks_file: Option<String>,
    jwks_url: Option<String>,
}

#[derive(Deserialize)]
struct ForestSection {
    id: ForestId,
    ca_file: PathBuf,
    account: String,
    account_password_file: PathBuf,
    reader_account: Option<String>,
    reader_account_password_file: Option<PathBuf>,
    #[serde(default)]
    dns_servers: Vec<String>,
    #[serde(default)]
    domains: Vec<DomainSection>,
}

#[derive(Deserialize)]
struct DomainSection {
    name: DomainName,
    #[serde(default)]
    domain_controllers: Vec<String>,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
}

impl From<ForestSection> for Forest {
    fn from(section: ForestSection) -> Self {
        Self {
            id: section.id,
            ca_file: section.ca_file,
            account: section.account,
            account_password_file: section.account_password_file,
            reader_account: section.reader_account,
            reader_account_password_file: section.reader_account_password_file,
            dns_servers: section.dns_servers,
            domains: section
                .domains
                .into_iter()
                .map(|domain| Domain {
                    name: domain.name,
                    domain_controllers: domain.domain_controllers,
                    include: domain.include,
                    exclude: domain.exclude,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_configuration_is_understood() {
        let text = include_str!("../../../../deploy/writeback.toml");
        let answers = Answers::of_configuration(text).unwrap();
        let forest = answers.forests.first().unwrap();
        assert_eq!(forest.account, "svc-writeback@corp.example.com");
        assert_eq!(forest.domains.first().unwrap().include.len(), 1);
        assert_eq!(
            answers.cloud.unwrap().key_set,
            "https://login.example.com/keys"
        );
    }

    #[test]
    fn an_answers_file_survives_being_written_and_read() {
        let text = include_str!("../../../../deploy/writeback.toml");
        let answers = Answers::of_configuration(text).unwrap();
        let written = toml::to_string(&answers).unwrap();
        assert_eq!(toml::from_str::<Answers>(&written).unwrap(), answers);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = toml::from_str::<Answers>(
            "[cloud]\nissuer = \"https://a\"\naudience = \"b\"\nkey_sets = \"c\"\n",
        )
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("key_sets") && error.contains("line 4"),
            "{error}"
        );
    }

    #[test]
    fn what_a_file_does_not_name_stays_and_an_empty_list_takes_away() {
        let folder = std::env::temp_dir().join(format!("answers-{}", uuid::Uuid::now_v7()));
        let known =
            Answers::of_configuration(include_str!("../../../../deploy/writeback.toml")).unwrap();
        let with = |text: &str| {
            std::fs::write(&folder, text).unwrap();
            known.with(&folder)
        };
        let one =
            with("[[forests]]\nid = \"corp\"\naccount = \"other@corp.example.com\"\n").unwrap();
        let (before, after) = (&known.forests[0], &one.forests[0]);
        assert_eq!(after.account, "other@corp.example.com");
        assert_eq!(
            (&after.reader_account, &after.domains),
            (&before.reader_account, &before.domains)
        );
        let domain = "[[forests]]\nid = \"corp\"\n[[forests.domains]]\nname = \"corp.example.com\"\nexclude = []\n";
        let wider = with(domain).unwrap();
        assert!(wider.forests[0].domains[0].exclude.is_empty());
        assert_eq!(
            wider.forests[0].domains[0].include,
            before.domains[0].include
        );
        for (text, named) in [
            (
                "[[forests]]\nid = \"corp\"\n[[forests]]\nid = \"corp\"\n",
                "twice",
            ),
            ("[cloud]\nissuers = \"x\"\n", "issuers"),
            ("[[forests]]\nid = \"emea\"\n", "ca_file"),
        ] {
            let error = format!("{:#}", with(text).unwrap_err());
            assert!(error.contains(named), "{error}");
        }
        drop(std::fs::remove_file(&folder));
    }
}
