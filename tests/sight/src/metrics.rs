//! The list of metrics, and which metrics an expression asks for.

use std::{collections::BTreeMap, fs};

use anyhow::Context as _;

/// What the list says of a metric.
#[derive(Debug)]
pub struct Documented {
    pub kind: String,
    pub labels: Vec<String>,
}

impl Documented {
    /// Under which names its samples are found.
    pub fn is_told_as(&self, name: &str, sample: &str) -> bool {
        if self.kind == "histogram" {
            ["_bucket", "_sum", "_count"]
                .iter()
                .any(|suffix| sample.strip_suffix(suffix) == Some(name))
        } else {
            sample == name
        }
    }
}

/// The metrics of `docs/metrics.md`, by name.
pub fn documented() -> anyhow::Result<BTreeMap<String, Documented>> {
    let path = crate::repository()?.join("docs/metrics.md");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, _, _] = cells.as_slice() else {
            return None;
        };
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        let documented = Documented {
            kind: (*kind).to_owned(),
            labels: labels
                .split(',')
                .map(|label| label.trim().to_owned())
                .filter(|label| !label.is_empty())
                .collect(),
        };
        Some((name.to_owned(), documented))
    });
    Ok(rows.collect())
}

/// The names of metrics in an expression: what is neither a text nor a label nor a word of PromQL.
pub fn names_in(expression: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let text = rest.get(1..).unwrap_or_default();
            rest = text.split_once('"').map_or("", |(_, after)| after);
            continue;
        }
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let end = rest
            .find(|c| !is_of_name(c))
            .unwrap_or(rest.len())
            .max(first.len_utf8());
        let (word, after) = rest.split_at(end);
        // every metric's name here has an underscore, and so has no function's that a label is not passed to
        let is_metric = word.contains('_')
            && first.is_ascii_lowercase()
            && !after.trim_start().starts_with(['(', '=', '!'])
            && !is_label(expression, rest);
        if is_metric || word == "up" || word == "ALERTS" {
            names.push(word.to_owned());
        }
        rest = after;
    }
    names
}

/// Whether the word that begins here stands in the parentheses of `by` or `on`.
fn is_label(expression: &str, at: &str) -> bool {
    let before = expression
        .get(..expression.len().saturating_sub(at.len()))
        .unwrap_or_default();
    let Some((head, inside)) = before.rsplit_once('(') else {
        return false;
    };
    !inside.contains(')')
        && ["by", "on", "without", "ignoring"]
            .iter()
            .any(|word| head.trim_end().ends_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_told_from_labels_functions_and_texts() {
        let expression = "histogram_quantile(0.95, sum by (error_type, le) (rate(a_bucket{error_type!=\"b_c\"}[5m]))) \
            / on (rpc_method) forest:d_e:rate5m > up";
        assert_eq!(
            names_in(expression),
            ["a_bucket", "forest:d_e:rate5m", "up"]
        );
    }
}
