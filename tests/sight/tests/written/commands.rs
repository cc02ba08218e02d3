//! What a page tells an operator to type works as it is written. Whether `writebackctl` has such commands its own tests say.

use std::{fs, path::PathBuf};

use anyhow::ensure;

/// The lines of every block in the documents, with the page they are on; a line that ends with a backslash goes on.
fn commands() -> anyhow::Result<Vec<(String, String)>> {
    let mut pages: Vec<PathBuf> = sight::files("docs", ".md")?;
    pages.extend(sight::files("docs/runbooks", ".md")?);
    pages.push(sight::repository()?.join("deploy/kubernetes/README.md"));
    let mut commands = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page)?.replace("\\\n", " ");
        let name = page.display().to_string();
        for block in text.split("```").skip(1).step_by(2) {
            let lines = block.lines().skip(1).map(str::trim);
            commands.extend(lines.map(|line| (name.clone(), line.to_owned())));
        }
    }
    ensure!(commands.len() > 100, "only {} lines", commands.len());
    Ok(commands)
}

/// The commands of which this holds keep that promise, and there are some.
fn expect(
    what: &str,
    of: impl Fn(&str) -> bool,
    promise: impl Fn(&str) -> bool,
) -> anyhow::Result<()> {
    let mut seen = 0;
    for (page, line) in commands()? {
        if of(&line) {
            seen += 1;
            ensure!(promise(&line), "{page}: {what}: {line}");
        }
    }
    ensure!(seen > 0, "{what}: there is no such command any more");
    Ok(())
}

/// With a selector kubectl shows ten lines of each pod, unless it is told otherwise (kubernetes.io/docs/reference/kubectl).
#[test]
fn all_lines_of_a_log_are_looked_through() -> anyhow::Result<()> {
    expect(
        "`kubectl logs --selector` wants --tail",
        |line| line.contains(" logs ") && line.contains("--selector"),
        |line| line.contains("--tail"),
    )
}

/// A domain controller's certificate is not from an authority that the machine knows: a healthy one would look dead.
#[test]
fn a_domain_controller_is_asked_with_its_own_ca() -> anyhow::Result<()> {
    expect(
        "ldapsearch wants LDAPTLS_CACERT",
        |line| line.contains("ldapsearch ") && line.contains("ldaps://"),
        |line| line.contains("LDAPTLS_CACERT="),
    )
}

#[test]
fn kubectl_is_told_where() -> anyhow::Result<()> {
    expect(
        "kubectl wants a namespace",
        |line| line.starts_with("kubectl ") && !line.starts_with("kubectl kustomize"),
        |line| line.contains("--namespace writeback") || line.contains("-n writeback"),
    )
}

/// KEDA sets back what is set beside it.
#[test]
fn what_is_scaled_is_not_scaled_by_hand() -> anyhow::Result<()> {
    expect(
        "KEDA undoes it",
        |line| line.contains("kubectl ") && line.contains(" scale "),
        |line| !line.contains("deployment/writer") && !line.contains("deployment/intake"),
    )
}

/// A name in capitals is a variable of the operator's shell: the page itself sets it.
#[test]
fn no_command_wants_a_variable_that_nobody_sets() -> anyhow::Result<()> {
    let commands = commands()?;
    for (page, line) in &commands {
        for rest in line.split('$').skip(1) {
            let name: String = { rest.trim_start_matches('{').chars() }
                .take_while(|letter| letter.is_ascii_uppercase() || *letter == '_')
                .collect();
            let set = format!("{name}=");
            let known = name.len() < 2
                || commands
                    .iter()
                    .any(|(other, line)| other == page && line.contains(&set));
            ensure!(known, "{page}: nobody sets {name}: {line}");
        }
    }
    Ok(())
}
