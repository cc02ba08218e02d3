//! What the services tell at `/metrics` is what `docs/metrics.md` says, all of it, and no label has a
//! value of anybody's making.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use e2e::{
    Event, World, fresh_password,
    scrape::{self, Family},
    until,
};
use lab::{Lab, Place};
use operation::{Kind, Reason, Status};

use crate::people;

/// Of a lab that has just started: what heartbeats tell, and of a domain controller that was asked.
const TOLD_WITHIN: Duration = Duration::from_secs(30);
const KINDS: [&str; 4] = ["intake", "audit", "resolver", "writer"];
const RPC_METHODS: [&str; 20] = [
    "Ready",
    "Overtake",
    "TakeUp",
    "Claim",
    "Predecessor",
    "Admit",
    "Await",
    "Record",
    "GetOperation",
    "ListOperations",
    "Watch",
    "Precedents",
    "Export",
    "Head",
    "RecordKeyAct",
    "Verify",
    "GetSettings",
    "SetSettings",
    "Status",
    "_OTHER",
];

/// A row of the document's table.
#[derive(Debug)]
struct Documented {
    kind: String,
    labels: BTreeSet<String>,
    services: BTreeSet<String>,
    /// These tell it only once it has happened to them.
    perhaps: BTreeSet<String>,
    help: String,
}

fn documented() -> anyhow::Result<BTreeMap<String, Documented>> {
    let path = Place::of_this_repository()?
        .repository()
        .join("docs/metrics.md");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let words = |cell: &str| -> BTreeSet<String> {
        cell.split([',', ' ', '`'])
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, services, help] = cells.as_slice() else {
            continue;
        };
        let Some(name) = name
            .strip_prefix('`')
            .and_then(|name| name.strip_suffix('`'))
        else {
            continue;
        };
        let services = match *services {
            "all" => KINDS.map(str::to_owned).into(),
            some => words(some),
        };
        let (perhaps, services) = services
            .into_iter()
            .partition(|service: &String| service.starts_with('('));
        let row = Documented {
            kind: (*kind).to_owned(),
            labels: words(labels),
            services,
            perhaps,
            help: (*help).to_owned(),
        };
        ensure!(
            rows.insert(name.to_owned(), row).is_none(),
            "{name} is documented twice"
        );
    }
    Ok(rows)
}

/// Whether a label may have this value. A label that is not listed here may have none.
fn allowed(label: &str, value: &str, lab: &Lab) -> bool {
    let number = |range: std::ops::Range<u16>| value.parse().is_ok_and(|n| range.contains(&n));
    let one_of = |words: &[&str]| words.contains(&value);
    let forest = |id: &str| lab.forests.iter().any(|forest| forest.id == id);
    match label {
        "kind" => Kind::ALL.iter().any(|kind| kind.as_str() == value),
        "status" => Status::ALL.iter().any(|status| status.as_str() == value),
        "reason" => {
            value.is_empty()
                || Reason::ALL.iter().any(|reason| reason.code() == value)
                || one_of(&["delivery-limit", "rejected", "maxlen"])
                || value == "expired"
        }
        "forest" => value.is_empty() || forest(value),
        "server_address" => lab.forests.iter().any(|forest| {
            forest
                .known_as
                .trim_start_matches("ldaps://")
                .split(':')
                .next()
                == Some(value)
        }),
        "ldap_operation" => one_of(&["connect", "bind", "root-dse", "search", "modify"]),
        "state" => one_of(&["closed", "half-open", "open", "alive", "missing"]),
        "error_type" => one_of(&[
            "",
            "refused",
            "not-sent",
            "lost",
            "unreachable",
            "untrusted",
            "unroutable",
            "not-connected",
            "unknown",
        ]),
        "messaging_destination_name" => {
            one_of(&[
                "writeback.requests",
                "writeback.outcomes",
                "writeback.replies",
                "writeback.expired",
                "writeback.health",
            ]) || value.strip_prefix("writeback.forests:").is_some_and(forest)
        }
        "settled" => one_of(&["ack", "reject"]),
        "gate" => one_of(&["broker", "database", "ledger"]),
        "section" => one_of(&["audit", "intake", "ledger"]),
        "http_request_method" => one_of(&[
            "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "_OTHER",
        ]),
        "http_route" => one_of(&[
            "/v1/events",
            "/v1/operations/{id}",
            "/.well-known/jwks.json",
            "/openapi.json",
            "_OTHER",
        ]),
        "http_response_status_code" => number(100..600),
        "rpc_service" => one_of(&[
            "writeback.v1.Admission",
            "writeback.v1.Health",
            "writeback.v1.Keys",
            "writeback.v1.Ledger",
            "writeback.v1.Settings",
            "_OTHER",
        ]),
        "rpc_method" => one_of(&RPC_METHODS),
        "rpc_grpc_status_code" => number(0..17),
        "answer" => one_of(&[
            "admitted",
            "duplicate",
            "ended",
            "throttled",
            "found",
            "nothing",
            "unavailable",
        ]),
        "verdict" => one_of(&["expire", "hand-on", "give-back", "reconcile"]),
        "why" => one_of(&["answer-lost", "redelivered"]),
        "found" => one_of(&["applied", "not-applied"]),
        "result" => {
            one_of(&["committed", "rejected", "unknown", "exported", "lost"])
                || one_of(&["succeeded", "failed"])
        }
        "domain" => lab.forests.iter().any(|forest| forest.domain == value),
        "service" => KINDS.contains(&value),
        "part" => {
            one_of(&["all", "broker", "ledger", "outcomes", "forest"]) || KINDS.contains(&value)
        }
        "what" => one_of(&["everybody", "changes"]),
        "by" => one_of(&["index", "search"]),
        "service_name" => KINDS
            .iter()
            .any(|kind| value == format!("writeback-{kind}")),
        "service_instance_id" => lab.services.iter().any(|service| service.name == value),
        "service_version" => value == env!("CARGO_PKG_VERSION"),
        _ => false,
    }
}

