//! What is named is there, and each workload has what it is to have.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, ensure};
use chassis::config::Config;
use kubernetes::{Object, manifests, pod_templates, read, rendered};

/// What runs commands of an operator's and serves nobody.
const CONSOLE: &str = "console";

fn named<'a>(objects: &'a [Object], kind: &str) -> BTreeSet<&'a str> {
    objects
        .iter()
        .filter(|object| object.kind() == kind)
        .map(Object::name)
        .collect()
}

#[test]
fn what_is_named_is_there() -> anyhow::Result<()> {
    let objects = rendered()?;
    let (maps, claims) = (
        named(&objects, "ConfigMap"),
        named(&objects, "PersistentVolumeClaim"),
    );
    let accounts = named(&objects, "ServiceAccount");
    for pod in pod_templates(&objects) {
        let whose = pod.owner.whose();
        let mut volumes = BTreeSet::new();
        for volume in pod.volumes() {
            volumes.extend(volume["name"].as_str());
            // what is optional may never be made
            let map = &volume["configMap"];
            if let Some(map) = map["name"].as_str().filter(|_| map["optional"] != true) {
                ensure!(maps.contains(map), "{whose}: no config map {map}");
            }
            if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() {
                ensure!(claims.contains(claim), "{whose}: no claim {claim}");
            }
        }
        let account = pod.at("/spec/serviceAccountName").as_str();
        ensure!(
            account.is_some_and(|account| accounts.contains(account)),
            "{whose}: no account {account:?}"
        );
        let templates = pod.owner.at("/spec/volumeClaimTemplates").as_array();
        for template in templates.into_iter().flatten() {
            volumes.extend(template["metadata"]["name"].as_str());
        }
        for container in pod.containers() {
            for mount in container["volumeMounts"].as_array().into_iter().flatten() {
                let name = mount["name"].as_str().unwrap_or_default();
                ensure!(volumes.contains(name), "{whose}: no volume {name}");
            }
            let ports: BTreeSet<_> = container["ports"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|port| port["name"].as_str())
                .collect();
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                if pod.owner.kind() != "CronJob" && pod.owner.name() != CONSOLE {
                    let port = container[probe]["httpGet"]["port"]
                        .as_str()
                        .unwrap_or_default();
                    ensure!(ports.contains(port), "{whose}: {probe} asks {port}");
                }
            }
        }
    }
    for scaled in objects
        .iter()
        .filter(|object| object.kind() == "ScaledObject")
    {
        let target = scaled.text("/spec/scaleTargetRef/name");
        let deployment = objects
            .iter()
            .find(|object| object.is("Deployment", target));
        let deployment = deployment.with_context(|| format!("{}: no {target}", scaled.whose()))?;
        ensure!(
            deployment.at("/spec/replicas").is_null(),
            "{target} is scaled and has a number"
        );
    }
    Ok(())
}

#[test]
fn each_workload_has_its_budget_its_spread_and_its_requests() -> anyhow::Result<()> {
    let objects = rendered()?;
    for pod in pod_templates(&objects) {
        let whose = pod.owner.whose();
        for container in pod.containers() {
            let resources = &container["resources"];
            ensure!(
                resources["requests"]["cpu"].is_string()
                    && resources["requests"]["memory"].is_string(),
                "{whose}: requests"
            );
            ensure!(
                resources["limits"]["memory"].is_string() && resources["limits"]["cpu"].is_null(),
                "{whose}: limits"
            );
        }
        if pod.owner.kind() == "CronJob" || pod.owner.name() == CONSOLE {
            continue;
        }
        let budgets = objects
            .iter()
            .filter(|object| object.kind() == "PodDisruptionBudget")
            .filter(|budget| pod.is_selected_by(budget.at("/spec/selector")))
            .count();
        ensure!(budgets == 1, "{whose}: {budgets} disruption budgets");
        let spread = pod.at("/spec/topologySpreadConstraints").as_array();
        let spread = spread.with_context(|| format!("{whose}: no spread"))?;
        ensure!(
            spread
                .iter()
                .all(|constraint| pod.is_selected_by(&constraint["labelSelector"])),
            "{whose}: others are spread"
        );
        ensure!(
            pod.at("/spec/terminationGracePeriodSeconds")
                .as_u64()
                .is_some_and(|grace| grace > 20),
            "{whose}: killed before it has ended"
        );
    }
    Ok(())
}

