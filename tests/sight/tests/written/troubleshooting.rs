//! The page for troubleshooting lists every reason as it is defined, and leads to pages that are there.

use anyhow::{Context as _, ensure};
use operation::Reason;

#[test]
fn every_reason_has_its_row() -> anyhow::Result<()> {
    let page = sight::repository()?.join("docs/troubleshooting.md");
    let text = std::fs::read_to_string(&page)?;
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| [`"))
        .collect();
    let wanted: Vec<String> = Reason::ALL
        .iter()
        .map(|reason| {
            let (code, actor) = (reason.code(), reason.actor().as_str());
            format!(
                "| [`{code}`](../crates/operation/src/reasons/{code}.md) | {} | {} | {actor} |",
                reason.event_id(),
                reason.title()
            )
        })
        .collect();
    ensure!(rows == wanted, "the table is to be:\n{}", wanted.join("\n"));
    Ok(())
}

/// Links between documents, in every document of ours.
#[test]
fn every_link_leads_to_a_file() -> anyhow::Result<()> {
    let repository = sight::repository()?;
    let mut pages = sight::files("docs", ".md")?;
    pages.extend(sight::files("docs/runbooks", ".md")?);
    pages.push(repository.join("README.md"));
    pages.push(repository.join("deploy/kubernetes/README.md"));
    for page in pages {
        let text = std::fs::read_to_string(&page)?;
        let folder = page.parent().context("no folder")?;
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            let outside = target.is_empty() || target.contains("://") || target.contains(' ');
            ensure!(
                outside || folder.join(target).exists(),
                "{}: {target}",
                page.display()
            );
        }
    }
    Ok(())
}
