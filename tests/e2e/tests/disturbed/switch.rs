//! The kill switch, for everybody and in one forest, while a hundred operations are under way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Ctl, Event, World, fresh_password, until};
use futures_util::stream::{self, StreamExt as _};
use operation::Reason;
use serde_json::Value;

use crate::settings::while_off_in;
use crate::{ALONE, people};

const UNDER_WAY: usize = 100;
const AT_ONCE: usize = 12;
/// So many are answered before the switch is pulled.
const BEFORE: usize = 20;

/// The entries of these operations: where each was admitted, and how it ended, each time it did.
struct Entries {
    admitted: BTreeMap<String, i64>,
    ends: BTreeMap<String, Vec<String>>,
}

async fn entries(ids: &[String]) -> anyhow::Result<Entries> {
    let database = sqlx::PgPool::connect(&lab::Lab::load()?.postgres).await?;
    let rows: Vec<(i64, String, String, String)> = sqlx::query_as(
        "SELECT sequence, kind, operation_id::text, content FROM entries \
         WHERE operation_id::text = ANY($1) ORDER BY sequence",
    )
    .bind(ids)
    .fetch_all(&database)
    .await?;
    let mut found = Entries {
        admitted: BTreeMap::new(),
        ends: BTreeMap::new(),
    };
    for (sequence, kind, id, content) in rows {
        if kind == "admitted" {
            found.admitted.insert(id, sequence);
            continue;
        }
        let content: Value = serde_json::from_str(&content)?;
        let outcome = &content["outcome"];
        if !outcome.is_null() {
            let reason = outcome["refusal"]["reason"].as_str().unwrap_or("applied");
            found.ends.entry(id).or_default().push(reason.to_owned());
        }
    }
    Ok(found)
}

/// The entry in which it was turned off.
async fn switched(note: &str) -> anyhow::Result<i64> {
    let database = sqlx::PgPool::connect(&lab::Lab::load()?.postgres).await?;
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT sequence, content FROM entries WHERE kind = 'settings'")
            .fetch_all(&database)
            .await?;
    let own = { rows.iter() }.find(|(_, content)| content.contains(note));
    Ok(own.context("no entry")?.0)
}

/// A hundred resets, one after the other on each of twenty people, and the switch among them.
async fn pulled(off_in: Option<&str>) -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let ctl = Ctl::of_the_lab()?;
    let mut persons = Vec::new();
    for number in people::UNDER_WAY {
        for forest in &world.forests {
            let person = forest.person(number)?;
            forest.start_with_fresh_password(person).await?;
            persons.push((forest.id().to_owned(), person.to_owned()));
        }
    }
    let answered = AtomicUsize::new(0);
    let send = async |(forest, person): &(String, String)| {
        // sealed to every forest: which one it is turns out on the way
        let event = world
            .door
            .prepare(&Event::reset(person, &fresh_password()))?;
        // a busy ledger may ask for the same event again
        let answer = until("an answer", Duration::from_mins(2), || async {
            let answer = world.door.send_json(&event).await?;
            Ok(answer.operation_id().is_ok().then_some(answer))
        })
        .await?;
        answered.fetch_add(1, Ordering::Relaxed);
        anyhow::Ok((forest.clone(), answer.operation_id()?.to_owned(), answer))
    };
    let crowd = stream::iter(persons.iter().cycle().take(UNDER_WAY))
        .map(&send)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    let note = format!("incident {}", uuid::Uuid::new_v4());
    let switch = async {
        until("some are answered", Duration::from_mins(1), || async {
            Ok((answered.load(Ordering::Relaxed) >= BEFORE).then_some(()))
        })
        .await?;
        while_off_in(&ctl, "writeback", off_in, &note, async {
            let under_way = UNDER_WAY.saturating_sub(answered.load(Ordering::Relaxed));
            ensure!(under_way > AT_ONCE, "only {under_way} were left under way");
            let mut after = Vec::new();
            for person in &persons {
                after.push(send(person).await?);
            }
            // nothing is turned on again before the last of the crowd has its answer
            until("all are answered", Duration::from_mins(2), || async {
                let all = UNDER_WAY + persons.len();
                Ok((answered.load(Ordering::Relaxed) >= all).then_some(()))
            })
            .await?;
            Ok(after)
        })
        .await
    };
    let (crowd, after) = tokio::join!(crowd, switch);
    let crowd = crowd.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let is_off = |forest: &str| off_in.is_none_or(|off| off == forest);
    for (forest, id, answer) in after? {
        if is_off(&forest) {
            answer.expect_refused(403, Reason::WritebackDisabled)?;
        } else {
            answer.expect_applied().with_context(|| id)?;
        }
    }

    let ids: Vec<String> = crowd.iter().map(|(_, id, _)| id.clone()).collect();
    assert_eq!(ids.len(), UNDER_WAY);
    let found = until("all have ended", Duration::from_mins(1), || async {
        let found = entries(&ids).await?;
        Ok((found.ends.len() == UNDER_WAY).then_some(found))
    })
    .await?;
    let switched = switched(&note).await?;
    let (mut before, mut later) = (0, 0);
    for (forest, id, _) in &crowd {
        let ends = found.ends.get(id).context("no end")?;
        assert_eq!(ends.len(), 1, "{id} ended more than once: {ends:?}");
        let admitted = *found.admitted.get(id).context("not admitted")?;
        let end = ends.first().map(String::as_str);
        if admitted > switched && is_off(forest) {
            later += 1;
            assert_eq!(
                end,
                Some("writeback-disabled"),
                "{id} was admitted after the switch"
            );
        } else {
            // on a busy machine one or another may end otherwise; that it ended once is what counts
            before += usize::from(end == Some("applied"));
        }
    }
    ensure!(
        before >= BEFORE / 2 && later > 0,
        "{before} applied, {later} refused"
    );
    Ok(())
}

