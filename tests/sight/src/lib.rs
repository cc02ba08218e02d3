//! What an operator sees, read as data: the boards of `deploy/grafana` with every query in them, the rules of
//! `deploy/prometheus`, and the list of metrics in `docs/metrics.md`.
//!
//! It knows files, and nothing that runs: whoever has a Prometheus asks it.

mod boards;
mod metrics;
mod rules;

pub use boards::{Board, Panel, Query, boards};
pub use metrics::{Documented, documented, names_in};
pub use rules::{Alert, Rules, rules};

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The repository these tests were built from.
pub fn repository() -> anyhow::Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .context("the repository these tests were built from is gone")
}

/// The files of a folder whose names end so, in order.
pub fn files(folder: &str, ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    let folder = repository()?.join(folder);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(ending) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
