//! The boards are whole: Grafana would load each, and no panel hides another.

use std::collections::BTreeSet;

use anyhow::ensure;
use sight::boards;

const SOURCES: [&str; 3] = ["${metrics}", "${traces}", "${logs}"];

#[test]
fn every_board_can_be_loaded_and_read() -> anyhow::Result<()> {
    let boards = boards()?;
    let mut names = BTreeSet::new();
    for board in &boards {
        let file = board.file.display();
        let model = &board.model;
        let stem = board.file.file_stem().unwrap_or_default().to_string_lossy();
        ensure!(
            model.uid == format!("writeback-{stem}"),
            "{file}: {}",
            model.uid
        );
        ensure!(model.schema_version >= 36, "{file}: an old schema");
        ensure!(names.insert(model.title.clone()), "{file}: a title twice");
        let ids: BTreeSet<u32> = model.panels.iter().map(|panel| panel.id).collect();
        ensure!(ids.len() == model.panels.len(), "{file}: an id twice");
        for (number, panel) in model.panels.iter().enumerate() {
            let whose = format!("{file}: {}", panel.title);
            let place = panel.grid_pos;
            ensure!(
                place.w > 0 && place.h > 0 && place.x + place.w <= 24,
                "{whose}: {place:?}"
            );
            for other in model.panels.iter().skip(number + 1) {
                ensure!(
                    !place.overlaps(other.grid_pos),
                    "{whose} lies on {}",
                    other.title
                );
            }
            if matches!(panel.kind.as_str(), "row" | "text") {
                continue;
            }
            ensure!(!panel.targets.is_empty(), "{whose} asks nothing");
            ensure!(
                panel.kind != "stat" || !panel.description.is_empty(),
                "{whose} does not say what it means"
            );
            let mut letters = BTreeSet::new();
            for target in &panel.targets {
                ensure!(
                    letters.insert(&target.ref_id),
                    "{whose}: {} twice",
                    target.ref_id
                );
                ensure!(
                    SOURCES.contains(&target.datasource.uid.as_str())
                        && panel.datasource.as_ref().map(|source| &source.uid)
                            == Some(&target.datasource.uid),
                    "{whose} asks a source of its own: {:?}",
                    target.datasource
                );
            }
        }
    }
    let wanted = ["Forest", "Operation", "Overview", "Platform"];
    let wanted: BTreeSet<String> = wanted.map(|name| format!("Writeback: {name}")).into();
    ensure!(names == wanted, "{names:?}");
    Ok(())
}

#[test]
fn every_variable_that_is_used_is_there_and_every_link_leads_somewhere() -> anyhow::Result<()> {
    let boards = boards()?;
    let links: BTreeSet<String> = boards
        .iter()
        .map(|board| format!("/d/{}", board.model.uid))
        .collect();
    for board in &boards {
        let text = std::fs::read_to_string(&board.file)?;
        for name in ["forest", "operation", "metrics", "traces", "logs"] {
            let used = text.contains(&format!("${name}")) || text.contains(&format!("${{{name}}}"));
            ensure!(
                used == board.has_variable(name),
                "{}: ${name} is used or declared, not both",
                board.file.display()
            );
        }
        for link in &board.model.links {
            let url = link
                .get("url")
                .and_then(|url| url.as_str())
                .unwrap_or_default();
            ensure!(links.contains(url), "{}: {url}", board.file.display());
        }
    }
    Ok(())
}

#[test]
fn every_metric_on_a_board_is_one_that_is_told() -> anyhow::Result<()> {
    for board in boards()? {
        for variable in &board.model.templating.list {
            if let Some(definition) = &variable.definition {
                let metric = definition
                    .strip_prefix("label_values(")
                    .and_then(|rest| rest.split_once(','))
                    .map_or("", |(metric, _)| metric);
                super::expect_known(&variable.name, metric)?;
                ensure!(!metric.is_empty(), "{}: {definition}", board.file.display());
            }
        }
        for query in board.queries("corp", "1m", "1h") {
            super::expect_known(&query.whose, &query.expression)?;
        }
    }
    Ok(())
}

/// What traces and log lines are found by is what the services write.
#[test]
fn the_operation_is_found_by_what_traces_and_lines_bear() -> anyhow::Result<()> {
    let boards = boards()?;
    let asked: Vec<String> = boards
        .iter()
        .flat_map(|board| &board.model.panels)
        .flat_map(|panel| &panel.targets)
        .filter(|target| target.datasource.kind != "prometheus")
        .filter_map(|target| target.query.clone().or_else(|| target.expr.clone()))
        .collect();
    let traces = std::fs::read_to_string(sight::repository()?.join("docs/traces.md"))?;
    for name in ["writeback.operation.id", "operation_id"] {
        ensure!(
            traces.contains(&format!("`{name}`")),
            "{name}: not in docs/traces.md"
        );
        ensure!(
            asked.iter().any(|query| query.contains(name)),
            "{name}: not asked for"
        );
    }
    Ok(())
}
