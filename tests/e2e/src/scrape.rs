//! What a service tells at `/metrics`, in Prometheus' text format.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;

/// One metric with everything it was seen with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Family {
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    pub help: String,
    /// The values each label was seen with; `le`, which is every histogram's own, left out.
    pub labels: BTreeMap<String, BTreeSet<String>>,
}

/// The metrics of one page, by name.
pub fn parse(page: &str) -> anyhow::Result<BTreeMap<String, Family>> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            help.clone_into(&mut families.entry(name.to_owned()).or_default().help);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').context(line.to_owned())?;
            kind.clone_into(&mut families.entry(name.to_owned()).or_default().kind);
        } else if !line.starts_with('#') && !line.is_empty() {
            sample(line, &mut families).with_context(|| format!("not a sample: {line}"))?;
        }
    }
    Ok(families)
}

fn sample(line: &str, families: &mut BTreeMap<String, Family>) -> Option<()> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let family = ["_bucket", "_sum", "_count"]
        .into_iter()
        .filter_map(|suffix| name.strip_suffix(suffix))
        .chain([name])
        .find(|name| families.contains_key(*name))?
        .to_owned();
    let family = families.get_mut(&family)?;
    let Some(mut rest) = rest.strip_prefix('{') else {
        return Some(());
    };
    while !rest.starts_with('}') {
        let (label, value) = rest.split_once("=\"")?;
        // a quote within a value is escaped, and none of ours has one
        let (value, after) = value.split_once('"')?;
        let label = label.trim_start_matches(',');
        if label != "le" {
            family
                .labels
                .entry(label.to_owned())
                .or_default()
                .insert(value.to_owned());
        }
        rest = after;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let page = "# HELP a_seconds How long\n# TYPE a_seconds histogram\n\
            a_seconds_bucket{kind=\"reset\",forest=\"corp\",le=\"0.1\"} 1\na_seconds_sum{kind=\"reset\"} 0.01\n\
            # HELP b b\n# TYPE b gauge\nb 3\n";
        let families = parse(page).unwrap();
        assert_eq!(families["a_seconds"].kind, "histogram");
        assert_eq!(families["a_seconds"].help, "How long");
        assert_eq!(
            families["a_seconds"].labels.keys().collect::<Vec<_>>(),
            ["forest", "kind"]
        );
        assert!(families["b"].labels.is_empty());
        assert!(parse("c 1\n").is_err(), "a sample of nothing announced");
    }
}
