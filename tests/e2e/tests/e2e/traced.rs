//! One operation is one trace, from the caller through every service to the directory and back; and
//! its id is in the log of each.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context as _, ensure};
use e2e::{Collector, DomainController, Event, Seen, World, fresh_password, until};
use lab::{Lab, Place};
use serde_json::Value;

use crate::people;

const INTAKE: &str = "writeback-intake";
const AUDIT: &str = "writeback-audit";
const RESOLVER: &str = "writeback-resolver";
const WRITER: &str = "writeback-writer";
const ADMIT: &str = "writeback.v1.Admission/Admit";
const GONE: &str = "takes no spans";
const BACK: &str = "the trace collector is back";
const OPERATION_ID: &str = "writeback.operation.id";

/// Services send what they have once a second.
const SPANS_COME: Duration = Duration::from_secs(15);

fn trace(collector: &Collector, id: &str) -> Vec<Seen> {
    collector
        .all()
        .into_iter()
        .filter(|span| span.trace == id)
        .collect()
}

/// The spans along one way, each a child of the one before it.
fn way<'a>(trace: &'a [Seen], parent: &str, steps: &[(&str, &str)]) -> Option<Vec<&'a Seen>> {
    let Some(((service, name), later)) = steps.split_first() else {
        return Some(Vec::new());
    };
    trace
        .iter()
        .filter(|span| span.parent == parent && span.service == *service && span.name == *name)
        .find_map(|span| {
            let mut found = vec![span];
            found.extend(way(trace, &span.id, later)?);
            Some(found)
        })
}

/// Everywhere an operation goes. The forest's id is in the name of its queue.
fn ways(forest: &str) -> Vec<Vec<(&'static str, String)>> {
    let work = format!("forests:{forest}");
    let to_resolver = [
        (INTAKE, "POST /v1/events"),
        (INTAKE, "submit"),
        (INTAKE, "publish writeback.requests"),
        (RESOLVER, "process writeback.requests"),
    ]
    .map(|(service, name)| (service, name.to_owned()));
    let with = |before: &[(&'static str, String)], steps: &[(&'static str, &str)]| {
        let steps = steps
            .iter()
            .map(|(service, name)| (*service, (*name).to_owned()));
        before.iter().cloned().chain(steps).collect::<Vec<_>>()
    };
    let to_writer = with(
        &to_resolver,
        &[
            (RESOLVER, &format!("publish writeback.{work}")),
            (WRITER, &format!("process writeback.{work}")),
        ],
    );
    let at_the_door = to_resolver.get(..2).unwrap_or_default();
    vec![
        with(at_the_door, &[(INTAKE, ADMIT), (AUDIT, ADMIT)]),
        with(&to_resolver, &[(RESOLVER, "ldap search")]),
        with(
            &to_resolver,
            &[
                (RESOLVER, "publish writeback.outcomes"),
                (AUDIT, "process writeback.outcomes"),
            ],
        ),
        with(&to_writer, &[(WRITER, "ldap search")]),
        with(&to_writer, &[(WRITER, "ldap modify")]),
        with(
            &to_writer,
            &[
                (WRITER, "publish writeback.outcomes"),
                (AUDIT, "process writeback.outcomes"),
            ],
        ),
        with(
            &to_writer,
            &[
                (WRITER, "publish writeback.replies"),
                (INTAKE, "process writeback.replies"),
            ],
        ),
    ]
}

/// The whole trace, once everything of it has come: every way is there and no span has lost its parent.
async fn whole_trace(
    collector: &Collector,
    forest: &str,
    trace_id: &str,
    caller: &str,
) -> anyhow::Result<Vec<Seen>> {
    let missing = |trace: &[Seen]| {
        let ids: BTreeSet<&str> = trace.iter().map(|span| span.id.as_str()).collect();
        let lost = trace
            .iter()
            .filter(|span| span.parent != caller && !ids.contains(span.parent.as_str()))
            .map(|span| format!("the parent of {} {}", span.service, span.name));
        let untrodden = ways(forest).into_iter().filter_map(|steps| {
            let steps: Vec<_> = steps.iter().map(|(s, name)| (*s, name.as_str())).collect();
            way(trace, caller, &steps)
                .is_none()
                .then(|| format!("{steps:?}"))
        });
        lost.chain(untrodden).collect::<Vec<_>>()
    };
    let whole = until("the whole trace", SPANS_COME, || async {
        let trace = trace(collector, trace_id);
        Ok(missing(&trace).is_empty().then_some(trace))
    })
    .await;
    whole.with_context(|| {
        let trace = trace(collector, trace_id);
        let came: Vec<_> = trace
            .iter()
            .map(|span| {
                format!(
                    "{} {} {} < {}",
                    span.service, span.name, span.id, span.parent
                )
            })
            .collect();
        format!("missing: {:#?}, of what came: {came:#?}", missing(&trace))
    })
}

