//! What is made from something else is what it is made from now.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};
use kubernetes::{manifests, read, rendered, run};
use serde_json::Value;

/// Every file below, by its path.
fn tree(folder: &Path) -> anyhow::Result<std::collections::BTreeMap<String, String>> {
    let mut files = std::collections::BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder)?.display().to_string();
                files.insert(name, fs::read_to_string(&path)?);
            }
        }
    }
    Ok(files)
}

#[test]
fn the_forests_are_made_from_the_list() -> anyhow::Result<()> {
    let copy = std::env::temp_dir().join(format!("writeback-kubernetes-{}", std::process::id()));
    let deploy = copy.join("kubernetes");
    let original = manifests()?;
    for folder in ["overlays", "components"] {
        for (name, text) in tree(&original.join(folder))? {
            let path = deploy.join(folder).join(name);
            fs::create_dir_all(path.parent().context("no folder")?)?;
            fs::write(path, text)?;
        }
    }
    fs::create_dir_all(copy.join("prometheus"))?;
    for name in ["rules.yml", "alerts.yml"] {
        fs::copy(
            original.join("../prometheus").join(name),
            copy.join("prometheus").join(name),
        )?;
    }
    fs::copy(original.join("generate.sh"), deploy.join("generate.sh"))?;
    let script = deploy.join("generate.sh").display().to_string();
    let overlay = deploy.join("overlays/example").display().to_string();
    run("sh", &[&script, &overlay])?;
    for folder in ["overlays", "components"] {
        ensure!(
            tree(&deploy.join(folder))? == tree(&original.join(folder))?,
            "run deploy/kubernetes/generate.sh overlays/example"
        );
    }
    fs::remove_dir_all(copy)?;
    Ok(())
}

#[test]
fn the_example_is_rendered_from_what_is_there() -> anyhow::Result<()> {
    let digest = run("sh", &["render.sh", "--digest"])?;
    let text = fs::read_to_string(manifests()?.join("rendered/example.yaml"))?;
    let first = text.lines().next().unwrap_or_default();
    ensure!(
        first.ends_with(digest.trim()),
        "something was changed since: run deploy/kubernetes/render.sh"
    );
    Ok(())
}

/// Where there is a kustomize: the digest says that nothing was changed, this that it is what kustomize makes of it.
#[test]
fn kustomize_makes_the_same_of_it() -> anyhow::Result<()> {
    let built = run("kustomize", &["build", "overlays/example"])
        .or_else(|_| run("kubectl", &["kustomize", "overlays/example"]));
    let Ok(built) = built else {
        eprintln!("neither kustomize nor a kubectl that has it: only the digest was compared");
        return Ok(());
    };
    let file = std::env::temp_dir().join(format!("writeback-rendered-{}.yaml", std::process::id()));
    fs::write(&file, built)?;
    let now: Vec<Value> = read(&file)?.into_iter().map(|object| object.0).collect();
    fs::remove_file(&file)?;
    let then: Vec<Value> = rendered()?.into_iter().map(|object| object.0).collect();
    ensure!(now == then, "run deploy/kubernetes/render.sh");
    Ok(())
}

#[test]
fn the_rules_are_the_product_s() -> anyhow::Result<()> {
    let objects = rendered()?;
    let rule = objects
        .iter()
        .find(|object| object.kind() == "PrometheusRule")
        .context("no rules")?;
    let mut groups = Vec::new();
    for name in ["rules.yml", "alerts.yml"] {
        for file in read(&manifests()?.join("../prometheus").join(name))? {
            groups.extend(file.at("/groups").as_array().cloned().unwrap_or_default());
        }
    }
    // an expression may be broken into lines elsewhere
    let words = |value: &Value| {
        let text = value.to_string().replace("\\n", " ");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    ensure!(
        words(rule.at("/spec/groups")) == words(&Value::Array(groups)),
        "run generate.sh and render.sh"
    );
    Ok(())
}
