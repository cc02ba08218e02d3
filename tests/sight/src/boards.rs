//! Grafana's boards: panels, and what they ask.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug)]
pub struct Board {
    pub file: PathBuf,
    pub model: Model,
}

/// The parts of a dashboard's JSON model that are relied upon (grafana.com/docs: dashboard JSON model).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    pub uid: String,
    pub title: String,
    pub schema_version: u32,
    pub links: Vec<Value>,
    pub templating: Templating,
    pub panels: Vec<Panel>,
}

#[derive(Debug, Deserialize)]
pub struct Templating {
    pub list: Vec<Variable>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub definition: Option<String>,
    pub include_all: Option<bool>,
    pub all_value: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Panel {
    pub id: u32,
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    #[serde(default)]
    pub description: String,
    pub grid_pos: Place,
    pub datasource: Option<Source>,
    #[serde(default)]
    pub targets: Vec<Target>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Place {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
}

impl Place {
    pub fn overlaps(self, other: Self) -> bool {
        self.x < other.x + other.w
            && other.x < self.x + self.w
            && self.y < other.y + other.h
            && other.y < self.y + self.h
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Source {
    #[serde(rename = "type")]
    pub kind: String,
    pub uid: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    pub ref_id: String,
    pub datasource: Source,
    pub expr: Option<String>,
    pub query: Option<String>,
}

/// One question of one panel to Prometheus, with its variables filled in.
#[derive(Debug, Clone)]
pub struct Query {
    /// Board, panel and letter.
    pub whose: String,
    pub expression: String,
}

/// Every board.
pub fn boards() -> anyhow::Result<Vec<Board>> {
    crate::files("deploy/grafana/dashboards", ".json")?
        .into_iter()
        .map(|file| {
            let text = fs::read(&file)?;
            let model =
                serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
            Ok(Board { file, model })
        })
        .collect()
}

impl Board {
    pub fn has_variable(&self, name: &str) -> bool {
        self.model
            .templating
            .list
            .iter()
            .any(|variable| variable.name == name)
    }

    /// Whether several forests can be shown at once.
    pub fn shows_all_forests(&self) -> bool {
        self.model
            .templating
            .list
            .iter()
            .any(|variable| variable.name == "forest" && variable.include_all == Some(true))
    }

    /// What the panels ask Prometheus, of this forest, looking so far back at each moment and in all.
    pub fn queries(&self, forest: &str, rate_interval: &str, range: &str) -> Vec<Query> {
        let mut queries = Vec::new();
        for panel in &self.model.panels {
            for target in &panel.targets {
                let Some(expression) = target
                    .expr
                    .as_ref()
                    .filter(|_| target.datasource.kind == "prometheus")
                else {
                    continue;
                };
                queries.push(Query {
                    whose: format!("{} / {} / {}", self.model.title, panel.title, target.ref_id),
                    expression: expression
                        .replace("$__rate_interval", rate_interval)
                        .replace("$__range", range)
                        .replace("$forest", forest),
                });
            }
        }
        queries
    }
}
