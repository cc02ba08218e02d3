//! An object is what the API's schema says if it can be read as its type and written again, and is the same: a field
//! the type does not know would be lost, one that it must have would appear, one of another kind cannot be read.

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::{CronJob, Job},
    core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::Object;

/// Custom resources: their schemas are their operators', and not among the API's own.
pub const CUSTOM: [(&str, &str); 7] = [
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("keda.sh/v1alpha1", "TriggerAuthentication"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
    ("rabbitmq.com/v1beta1", "RabbitmqCluster"),
    ("external-secrets.io/v1", "SecretStore"),
    ("external-secrets.io/v1", "ExternalSecret"),
];

/// Whether it is what the API's schema says; false of a custom resource.
pub fn expect_typed(object: &Object) -> anyhow::Result<bool> {
    let version = object.text("/apiVersion");
    let again = match (version, object.kind()) {
        ("apps/v1", "Deployment") => again::<Deployment>(object),
        ("apps/v1", "StatefulSet") => again::<StatefulSet>(object),
        ("batch/v1", "CronJob") => again::<CronJob>(object),
        ("batch/v1", "Job") => again::<Job>(object),
        ("v1", "ConfigMap") => again::<ConfigMap>(object),
        ("v1", "Namespace") => again::<Namespace>(object),
        ("v1", "PersistentVolumeClaim") => again::<PersistentVolumeClaim>(object),
        ("v1", "Service") => again::<Service>(object),
        ("v1", "ServiceAccount") => again::<ServiceAccount>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => again::<NetworkPolicy>(object),
        ("policy/v1", "PodDisruptionBudget") => again::<PodDisruptionBudget>(object),
        (version, kind) if CUSTOM.contains(&(version, kind)) => return Ok(false),
        (version, kind) => bail!("{kind} of {version} is no type that is known here"),
    };
    let again = again.with_context(|| object.whose())?;
    if let Some(difference) = difference("", &object.0, &again) {
        bail!("{}: {difference}", object.whose());
    }
    Ok(true)
}

fn again<T: DeserializeOwned + Serialize>(object: &Object) -> anyhow::Result<Value> {
    let typed: T = serde_json::from_value(object.0.clone())?;
    let again = serde_json::to_value(typed)?;
    ensure!(again.is_object(), "it is no object");
    Ok(again)
}

/// Where the two are not the same, if anywhere.
fn difference(at: &str, given: &Value, typed: &Value) -> Option<String> {
    match (given, typed) {
        (Value::Object(given), Value::Object(typed)) => {
            let unknown = given.keys().find(|key| !typed.contains_key(*key));
            let missing = typed.keys().find(|key| !given.contains_key(*key));
            unknown
                .map(|key| format!("{at}/{key} is no field"))
                .or_else(|| missing.map(|key| format!("{at}/{key} is missing")))
                .or_else(|| {
                    given.iter().find_map(|(key, given)| {
                        difference(&format!("{at}/{key}"), given, typed.get(key)?)
                    })
                })
        }
        (Value::Array(given), Value::Array(typed)) if given.len() == typed.len() => given
            .iter()
            .zip(typed)
            .enumerate()
            .find_map(|(number, (given, typed))| {
                difference(&format!("{at}/{number}"), given, typed)
            }),
        (given, typed) => (given != typed).then(|| format!("{at} is {given}, read as {typed}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claim(spec: &Value) -> anyhow::Result<bool> {
        expect_typed(&Object(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "a" }, "spec": spec,
        })))
    }

    #[test]
    fn a_field_that_is_not_known_or_of_another_kind_is_found() {
        assert!(claim(&json!({ "accessModes": ["ReadWriteOnce"] })).unwrap());
        let unknown = claim(&json!({ "accessMode": ["ReadWriteOnce"] })).unwrap_err();
        assert!(
            format!("{unknown:#}").contains("/spec/accessMode is no field"),
            "{unknown:#}"
        );
        assert!(claim(&json!({ "accessModes": "ReadWriteOnce" })).is_err());
    }

    #[test]
    fn a_field_that_must_be_there_is_missed() {
        let policy = Object(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "a" },
            "spec": { "template": { "spec": { "containers": [] } } },
        }));
        let missing = expect_typed(&policy).unwrap_err();
        assert!(format!("{missing:#}").contains("selector"), "{missing:#}");
    }
}
