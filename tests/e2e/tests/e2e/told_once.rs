//! Why an operation was not applied is told by one service, once, in a line that can be read alone; the others log what they
//! did with it.

use anyhow::{Context as _, ensure};
use e2e::{Event, World};
use operation::Reason;
use serde_json::Value;

use crate::{people, traced::logged};

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// By this kind of service, and by nobody else.
fn expect_told_once(id: &str, reason: Reason, teller: &str) -> anyhow::Result<()> {
    let lines = logged(id)?;
    let telling: Vec<_> = lines
        .iter()
        .filter(|(_, line)| line.to_string().contains(reason.code()))
        .collect();
    let [(service, line)] = telling.as_slice() else {
        anyhow::bail!("{reason} is told {} times: {lines:#?}", telling.len());
    };
    ensure!(service.starts_with(teller), "{service} tells it");
    ensure!(text(line, "reason") == reason.code(), "{line}");
    for field in ["message", "detail", "trace_id", "span_id"] {
        ensure!(!text(line, field).is_empty(), "no {field}: {line}");
    }
    // what is no failure of ours calls nobody
    for (_, line) in &lines {
        ensure!(text(line, "level") == "INFO", "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_logged_once() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let forest = world.forests.last().context("the lab has no forest")?;
    let weak = Event::reset(forest.person(people::TOLD_ONCE)?, "short");
    let unknown = Event::unlock(&forest.named(people::UNKNOWN));
    for (event, status, reason, teller) in [
        (weak, 422, Reason::PasswordPolicy, "writer-"),
        (unknown, 404, Reason::UserNotFound, "resolver-"),
    ] {
        let answer = world.door.send(&event).await?;
        answer.expect_refused(status, reason)?;
        let id = answer.operation_id()?;
        // the ledger has it too: nobody is left who could say more
        world.door.ended_operation(id).await?;
        expect_told_once(id, reason, teller)?;
    }
    Ok(())
}