/// What is run in a pod by hand finds the configuration too.
#[test]
fn every_container_knows_where_the_configuration_is() -> anyhow::Result<()> {
    let mut objects = rendered()?;
    objects.extend(read(&manifests()?.join("examples/first-key.yaml"))?);
    for pod in pod_templates(&objects) {
        let whose = pod.owner.whose();
        for container in pod.containers() {
            let mut variables = container["env"].as_array().into_iter().flatten();
            let file = variables.find(|variable| variable["name"] == "WRITEBACK_CONFIG");
            let file = file.with_context(|| format!("{whose}: no WRITEBACK_CONFIG"))?;
            let file = Path::new(file["value"].as_str().unwrap_or_default());
            let mounts = container["volumeMounts"].as_array();
            let mounted = mounts.into_iter().flatten().any(|mount| {
                mount["name"] == "config"
                    && mount["mountPath"].as_str().map(Path::new) == file.parent()
            });
            ensure!(
                mounted && file.ends_with("writeback.toml"),
                "{whose}: {}",
                file.display()
            );
            ensure!(
                !container["args"].to_string().contains("--config"),
                "{whose}: the configuration is said twice"
            );
        }
    }
    Ok(())
}

#[test]
fn the_configuration_holds_and_has_the_forests_of_the_list() -> anyhow::Result<()> {
    let folder = manifests()?.join("overlays/example");
    let config = Config::load(&folder.join("writeback.toml"))?;
    let list = std::fs::read_to_string(folder.join("forests.txt"))?;
    let listed: BTreeSet<&str> = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let configured: BTreeSet<String> = config
        .forests
        .iter()
        .map(|forest| forest.id.to_string())
        .collect();
    ensure!(
        configured
            .iter()
            .map(String::as_str)
            .eq(listed.iter().copied()),
        "{listed:?}, {configured:?}"
    );

    let objects = rendered()?;
    for forest in listed {
        for kind in [
            "Deployment",
            "PodDisruptionBudget",
            "NetworkPolicy",
            "ScaledObject",
        ] {
            let name = format!("writer-{forest}");
            ensure!(
                objects.iter().any(|object| object.is(kind, &name)),
                "no {kind} {name}"
            );
        }
        let rotation = format!("rotate-keys-{forest}");
        ensure!(
            objects.iter().any(|object| object.is("CronJob", &rotation)),
            "no {rotation}"
        );
        let queue = format!("writeback.forest.{forest}");
        let scaled = objects
            .iter()
            .find(|object| object.is("ScaledObject", &format!("writer-{forest}")));
        ensure!(
            scaled
                .is_some_and(|scaled| scaled.text("/spec/triggers/0/metadata/queueName") == queue),
            "{queue}"
        );
    }
    // the files that the configuration names are below what is mounted
    let mounted = [
        "/etc/writeback/secrets",
        "/etc/writeback/public",
        "/etc/writeback/keys",
    ];
    let text = std::fs::read_to_string(folder.join("writeback.toml"))?;
    for line in text
        .lines()
        .filter(|line| line.contains("_file =") || line.contains("_directory ="))
    {
        let path = line.split('"').nth(1).unwrap_or_default();
        let below = mounted
            .iter()
            .any(|folder| Path::new(path).starts_with(folder));
        ensure!(
            below || path == "/var/lib/writeback/resolver",
            "{line}: not mounted"
        );
    }
    Ok(())
}
