//! Who may talk to whom.

use anyhow::{Context as _, ensure};
use kubernetes::{Object, PodTemplate, pod_templates, rendered};
use serde_json::Value;

fn policies<'a>(objects: &'a [Object], pod: &'a PodTemplate<'_>) -> Vec<&'a Object> {
    objects
        .iter()
        .filter(|object| {
            object.kind() == "NetworkPolicy" && pod.is_selected_by(object.at("/spec/podSelector"))
        })
        .collect()
}

fn ports(rule: &Value) -> Vec<u64> {
    let ports = rule["ports"].as_array().into_iter().flatten();
    ports.filter_map(|port| port["port"].as_u64()).collect()
}

#[test]
fn what_is_not_listed_is_denied() -> anyhow::Result<()> {
    let objects = rendered()?;
    let denied = objects.iter().any(|object| {
        object.kind() == "NetworkPolicy"
            && object
                .at("/spec/podSelector")
                .as_object()
                .is_some_and(serde_json::Map::is_empty)
            && object.at("/spec/policyTypes") == &serde_json::json!(["Ingress", "Egress"])
            && object.at("/spec/ingress").is_null()
            && object.at("/spec/egress").is_null()
    });
    ensure!(denied, "nothing denies what is not listed");
    Ok(())
}

#[test]
fn writers_dial_out_and_nobody_dials_in() -> anyhow::Result<()> {
    let objects = rendered()?;
    let templates = pod_templates(&objects);
    let writers: Vec<_> = templates
        .iter()
        .filter(|pod| pod.owner.name().starts_with("writer-"))
        .collect();
    ensure!(writers.len() == 2, "{} forests", writers.len());
    for writer in writers {
        let whose = writer.owner.whose();
        let mut controllers = 0;
        for policy in policies(&objects, writer) {
            for rule in policy.at("/spec/ingress").as_array().into_iter().flatten() {
                ensure!(
                    policy.name() == "monitoring" && ports(rule) == [9090],
                    "{whose}: {} lets in {rule}",
                    policy.name()
                );
            }
            for rule in policy.at("/spec/egress").as_array().into_iter().flatten() {
                let to = rule["to"].as_array().context("egress to anywhere")?;
                ensure!(!to.is_empty(), "{whose}: {} leads anywhere", policy.name());
                let allowed = [53, 389, 636, 4317, 5671, 9500];
                ensure!(
                    !ports(rule).is_empty()
                        && ports(rule).iter().all(|port| allowed.contains(port)),
                    "{whose}: {rule}"
                );
                controllers += usize::from(ports(rule).contains(&636));
                ensure!(
                    !rule.to_string().contains("192.0.2."),
                    "{whose}: the placeholder is still there"
                );
            }
        }
        ensure!(
            controllers == 1,
            "{whose}: {controllers} ways to domain controllers"
        );
        let services = objects.iter().filter(|object| object.kind() == "Service");
        for service in services {
            let selector = serde_json::json!({ "matchLabels": service.at("/spec/selector") });
            ensure!(
                !writer.is_selected_by(&selector),
                "{whose} is behind {}",
                service.name()
            );
        }
    }
    Ok(())
}

#[test]
fn everybody_reaches_what_they_cannot_work_without() -> anyhow::Result<()> {
    let objects = rendered()?;
    for pod in pod_templates(&objects) {
        let reached: Vec<u64> = policies(&objects, &pod)
            .iter()
            .flat_map(|policy| policy.at("/spec/egress").as_array().into_iter().flatten())
            .flat_map(ports)
            .collect();
        let needed: &[u64] = match pod.owner.name() {
            "intake" => &[53, 443, 5671, 9500],
            "audit" => &[53, 5432, 5671],
            "resolver" => &[53, 636, 3269, 5671, 9500],
            name if name.starts_with("writer-") => &[53, 636, 5671, 9500],
            _ => &[53, 9500],
        };
        for port in needed {
            ensure!(
                reached.contains(port),
                "{} does not reach {port}",
                pod.owner.whose()
            );
        }
    }
    Ok(())
}
