//! The configuration file as text: the answers written into it, everything else in it, comments too,
//! left as it is.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value, value};

use super::answers::{Answers, Domain, Forest};

const BEGINNING: &str = "\
# One file configures every service; each reads its part. A key that is not known is an error with its line.
# Secrets stand in files of their own; a relative path is relative to this file.
";

/// The text with these answers in it.
///
/// # Errors
/// When the text is no TOML, or a key of ours is something else than what it must be.
pub(crate) fn with(text: Option<&str>, answers: &Answers) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.unwrap_or_default().parse()?;
    let root = document.as_table_mut();
    if let Some(broker) = &answers.broker {
        let section = section(root, "broker")?;
        set(section, "url", &broker.url);
        set(section, "username", &broker.username);
        set(section, "password_file", &shown(&broker.password_file)?);
        set_or_remove(
            section,
            "ca_file",
            path(broker.ca_file.as_deref())?.as_deref(),
        );
    }
    if let Some(ledger) = &answers.ledger {
        let section = section(root, "ledger")?;
        set_list(section, "urls", &ledger.urls);
        set_or_remove(
            section,
            "ca_file",
            path(ledger.ca_file.as_deref())?.as_deref(),
        );
    }
    if let Some(token) = answers
        .ledger
        .as_ref()
        .and_then(|ledger| ledger.token_file.as_deref())
    {
        set(section(root, "ctl")?, "token_file", &shown(token)?);
    }
    if let Some(cloud) = &answers.cloud {
        let intake = section(root, "intake")?;
        let tokens = section(intake, "tokens")?;
        set(tokens, "issuer", &cloud.issuer);
        set(tokens, "audience", &cloud.audience);
        let (key, other) = if cloud.key_set.contains("://") {
            ("jwks_url", "jwks_file")
        } else {
            ("jwks_file", "jwks_url")
        };
        set(tokens, key, &cloud.key_set);
        tokens.remove(other);
    }
    if answers.features.password_writeback {
        let ctl = section(root, "ctl")?;
        // where `keys rotate` finds them again
        if ctl.get("keys_directory").is_none() {
            set(ctl, "keys_directory", "keys");
        }
    }
    let forests = tables(root, "forests")?;
    keep(forests, "id", |id| {
        answers
            .forests
            .iter()
            .any(|forest| forest.id.as_str() == id)
    });
    for forest in &answers.forests {
        write_forest(named(forests, "id", forest.id.as_str())?, forest)?;
    }
    if forests.is_empty() {
        root.remove("forests");
    }
    Ok(match text {
        Some(_) => document.to_string(),
        None => format!("{BEGINNING}\n{document}"),
    })
}

fn write_forest(table: &mut Table, forest: &Forest) -> anyhow::Result<()> {
    set(table, "ca_file", &shown(&forest.ca_file)?);
    set(table, "account", &forest.account);
    set(
        table,
        "account_password_file",
        &shown(&forest.account_password_file)?,
    );
    set_or_remove(table, "reader_account", forest.reader_account.as_deref());
    set_or_remove(
        table,
        "reader_account_password_file",
        path(forest.reader_account_password_file.as_deref())?.as_deref(),
    );
    set_list_or_remove(table, "dns_servers", &forest.dns_servers);
    let domains = tables(table, "domains")?;
    keep(domains, "name", |name| {
        forest
            .domains
            .iter()
            .any(|domain| domain.name.as_str() == name)
    });
    for domain in &forest.domains {
        let table = named(domains, "name", domain.name.as_str())?;
        write_domain(table, domain);
    }
    Ok(())
}

fn write_domain(table: &mut Table, domain: &Domain) {
    set_list_or_remove(table, "domain_controllers", &domain.domain_controllers);
    set_list_or_remove(table, "include", &domain.include);
    set_list_or_remove(table, "exclude", &domain.exclude);
}

fn section<'a>(
    table: &'a mut (dyn TableLike + 'a),
    key: &str,
) -> anyhow::Result<&'a mut (dyn TableLike + 'a)> {
    if table.get(key).is_none() {
        table.insert(key, Item::Table(Table::new()));
    }
    table
        .get_mut(key)
        .and_then(Item::as_table_like_mut)
        .with_context(|| format!("`{key}` in the configuration is no table"))
}

fn tables<'a>(table: &'a mut Table, key: &str) -> anyhow::Result<&'a mut ArrayOfTables> {
    table
        .entry(key)
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()))
        .as_array_of_tables_mut()
        .with_context(|| format!("`{key}` in the configuration must be written as [[{key}]]"))
}

fn name_of<'a>(table: &'a Table, key: &str) -> Option<&'a str> {
    table.get(key)?.as_str()
}

/// Drops those that are not wanted any more.
fn keep(tables: &mut ArrayOfTables, key: &str, wanted: impl Fn(&str) -> bool) {
    tables.retain(|table| name_of(table, key).is_some_and(&wanted));
}

fn named<'a>(
    tables: &'a mut ArrayOfTables,
    key: &str,
    name: &str,
) -> anyhow::Result<&'a mut Table> {
    let position = tables
        .iter()
        .position(|table| name_of(table, key) == Some(name));
    let position = position.unwrap_or_else(|| {
        let mut table = Table::new();
        table.insert(key, value(name));
        tables.push(table);
        tables.len() - 1
    });
    tables
        .get_mut(position)
        .context("a table was just put there")
}

/// Writes only what changes, so that an unchanged value keeps its comment.
fn set(table: &mut (impl TableLike + ?Sized), key: &str, text: &str) {
    if table.get(key).and_then(Item::as_str) != Some(text) {
        put(table, key, Value::from(text));
    }
}

