//! Every alert is tested, and has a page that says what it means to people, how to confirm it and how to mend it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct UnitTests {
    tests: Vec<UnitTest>,
}

#[derive(Debug, Deserialize)]
struct UnitTest {
    #[serde(default)]
    alert_rule_test: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    alertname: String,
    #[serde(default)]
    exp_alerts: Vec<serde_yaml_ng::Value>,
}

fn promtool(arguments: &[&str], files: &[std::path::PathBuf]) -> anyhow::Result<()> {
    let output = Command::new("promtool")
        .args(arguments)
        .args(files)
        .output()
        .context("cannot start promtool: run tests/lab/install.sh")?;
    ensure!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[test]
fn prometheus_takes_the_configuration_and_the_rules() -> anyhow::Result<()> {
    let folder = sight::repository()?.join("deploy/prometheus");
    // where its rules are is the container's matter
    let configuration = [sight::repository()?.join("deploy/compose/prometheus.yml")];
    promtool(&["check", "config", "--syntax-only"], &configuration)?;
    let rules = ["rules.yml", "alerts.yml"].map(|name| folder.join(name));
    promtool(&["check", "rules"], &rules)
}

#[test]
fn the_rules_pass_their_unit_tests() -> anyhow::Result<()> {
    promtool(
        &["test", "rules"],
        &sight::files("deploy/prometheus/tests", ".yml")?,
    )
}

#[test]
fn every_alert_is_seen_to_fire_and_not_to_fire() -> anyhow::Result<()> {
    let mut seen: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for file in sight::files("deploy/prometheus/tests", ".yml")? {
        let text = fs::read_to_string(&file)?;
        let tests: UnitTests =
            serde_yaml_ng::from_str(&text).with_context(|| file.display().to_string())?;
        for case in tests
            .tests
            .into_iter()
            .flat_map(|test| test.alert_rule_test)
        {
            let (fires, silent) = seen.entry(case.alertname).or_default();
            *fires |= !case.exp_alerts.is_empty();
            *silent |= case.exp_alerts.is_empty();
        }
    }
    for alert in sight::rules()?.alerts {
        ensure!(
            seen.remove(&alert.name) == Some((true, true)),
            "{} is not tested both ways",
            alert.name
        );
        // an alert may have a rule per severity
        seen.insert(alert.name, (true, true));
    }
    let alerts: BTreeSet<String> = sight::rules()?
        .alerts
        .into_iter()
        .map(|alert| alert.name)
        .collect();
    let strangers: Vec<_> = seen.keys().filter(|name| !alerts.contains(*name)).collect();
    ensure!(strangers.is_empty(), "tested and not there: {strangers:?}");
    Ok(())
}

#[test]
fn every_alert_asks_for_what_is_told_and_says_who_is_to_act() -> anyhow::Result<()> {
    let rules = sight::rules()?;
    for (name, expression) in &rules.recorded {
        super::expect_known(name, expression)?;
    }
    for alert in &rules.alerts {
        super::expect_known(&alert.name, &alert.expression)?;
        let severity = alert.labels.get("severity").map(String::as_str);
        ensure!(
            matches!(severity, Some("page" | "ticket")),
            "{}: {severity:?}",
            alert.name
        );
        for annotation in ["summary", "description"] {
            ensure!(
                alert
                    .annotations
                    .get(annotation)
                    .is_some_and(|text| !text.is_empty()),
                "{} has no {annotation}",
                alert.name
            );
        }
    }
    Ok(())
}

#[test]
fn every_alert_has_a_page_and_every_page_an_alert() -> anyhow::Result<()> {
    let repository = sight::repository()?;
    let mut pages = BTreeSet::new();
    for alert in sight::rules()?.alerts {
        let page = format!("docs/runbooks/{}.md", alert.name);
        ensure!(
            alert.annotations.get("runbook") == Some(&page),
            "{}: the runbook is not {page}",
            alert.name
        );
        let text = fs::read_to_string(repository.join(&page)).context(page.clone())?;
        ensure!(
            text.starts_with(&format!("# {}\n", alert.name)),
            "{page}: its title"
        );
        let mut rest = text.as_str();
        for heading in [
            "\n## What it means to people\n",
            "\n## How to confirm\n",
            "\n## How to mend\n",
        ] {
            let (_, after) = rest
                .split_once(heading)
                .with_context(|| format!("{page}: no{heading}, or not in its place"))?;
            rest = after;
        }
        ensure!(text.contains("\n```\n"), "{page}: no command");
        pages.insert(repository.join(page));
    }
    for page in sight::files("docs/runbooks", ".md")? {
        // how the commands of all of them are run
        let index = page.ends_with("README.md");
        ensure!(
            index || pages.contains(&page),
            "{}: no such alert",
            page.display()
        );
    }
    Ok(())
}
