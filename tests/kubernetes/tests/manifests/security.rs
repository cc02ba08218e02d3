//! Pods are admitted where only `restricted` ones are (kubernetes.io/docs/concepts/security/pod-security-standards).

use anyhow::ensure;
use kubernetes::{pod_templates, rendered};
use serde_json::{Value, json};

const ALLOWED_VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

#[test]
fn the_namespace_takes_restricted_pods_only() -> anyhow::Result<()> {
    let objects = rendered()?;
    let enforced = objects
        .iter()
        .filter(|object| object.kind() == "Namespace")
        .all(|object| {
            object.0["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        });
    ensure!(enforced);
    Ok(())
}

#[test]
fn every_pod_is_restricted() -> anyhow::Result<()> {
    let objects = rendered()?;
    let templates = pod_templates(&objects);
    ensure!(templates.len() > 8, "only {} templates", templates.len());
    for pod in &templates {
        let whose = pod.owner.whose();
        for host in ["hostNetwork", "hostPID", "hostIPC"] {
            ensure!(pod.at("/spec")[host] != true, "{whose}: {host}");
        }
        let context = pod.at("/spec/securityContext");
        ensure!(context["runAsNonRoot"] == true, "{whose}: may run as root");
        ensure!(
            context["runAsUser"].as_u64().is_some_and(|user| user > 0),
            "{whose}: as whom?"
        );
        ensure!(
            context["seccompProfile"]["type"] == "RuntimeDefault",
            "{whose}: seccomp"
        );
        ensure!(
            pod.at("/spec")["automountServiceAccountToken"] == false,
            "{whose}: has a token for the API that it does not need"
        );
        for volume in pod.volumes() {
            let kinds: Vec<_> = volume
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, _)| key.as_str())
                .filter(|key| *key != "name")
                .collect();
            ensure!(
                kinds.iter().all(|kind| ALLOWED_VOLUMES.contains(kind)),
                "{whose}: a volume of {kinds:?}"
            );
        }
        for container in pod.containers() {
            let context = &container["securityContext"];
            ensure!(
                context["allowPrivilegeEscalation"] == false,
                "{whose}: escalation"
            );
            ensure!(context["privileged"] != true, "{whose}: privileged");
            ensure!(
                context["readOnlyRootFilesystem"] == true,
                "{whose}: root is writable"
            );
            ensure!(
                context["capabilities"] == json!({ "drop": ["ALL"] }),
                "{whose}: capabilities"
            );
            ensure!(
                container["env"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .all(|variable| { variable["valueFrom"]["secretKeyRef"] == Value::Null }),
                "{whose}: a secret in the environment"
            );
        }
    }
    Ok(())
}

#[test]
fn nobody_mounts_what_another_needs() -> anyhow::Result<()> {
    let objects = rendered()?;
    for pod in pod_templates(&objects) {
        let owner = pod.owner.name();
        let own = if pod.owner.kind() == "CronJob" {
            "operator"
        } else {
            owner
        };
        let forest = pod.at("/metadata/labels")["writeback.dev/forest"].as_str();
        for volume in pod.volumes() {
            if let Some(secret) = volume["secret"]["secretName"].as_str() {
                ensure!(
                    secret == format!("writeback-{own}"),
                    "{owner} mounts the secret {secret}"
                );
            }
            if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() {
                let private = forest.map(|forest| format!("sealing-keys-{forest}"));
                ensure!(
                    claim == "sealing-public-keys" || Some(claim) == private.as_deref(),
                    "{owner} mounts {claim}"
                );
            }
        }
    }
    Ok(())
}
