//! `expirytime`: until when an operation is worth carrying out.

use e2e::{Event, World, fresh_password};
use operation::Reason;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::people;

fn from_now(ahead: Duration) -> anyhow::Result<Value> {
    Ok(json!((OffsetDateTime::now_utc() + ahead).format(&Rfc3339)?))
}

#[tokio::test]
async fn what_arrives_too_late_expires_and_writes_nothing() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::HURRIED)?;
        let old = forest.start_with_fresh_password(person).await?;
        // a write of five seconds no longer fits before the last
        for ahead in [-Duration::DAY, -Duration::SECOND, Duration::SECOND] {
            let new = fresh_password();
            let mut event = world.door.prepare(&Event::reset(person, &new))?;
            event["expirytime"] = from_now(ahead)?;
            let answer = world.door.send_json(&event).await?;
            answer.expect_refused(504, Reason::DeadlineExceeded)?;
            let shown = world.door.ended_operation(answer.operation_id()?).await?;
            assert_eq!(shown.text("status"), "expired", "{}", shown.body);
            forest.prove(person, &new, &old).await?;
        }

        // enough time, in whatever zone it is written
        let new = fresh_password();
        let mut event = world.door.prepare(&Event::reset(person, &new))?;
        let deadline = OffsetDateTime::now_utc() + Duration::seconds(20);
        let zone = time::UtcOffset::from_hms(5, 30, 0)?;
        event["expirytime"] = json!(deadline.to_offset(zone).format(&Rfc3339)?);
        let applied = world.door.send_json(&event).await?;
        applied.expect_applied()?;

        // a repeat after the deadline is still told how it ended
        event["expirytime"] = from_now(-Duration::MINUTE)?;
        let again = world.door.send_json(&event).await?;
        again.expect_applied()?;
        assert_eq!(again.operation_id()?, applied.operation_id()?);
        forest.prove(person, &old, &new).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_deadline_that_is_none_is_named() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let person = world.forest()?.person(people::UNTOUCHED)?;
    for expiry in [
        from_now(Duration::hours(24) + Duration::MINUTE)?,
        json!("9999-12-31T23:59:59Z"),
        json!("2026-11-21"),
        json!("2026-11-21T12:00:00"),
        json!("tomorrow"),
        json!(""),
        json!(1_763_726_400),
        json!({}),
    ] {
        let mut event = world
            .door
            .prepare(&Event::reset(person, &fresh_password()))?;
        event["expirytime"] = expiry.clone();
        world
            .door
            .send_json(&event)
            .await?
            .expect_malformed("expirytime")
            .map_err(|error| error.context(expiry.to_string()))?;
    }
    Ok(())
}