fn by_the_conventions(trace: &[Seen], forest: &DomainController) -> anyhow::Result<()> {
    for span in trace {
        let (kind, needed): (i32, &[&str]) = if span.name.starts_with("publish ") {
            (
                4,
                &[
                    "messaging.system",
                    "messaging.destination.name",
                    "messaging.operation.type",
                ],
            )
        } else if span.name.starts_with("process ") {
            (
                5,
                &[
                    "messaging.system",
                    "messaging.destination.name",
                    OPERATION_ID,
                ],
            )
        } else if span.name.starts_with("ldap ") {
            (3, &["server.address", "server.port", "ldap.operation"])
        } else if span.name.starts_with("POST ") {
            (
                2,
                &[
                    "http.request.method",
                    "http.route",
                    "http.response.status_code",
                    OPERATION_ID,
                ],
            )
        } else if span.name.starts_with("writeback.v1.") && span.service == AUDIT {
            (
                2,
                &["rpc.system", "rpc.service", "rpc.method", OPERATION_ID],
            )
        } else if span.name.starts_with("writeback.v1.") {
            (
                3,
                &[
                    "rpc.system",
                    "rpc.service",
                    "rpc.method",
                    "rpc.grpc.status_code",
                ],
            )
        } else {
            ensure!(span.name == "submit", "a span nobody expects: {}", span.raw);
            (1, &[OPERATION_ID])
        };
        ensure!(span.kind == kind, "{} is of kind {}", span.name, span.kind);
        for name in needed {
            ensure!(
                !span.attribute(name).is_empty(),
                "{name} is missing: {}",
                span.raw
            );
        }
        ensure!(!span.failed, "nothing failed, but: {}", span.raw);
    }
    let asked: Vec<_> = trace
        .iter()
        .filter(|span| span.name == "ldap modify")
        .map(|span| {
            format!(
                "ldaps://{}:{}",
                span.attribute("server.address"),
                span.attribute("server.port")
            )
        })
        .collect();
    assert_eq!(
        asked,
        [forest.known_as()],
        "one modify, at the forest's domain controller"
    );
    Ok(())
}

/// A line of a service's log about this operation.
pub(crate) fn logged(id: &str) -> anyhow::Result<Vec<(String, Value)>> {
    let place = Place::of_this_repository()?;
    let mut found = Vec::new();
    for service in Lab::load()?.services {
        let path = place
            .directory()
            .join("log")
            .join(format!("{}.log", service.name));
        for line in fs::read_to_string(&path)?.lines() {
            let line: Value = serde_json::from_str(line)
                .with_context(|| format!("{}: not a line of JSON: {line}", path.display()))?;
            if line
                .get("operation_id")
                .is_some_and(|operation| operation == id)
            {
                found.push((service.name.clone(), line));
            }
        }
    }
    Ok(found)
}

#[tokio::test]
async fn one_operation_is_one_trace() -> anyhow::Result<()> {
    let world = World::enter().await?;
    without_a_collector(&world).await?;
    let collector = Collector::listen().await?;
    // the first: other tests kill the last one's writers, and spans die with them
    let forest = world.forest()?;
    let person = forest.person(people::TRACED)?;
    let old = forest.start_with_fresh_password(person).await?;
    let new = fresh_password();
    let trace_id = uuid::Uuid::new_v4().simple().to_string();
    let caller = "00f067aa0ba902b7";
    let answer = world
        .door
        .send_in_trace(
            &Event::reset(person, &new),
            &format!("00-{trace_id}-{caller}-01"),
        )
        .await?;
    answer.expect_applied()?;
    let id = answer.operation_id()?;

    let trace = whole_trace(&collector, forest.id(), &trace_id, caller).await?;
    by_the_conventions(&trace, forest)?;
    for span in &trace {
        let operation = span.attribute(OPERATION_ID);
        ensure!(
            operation.is_empty() || operation == id,
            "another operation's: {}",
            span.raw
        );
    }
    // found by the id alone, in every service
    let services: BTreeSet<String> = collector
        .all()
        .into_iter()
        .filter(|span| span.attribute(OPERATION_ID) == id)
        .map(|span| span.service)
        .collect();
    assert_eq!(
        services,
        BTreeSet::from([AUDIT, INTAKE, RESOLVER, WRITER].map(str::to_owned))
    );

    // nothing of anybody's in any trace, those of the tests beside this one included
    let login = person.split('@').next().unwrap_or(person);
    for span in collector.all() {
        for secret in [person, login, old.as_str(), new.as_str(), "DC=", "CN=", "@"] {
            ensure!(
                !span.raw.contains(secret),
                "{secret} is in a span: {}",
                span.raw
            );
        }
    }

    let lines = logged(id)?;
    for kind in ["intake", "audit", "resolver", "writer"] {
        let line = lines
            .iter()
            .find(|(service, _)| service.starts_with(kind))
            .with_context(|| format!("no line about {id} in the log of {kind}: {lines:#?}"))?;
        assert_eq!(line.1["trace_id"], trace_id, "{line:?}");
        assert_eq!(line.1["service"], line.0, "{line:?}");
    }
    told_once()
}

/// How often a service's log says this.
fn says(service: &str, what: &str) -> anyhow::Result<usize> {
    let place = Place::of_this_repository()?;
    let path = place.directory().join("log").join(format!("{service}.log"));
    let text = fs::read_to_string(&path)?;
    Ok(text.lines().filter(|line| line.contains(what)).count())
}

/// While nobody collects, an operation is carried out as ever, and the loss of its trace is told of.
async fn without_a_collector(world: &World) -> anyhow::Result<()> {
    let forest = world.forest()?;
    let person = forest.person(people::TRACED)?;
    forest.start_with_fresh_password(person).await?;
    let event = Event::reset(person, &fresh_password());
    world.door.send(&event).await?.expect_applied()?;
    until("the loss of spans is told of", SPANS_COME, || async {
        Ok((says("intake-1", GONE)? > 0).then_some(()))
    })
    .await
}

/// Each time the collector goes, each process says so once.
fn told_once() -> anyhow::Result<()> {
    for service in Lab::load()?.services {
        let gone = says(&service.name, GONE)?;
        let chances = says(&service.name, "\"message\":\"started\"")? + says(&service.name, BACK)?;
        ensure!(
            gone <= chances,
            "{}: {gone} warnings, {chances} chances",
            service.name
        );
    }
    Ok(())
}