#[tokio::test]
async fn switched_off_for_everybody_each_of_a_hundred_ends_once_and_none_begins_after()
-> anyhow::Result<()> {
    pulled(None).await
}

#[tokio::test]
async fn switched_off_in_one_forest_the_other_never_notices() -> anyhow::Result<()> {
    pulled(Some("corp")).await
}

#[tokio::test]
async fn a_forest_s_unlock_is_turned_off_alone_and_shown() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let ctl = Ctl::of_the_lab()?;
    let note = format!("change {}", uuid::Uuid::new_v4());
    let setting = "unlock-without-reset";
    while_off_in(&ctl, setting, Some("corp"), &note, async {
        for forest in &world.forests {
            let person = forest.person(people::UNDER_WAY.start)?;
            let old = forest.start_with_fresh_password(person).await?;
            forest.lock(person, &old).await?;
            let answer = world.door.send(&Event::unlock(person)).await?;
            let (_, shown) = ctl
                .json(&["settings", "show", "--forest", forest.id()])
                .await?;
            if forest.id() == "corp" {
                answer.expect_refused(403, Reason::UnlockDisabled)?;
                // the resolver found the forest: it is known of the operation
                let id = answer.operation_id()?;
                let (_, operation) = ctl.json(&["operations", "show", id]).await?;
                assert_eq!(operation["forest"], "corp", "{operation}");
                assert_eq!(shown["unlockWithoutReset"], false, "{shown}");
                let new = fresh_password();
                world
                    .door
                    .send(&Event::reset(person, &new))
                    .await?
                    .expect_applied()?;
            } else {
                answer.expect_applied()?;
                assert_eq!(shown["unlockWithoutReset"], true, "{shown}");
            }
            assert_eq!(shown["writeback"], true, "{shown}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_sealed_to_a_closed_forest_alone_is_not_even_published() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let ctl = Ctl::of_the_lab()?;
    let forest = world.forest()?;
    let person = forest.person(people::UNDER_WAY.start)?;
    forest.start_with_fresh_password(person).await?;
    let disabled = ctl.run(&["disable", "--forest", forest.id()]).await;
    let event = Event::reset(person, &fresh_password()).sealed_to(forest.id());
    let answer = world.door.send(&event).await;
    let enabled = ctl.run(&["enable", "--forest", forest.id()]).await;
    let (disabled, answer) = (disabled?.expect(0)?, answer?);
    enabled?.expect(0)?;
    let row = format!("writeback             off    forest {}", forest.id());
    ensure!(disabled.out.contains(&row), "{}", disabled.out);
    answer.expect_refused(403, Reason::WritebackDisabled)?;
    let operation = world.door.operation(answer.operation_id()?).await?;
    let steps = operation.body["steps"].as_array().map(Vec::len);
    assert_eq!(steps, Some(2), "accepted and refused: {}", operation.body);
    // a forest that is misspelt is not turned off in vain
    ctl.run(&["disable", "--forest", "crop"])
        .await?
        .expect_complaint(&["no forest crop", "corp", "emea"])?;
    world
        .door
        .send(&Event::reset(person, &fresh_password()))
        .await?
        .expect_applied()
}
