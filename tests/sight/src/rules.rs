//! Prometheus' rules: alerts, and what is recorded for them.

use std::{collections::BTreeMap, fs};

use anyhow::Context as _;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct File {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    alert: Option<String>,
    record: Option<String>,
    expr: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug)]
pub struct Alert {
    pub name: String,
    pub expression: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
pub struct Rules {
    pub alerts: Vec<Alert>,
    /// By the name it is recorded under.
    pub recorded: BTreeMap<String, String>,
}

/// Every rule of the product.
pub fn rules() -> anyhow::Result<Rules> {
    let folder = crate::repository()?.join("deploy/prometheus");
    let mut rules = Rules::default();
    for name in ["rules.yml", "alerts.yml"] {
        let path = folder.join(name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let file: File =
            serde_yaml_ng::from_str(&text).with_context(|| path.display().to_string())?;
        for rule in file.groups.into_iter().flat_map(|group| group.rules) {
            if let Some(name) = rule.record {
                rules.recorded.insert(name, rule.expr);
            } else if let Some(name) = rule.alert {
                rules.alerts.push(Alert {
                    name,
                    expression: rule.expr,
                    labels: rule.labels,
                    annotations: rule.annotations,
                });
            }
        }
    }
    Ok(rules)
}