fn put(table: &mut (impl TableLike + ?Sized), key: &str, new: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = new;
            *old.decor_mut() = decor;
        }
        None => {
            table.insert(key, Item::Value(new));
        }
    }
}

fn set_or_remove(table: &mut (impl TableLike + ?Sized), key: &str, text: Option<&str>) {
    match text {
        Some(text) => set(table, key, text),
        None => {
            table.remove(key);
        }
    }
}

fn set_list(table: &mut (impl TableLike + ?Sized), key: &str, list: &[String]) {
    let same = table.get(key).and_then(Item::as_array).is_some_and(|old| {
        old.iter()
            .map(Value::as_str)
            .eq(list.iter().map(|one| Some(one.as_str())))
    });
    if !same {
        put(table, key, Value::Array(list.iter().collect::<Array>()));
    }
}

fn set_list_or_remove(table: &mut (impl TableLike + ?Sized), key: &str, list: &[String]) {
    let was_empty = table
        .get(key)
        .and_then(Item::as_array)
        .is_some_and(Array::is_empty);
    if list.is_empty() && was_empty {
        // as it was
    } else if list.is_empty() {
        table.remove(key);
    } else {
        set_list(table, key, list);
    }
}

fn shown(path: &Path) -> anyhow::Result<String> {
    path.to_str()
        .map(str::to_owned)
        .with_context(|| format!("{}: a path must be UTF-8", path.display()))
}

fn path(path: Option<&Path>) -> anyhow::Result<Option<String>> {
    path.map(shown).transpose()
}

/// Every key with its value, in words: `forests.corp.domains.corp.example.com.include`.
pub(crate) fn keys(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut keys = BTreeMap::new();
    flatten("", &toml::Value::Table(toml::from_str(text)?), &mut keys);
    Ok(keys)
}

fn flatten(prefix: &str, value: &toml::Value, keys: &mut BTreeMap<String, String>) {
    let below = |name: &str| {
        if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}.{name}")
        }
    };
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                flatten(&below(name), value, keys);
            }
        }
        toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
            for (index, item) in items.iter().enumerate() {
                let name = ["id", "name"]
                    .iter()
                    .find_map(|key| item.get(key)?.as_str());
                flatten(&below(name.unwrap_or(&index.to_string())), item, keys);
            }
        }
        toml::Value::String(text) => drop(keys.insert(prefix.to_owned(), text.clone())),
        toml::Value::Array(items) => {
            let items = items.iter().map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            });
            keys.insert(prefix.to_owned(), items.collect::<Vec<_>>().join("; "));
        }
        other => drop(keys.insert(prefix.to_owned(), other.to_string())),
    }
}

/// What differs between two texts, a line a key.
pub(crate) fn difference(before: Option<&str>, after: &str) -> anyhow::Result<Vec<String>> {
    let before = before.map(keys).transpose()?.unwrap_or_default();
    let after = keys(after)?;
    let mut lines = Vec::new();
    for (key, new) in &after {
        match before.get(key) {
            None => lines.push(format!("+ {key} = {new}")),
            Some(old) if old != new => lines.push(format!("~ {key} = {new}   (was {old})")),
            Some(_) => {}
        }
    }
    for (key, old) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
        lines.push(format!("- {key}   (was {old})"));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../../deploy/writeback.toml");

    #[test]
    fn the_same_answers_change_nothing_not_even_a_comment() {
        let answers = Answers::of_configuration(EXAMPLE).unwrap();
        assert_eq!(with(Some(EXAMPLE), &answers).unwrap(), EXAMPLE);
    }

    #[test]
    fn one_answer_changes_one_line() {
        let mut answers = Answers::of_configuration(EXAMPLE).unwrap();
        answers.cloud.as_mut().unwrap().audience = "https://elsewhere.example.com".to_owned();
        let after = with(Some(EXAMPLE), &answers).unwrap();
        let differing: Vec<_> = EXAMPLE
            .lines()
            .zip(after.lines())
            .filter(|(before, after)| before != after)
            .collect();
        assert_eq!(differing.len(), 1, "{differing:?}");
        assert_eq!(
            difference(Some(EXAMPLE), &after).unwrap(),
            [
                "~ intake.tokens.audience = https://elsewhere.example.com   (was https://writeback.example.com)"
            ]
        );
    }

    #[test]
    fn a_forest_is_added_and_taken_out_again() {
        let before = Answers::of_configuration(EXAMPLE).unwrap();
        let mut more = before.clone();
        let mut second = before.forests.first().unwrap().clone();
        second.id = "emea".parse().unwrap();
        more.forests.push(second);
        let added = with(Some(EXAMPLE), &more).unwrap();
        assert_eq!(
            Answers::of_configuration(&added).unwrap().forests,
            more.forests
        );
        let removed = with(Some(&added), &before).unwrap();
        assert_eq!(keys(&removed).unwrap(), keys(EXAMPLE).unwrap());
    }

    #[test]
    fn a_file_is_begun_from_nothing() {
        let answers = Answers::of_configuration(EXAMPLE).unwrap();
        let text = with(None, &answers).unwrap();
        assert_eq!(Answers::of_configuration(&text).unwrap(), answers);
        assert!(text.starts_with("# One file"), "{text}");
    }

    #[test]
    fn forests_in_another_notation_are_refused_and_not_overwritten() {
        let answers = Answers::of_configuration(EXAMPLE).unwrap();
        let error = with(Some("forests = []\n"), &answers)
            .unwrap_err()
            .to_string();
        assert!(error.contains("[[forests]]"), "{error}");
    }
}