/// By kind of service, what its replicas tell together.
async fn scraped(lab: &Lab) -> anyhow::Result<BTreeMap<&'static str, BTreeMap<String, Family>>> {
    let client = reqwest::Client::new();
    let mut all: BTreeMap<_, BTreeMap<String, Family>> = BTreeMap::new();
    for service in &lab.services {
        let kind = KINDS
            .into_iter()
            .find(|kind| service.name.starts_with(kind))
            .with_context(|| format!("{} is of no kind", service.name))?;
        let page = client
            .get(format!("{}/metrics", service.admin))
            .send()
            .await?;
        let page = page.error_for_status()?.text().await?;
        let together = all.entry(kind).or_default();
        for (name, family) in scrape::parse(&page).context(service.name.clone())? {
            let known = together.entry(name).or_default();
            (known.kind, known.help) = (family.kind, family.help);
            for (label, values) in family.labels {
                known.labels.entry(label).or_default().extend(values);
            }
        }
    }
    Ok(all)
}

#[tokio::test]
async fn what_is_measured_is_documented_and_bounded() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::MEASURED)?;
        forest.start_with_fresh_password(person).await?;
        let event = Event::reset(person, &fresh_password());
        let answer = world.door.send(&event).await?;
        answer.expect_applied()?;
        world.door.operation(answer.operation_id()?).await?;
    }
    let lab = Lab::load()?;
    let documented = documented()?;
    let wrong = RefCell::new(Vec::new());
    let told = until(
        "what is told is what is documented",
        TOLD_WITHIN,
        || async {
            let found = differences(&documented, &scraped(&lab).await?, &lab);
            let none = found.is_empty();
            wrong.replace(found);
            Ok(none.then_some(()))
        },
    )
    .await;
    let wrong = wrong.into_inner();
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    told
}

/// What is told and not documented so, and the other way round.
fn differences(
    documented: &BTreeMap<String, Documented>,
    scraped: &BTreeMap<&'static str, BTreeMap<String, Family>>,
    lab: &Lab,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (service, families) in scraped {
        for (name, family) in families {
            let Some(row) = documented.get(name).filter(|row| {
                row.services.contains(*service) || row.perhaps.contains(&format!("({service})"))
            }) else {
                wrong.push(format!(
                    "not documented: | `{name}` | {} | {} | {service} | {} |",
                    family.kind,
                    family.labels.keys().cloned().collect::<Vec<_>>().join(", "),
                    family.help
                ));
                continue;
            };
            if row.kind != family.kind || row.help != family.help {
                wrong.push(format!(
                    "{service} {name} is a {}: {}",
                    family.kind, family.help
                ));
            }
            for (label, values) in &family.labels {
                if !row.labels.contains(label) {
                    wrong.push(format!("{service} {name} has a label {label}"));
                }
                for value in values.iter().filter(|value| !allowed(label, value, lab)) {
                    wrong.push(format!("{service} {name} has {label}=\"{value}\""));
                }
            }
        }
    }
    for (name, row) in documented {
        for service in &row.services {
            let family = scraped
                .get(service.as_str())
                .and_then(|families| families.get(name));
            match family {
                None => wrong.push(format!("{service} does not tell {name}")),
                Some(family) => wrong.extend(
                    row.labels
                        .iter()
                        .filter(|label| !family.labels.contains_key(*label))
                        .map(|label| format!("{service} {name} has no label {label}")),
                ),
            }
        }
    }
    wrong
}
