//! What is made from something else is what it is made from now.

use std::{
    fs,
    path::{Path, PathBuf},
};

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

/// The manifests with the rules beside them, to be changed; removed at the end.
struct Copy(PathBuf);

impl Copy {
    fn new(of: &str) -> anyhow::Result<Self> {
        let name = format!("writeback-kubernetes-{of}-{}", std::process::id());
        let copy = Self(std::env::temp_dir().join(name));
        let original = manifests()?;
        for folder in ["overlays", "components", "base", "writer"] {
            for (name, text) in tree(&original.join(folder))? {
                let path = copy.path(folder).join(name);
                fs::create_dir_all(path.parent().context("no folder")?)?;
                fs::write(path, text)?;
            }
        }
        fs::create_dir_all(copy.0.join("prometheus"))?;
        for name in ["rules.yml", "alerts.yml"] {
            fs::copy(
                original.join("../prometheus").join(name),
                copy.0.join("prometheus").join(name),
            )?;
        }
        fs::copy(original.join("generate.sh"), copy.path("generate.sh"))?;
        Ok(copy)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join("kubernetes").join(name)
    }

    fn generate(&self, overlay: &str) -> anyhow::Result<String> {
        let script = self.path("generate.sh").display().to_string();
        run("sh", &[&script, &self.path(overlay).display().to_string()])
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn the_forests_are_made_from_the_list() -> anyhow::Result<()> {
    let copy = Copy::new("list")?;
    copy.generate("overlays/example")?;
    for folder in ["overlays", "components"] {
        ensure!(
            tree(&copy.path(folder))? == tree(&manifests()?.join(folder))?,
            "run deploy/kubernetes/generate.sh overlays/example"
        );
    }
    Ok(())
}

/// An editor elsewhere ends lines otherwise, and may leave the last one without an end; a comment may stand anywhere.
#[test]
fn however_the_list_is_written_the_same_is_made_of_it() -> anyhow::Result<()> {
    let copy = Copy::new("written")?;
    let list = "  # first\r\n\r\n corp\t10.1.0.0/24 10.2.0.0/24 # near\r\nemea 10.31.0.0/24  dns=10.31.0.53/32";
    fs::write(copy.path("overlays/example/forests.txt"), list)?;
    copy.generate("overlays/example")?;
    ensure!(
        tree(&copy.path("overlays/example/forests"))?
            == tree(&manifests()?.join("overlays/example/forests"))?
    );
    Ok(())
}

#[test]
fn a_list_that_does_not_hold_changes_nothing() -> anyhow::Result<()> {
    let copy = Copy::new("faulty")?;
    let list = copy.path("overlays/example/forests.txt");
    let good = "corp 10.9.0.0/24\n";
    for (bad, why) in [
        ("emea\n", "emea has no network"),
        ("emea dns=10.31.0.53/32\n", "emea has no network"),
        ("emea 10.31.0.0\n", "10.31.0.0 is no network"),
        ("Emea 10.31.0.0/24\n", "no name for a forest"),
        ("corp 10.31.0.0/24\n", "corp is there twice"),
    ] {
        fs::write(&list, format!("{good}{bad}"))?;
        let before = (
            tree(&copy.path("overlays"))?,
            tree(&copy.path("components"))?,
        );
        let refused = copy.generate("overlays/example").map(drop);
        let refused = refused.expect_err(bad).to_string();
        ensure!(refused.contains(why), "{bad}: {refused}");
        let after = (
            tree(&copy.path("overlays"))?,
            tree(&copy.path("components"))?,
        );
        ensure!(before == after, "{bad}: something was changed");
    }
    let elsewhere = copy.path("elsewhere");
    fs::create_dir_all(&elsewhere)?;
    fs::write(elsewhere.join("forests.txt"), good)?;
    let refused = copy
        .generate("elsewhere")
        .expect_err("kustomize cannot build it");
    ensure!(
        refused.to_string().contains("is not a folder in"),
        "{refused}"
    );
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

/// Every user of the example's broker, with rights for the forests of the list.
#[test]
fn the_broker_s_definitions_are_made_from_its_permissions() -> anyhow::Result<()> {
    let copy = Copy::new("definitions")?;
    let passwords = copy.path("passwords");
    fs::create_dir_all(&passwords)?;
    let users = [
        "intake",
        "resolver",
        "audit",
        "writer-corp",
        "writer-emea",
        "keda",
    ];
    for user in users {
        fs::write(passwords.join(user), format!("of-{user}\n"))?;
    }
    let folder = passwords.display().to_string();
    let define = || run("sh", &["../broker/definitions.sh", &folder, "corp", "emea"]);
    let made: Value = serde_json::from_str(&define()?)?;
    for (list, key) in [("users", "name"), ("permissions", "user")] {
        let named: Vec<_> = made[list].as_array().into_iter().flatten().collect();
        let named: Vec<_> = named.iter().filter_map(|one| one[key].as_str()).collect();
        ensure!(named == users, "{list}: {named:?}");
    }
    let rights = &made["permissions"][4];
    ensure!(
        rights["read"] == r"^writeback\.(forests|forest\.emea)$",
        "{rights}"
    );
    fs::remove_file(passwords.join("audit"))?;
    let refused = define().map(drop).expect_err("audit has no password");
    ensure!(
        refused
            .to_string()
            .contains("passwords/audit is not there, or empty"),
        "{refused}"
    );
    Ok(())
}
