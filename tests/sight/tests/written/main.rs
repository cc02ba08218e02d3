//! What can be said of boards and alerts by reading them. Whether their queries find anything is asked on the lab.

mod alerts;
mod boards;
mod commands;
mod thresholds;
mod troubleshooting;

use std::collections::BTreeSet;

use anyhow::ensure;

/// Every metric of ours in an expression is told by somebody; the broker's are the lab's to prove.
fn expect_known(whose: &str, expression: &str) -> anyhow::Result<()> {
    let documented = sight::documented()?;
    let recorded: BTreeSet<String> = sight::rules()?.recorded.into_keys().collect();
    for name in sight::names_in(expression) {
        let known = name == "up"
            || name == "ALERTS"
            || name.starts_with("rabbitmq_")
            || recorded.contains(&name)
            || documented
                .iter()
                .any(|(metric, row)| row.is_told_as(metric, &name));
        ensure!(known, "{whose}: nobody tells {name}");
    }
    Ok(())
}
