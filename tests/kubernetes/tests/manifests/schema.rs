//! Every object has its type.

use anyhow::ensure;
use kubernetes::{CUSTOM, expect_typed, manifests, read, rendered};

#[test]
fn every_object_is_what_the_schema_says() -> anyhow::Result<()> {
    let mut objects = rendered()?;
    for example in [
        "rabbitmq-cluster.yaml",
        "external-secrets.yaml",
        "first-key.yaml",
    ] {
        objects.extend(read(&manifests()?.join("examples").join(example))?);
    }
    let mut typed = 0;
    for object in &objects {
        typed += usize::from(expect_typed(object)?);
    }
    ensure!(typed > 30, "only {typed} were looked at");
    for (version, kind) in CUSTOM {
        ensure!(
            objects
                .iter()
                .any(|object| object.kind() == kind && object.text("/apiVersion") == version),
            "{kind} is not used any more"
        );
    }
    Ok(())
}

#[test]
fn every_object_has_a_name_of_its_own() -> anyhow::Result<()> {
    let mut names = std::collections::BTreeSet::new();
    for object in rendered()? {
        ensure!(!object.name().is_empty(), "{:?} has no name", object.0);
        ensure!(
            names.insert(object.whose()),
            "{} is there twice",
            object.whose()
        );
        ensure!(
            object.kind() == "Namespace" || object.text("/metadata/namespace") == "writeback",
            "{} is in another namespace",
            object.whose()
        );
    }
    Ok(())
}
