//! Who may talk to whom.

use anyhow::{Context as _, ensure};
use chassis::config::Config;
use kubernetes::{Object, PodTemplate, manifests, pod_templates, read, rendered};
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
            // 443: the key set of operators' tokens
            "audit" => &[53, 443, 5432, 5671],
            "resolver" => &[53, 636, 5671, 9500],
            // the ledger, and the forests for `explain` and `permissions check`
            "console" => &[53, 636, 9500],
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

#[test]
fn nobody_leaves_for_anywhere() -> anyhow::Result<()> {
    for policy in rendered()? {
        if policy.kind() != "NetworkPolicy" {
            continue;
        }
        for rule in policy.at("/spec/egress").as_array().into_iter().flatten() {
            let to = rule["to"].as_array().map_or(0, Vec::len);
            ensure!(
                to > 0 && !ports(rule).is_empty(),
                "{} leads anywhere: {rule}",
                policy.name()
            );
            ensure!(
                !rule.to_string().contains("192.0.2."),
                "{}: the placeholder is still there",
                policy.name()
            );
        }
    }
    Ok(())
}

/// What is asked of a forest's domain controllers and its DNS goes to that forest's networks.
#[test]
fn every_forest_s_domain_controllers_and_dns_are_reached() -> anyhow::Result<()> {
    let folder = manifests()?.join("overlays/example");
    let config = Config::load(&folder.join("writeback.toml"))?;
    let objects = rendered()?;
    let mut with_dns = 0;
    for forest in &config.forests {
        for whose in ["writer", "readers"] {
            let name = format!("{whose}-{}", forest.id);
            let policy = objects
                .iter()
                .find(|object| object.is("NetworkPolicy", &name));
            let policy = policy.with_context(|| format!("no policy {name}"))?;
            let rules = policy.at("/spec/egress").as_array();
            for server in &forest.dns_servers {
                let block = format!("{}/32", server.ip());
                let reached = rules.into_iter().flatten().any(|rule| {
                    ports(rule) == [53, 53] && rule["to"][0]["ipBlock"]["cidr"] == block.as_str()
                });
                ensure!(
                    reached,
                    "{name} does not reach {server}: dns={block} in forests.txt"
                );
                with_dns += 1;
            }
        }
    }
    ensure!(with_dns > 0, "no forest of the example is found by DNS");
    Ok(())
}

/// The example's broker tells its metrics where Prometheus asks for them and is let in.
#[test]
fn the_broker_is_scraped_where_it_listens() -> anyhow::Result<()> {
    let examples = read(&manifests()?.join("examples/rabbitmq-cluster.yaml"))?;
    let find = |kind: &str| {
        let found = examples.iter().find(|object| object.kind() == kind);
        found.with_context(|| format!("no {kind} of the broker"))
    };
    let (cluster, policy) = (find("RabbitmqCluster")?, find("NetworkPolicy")?);
    // rabbitmq/cluster-operator, internal/resource/statefulset.go: the names and numbers of its ports
    let (name, number) = if cluster.at("/spec/tls/disableNonTLSListeners") == true {
        ("prometheus-tls", 15691)
    } else {
        ("prometheus", 15692)
    };
    let let_in = policy.at("/spec/ingress").as_array().into_iter().flatten();
    ensure!(
        let_in.flat_map(ports).any(|port| port == number),
        "{number} is not let in"
    );
    let objects = rendered()?;
    let monitor = objects
        .iter()
        .find(|object| object.is("PodMonitor", "rabbitmq"))
        .context("no monitor")?;
    let endpoints = monitor.at("/spec/podMetricsEndpoints").as_array();
    let endpoints = endpoints.context("nothing is scraped")?;
    for endpoint in endpoints {
        ensure!(endpoint["port"] == name, "{endpoint} is not open");
        if name == "prometheus-tls" {
            let ca = &endpoint["tlsConfig"]["ca"]["secret"]["name"];
            ensure!(
                endpoint["scheme"] == "https" && ca == cluster.at("/spec/tls/secretName"),
                "{endpoint} is not trusted"
            );
        }
    }
    ensure!(endpoints.len() == 2);
    let budget = find("PodDisruptionBudget")?;
    ensure!(
        budget.at("/spec/selector") == policy.at("/spec/podSelector")
            && budget.at("/spec/maxUnavailable") == 1,
        "two nodes of three may be drained at once"
    );
    Ok(())
}
