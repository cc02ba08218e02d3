//! The manifests of `deploy/kubernetes`, read as data and held against the types of the Kubernetes API.
//!
//! It knows no cluster: what a server would say that needs one (admission, quotas, other objects) it cannot tell.

mod pods;
mod typed;

pub use pods::{PodTemplate, pod_templates};
pub use typed::{CUSTOM, expect_typed};

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use serde::Deserialize as _;
use serde_json::Value;

/// Where the manifests are.
pub fn manifests() -> anyhow::Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy/kubernetes")
        .canonicalize()
        .context("the repository these tests were built from is gone")
}

/// One object.
#[derive(Debug, Clone)]
pub struct Object(pub Value);

impl Object {
    pub fn at(&self, pointer: &str) -> &Value {
        self.0.pointer(pointer).unwrap_or(&Value::Null)
    }

    pub fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    pub fn is(&self, kind: &str, name: &str) -> bool {
        self.kind() == kind && self.name() == name
    }

    /// For messages.
    pub fn whose(&self) -> String {
        format!("{} {}", self.kind(), self.name())
    }
}

/// The objects of a file with several.
pub fn read(path: &Path) -> anyhow::Result<Vec<Object>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut objects = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(&text) {
        let value = Value::deserialize(document).with_context(|| path.display().to_string())?;
        if !value.is_null() {
            objects.push(Object(value));
        }
    }
    Ok(objects)
}

/// What the example is when it is rendered.
pub fn rendered() -> anyhow::Result<Vec<Object>> {
    read(&manifests()?.join("rendered/example.yaml"))
}

/// What a program that is run in the manifests' folder says.
pub fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(manifests()?)
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    ensure!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
