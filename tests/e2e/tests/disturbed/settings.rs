//! What operators turn off is off for the next operation, everywhere, and the ledger has who did it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::audit::OPERATOR;
use e2e::{Broker, Ctl, DomainController, Door, Event, World, fresh_password, until};
use operation::Reason;
use serde_json::Value;

use crate::ALONE;

const REFUSED: usize = 48;
const STILL_WORKS: usize = 49;

/// Turns a setting, for everybody or in one forest, and says why.
pub(crate) async fn set(
    ctl: &Ctl,
    setting: &str,
    value: &str,
    forest: Option<&str>,
    note: &str,
) -> anyhow::Result<Value> {
    let mut arguments = vec!["settings", "set", setting, value, "--note", note];
    if let Some(forest) = forest {
        arguments.extend(["--forest", forest]);
    }
    let (code, settings) = ctl.json(&arguments).await?;
    ensure!(code == 0, "{arguments:?}: {code} {settings}");
    assert_eq!(settings["changedBy"], OPERATOR, "{settings}");
    Ok(settings)
}

/// Does something while the setting is off, and turns it on again however that ended.
async fn while_off<T>(
    ctl: &Ctl,
    setting: &str,
    act: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let note = format!("change {}", uuid::Uuid::new_v4());
    while_off_in(ctl, setting, None, &note, act).await
}

/// The same in one forest, or for everybody.
pub(crate) async fn while_off_in<T>(
    ctl: &Ctl,
    setting: &str,
    forest: Option<&str>,
    note: &str,
    act: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let off = set(ctl, setting, "off", forest, note).await?;
    let outcome = act.await;
    let on = set(ctl, setting, "on", forest, "back").await;
    let outcome = outcome?;
    on?;
    in_the_ledger(note, &off).await?;
    Ok(outcome)
}

/// The entry of this change: who and when, as they were told, and what.
async fn in_the_ledger(note: &str, told: &Value) -> anyhow::Result<()> {
    let database = sqlx::PgPool::connect(&lab::Lab::load()?.postgres).await?;
    let contents: Vec<String> =
        sqlx::query_scalar("SELECT content FROM entries WHERE kind = 'settings' ORDER BY sequence")
            .fetch_all(&database)
            .await?;
    let contents = contents
        .iter()
        .map(|content| serde_json::from_str(content))
        .collect::<Result<Vec<Value>, _>>()?;
    let own: Vec<&Value> = { contents.iter() }
        .filter(|content| content["note"] == note)
        .collect();
    let [entry] = own.as_slice() else {
        anyhow::bail!("not one entry of {note}: {own:?}");
    };
    assert_eq!(entry["changedBy"], OPERATOR);
    for member in ["writeback", "unlockWithoutReset"] {
        assert_eq!(entry[member], told[member], "{member}");
    }
    let micros = entry["changedAt"].as_i64().context("no time")?;
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)?;
    let age = time::OffsetDateTime::now_utc() - at;
    ensure!(
        age > time::Duration::ZERO && age < time::Duration::minutes(2),
        "{age}"
    );
    Ok(())
}

fn every_kind(person: &str, current: &str, new: &str) -> [Event; 4] {
    [
        Event::reset(person, new),
        Event::reset(person, new).by_administrator(),
        Event::change(person, current, new),
        Event::unlock(person),
    ]
}

/// Everything is refused at this door, and recorded as refused. Returns the operations.
async fn refuses_everything(door: &Door, forest: &DomainController) -> anyhow::Result<Vec<String>> {
    let ctl = Ctl::of_the_lab()?;
    let person = forest.person(REFUSED)?;
    let old = forest.start_with_fresh_password(person).await?;
    let new = fresh_password();
    let mut operations = Vec::new();
    for event in every_kind(person, &old, &new) {
        let answer = door.send(&event).await?;
        answer.expect_refused(403, Reason::WritebackDisabled)?;
        assert_eq!(answer.text("eventId"), "SSPR_0010");
        assert_eq!(answer.text("actor"), "administrator");
        let id = answer.operation_id()?.to_owned();
        let (code, shown) = ctl.json(&["operations", "show", &id]).await?;
        ensure!(
            code == 1 && shown["reason"] == "writeback-disabled",
            "{shown}"
        );
        let steps = shown["steps"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let last = steps.last().context("no step")?;
        ensure!(
            last["step"] == "refused" && last["detail"] == "by the settings",
            "{shown}"
        );
        operations.push(id);
        // the same event again is the same refusal, not another operation
        let again = door.send(&event).await?;
        again.expect_refused(403, Reason::WritebackDisabled)?;
        assert_eq!(
            Some(again.operation_id()?),
            operations.last().map(String::as_str)
        );
    }
    let answer = door
        .send_without_waiting(&Event::reset(person, &new))
        .await?;
    let ended = door.ended_operation(answer.operation_id()?).await?;
    assert_eq!(ended.text("reason"), "writeback-disabled", "{}", ended.body);
    operations.push(answer.operation_id()?.to_owned());
    forest.prove(person, &new, &old).await?;
    Ok(operations)
}

#[tokio::test]
async fn with_writeback_off_nothing_is_taken_at_any_door_and_nothing_published()
-> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let doors = World::every_door().await?;
    ensure!(doors.len() >= 2, "one door is not every door");
    let ctl = Ctl::of_the_lab()?;
    let overheard = Broker::of_the_lab()?.overhear().await?;

    let refused = Box::pin(while_off(&ctl, "writeback", async {
        let mut refused = Vec::new();
        for door in &doors {
            for forest in &world.forests {
                refused.extend(refuses_everything(door, forest).await?);
            }
        }
        let (_, shown) = ctl.json(&["settings", "show"]).await?;
        assert_eq!(shown["writeback"], false, "{shown}");
        Ok(refused)
    }))
    .await?;

    // on again: the very next one is taken, and what the broker then tells of it comes after anything before
    let mut taken = Vec::new();
    for door in &doors {
        for forest in &world.forests {
            let person = forest.person(STILL_WORKS)?;
            let old = forest.start_with_fresh_password(person).await?;
            let new = fresh_password();
            let answer = door.send(&Event::reset(person, &new)).await?;
            answer.expect_applied()?;
            forest.prove(person, &old, &new).await?;
            taken.push(answer.operation_id()?.to_owned());
        }
    }
    let mut published = Vec::new();
    for id in &taken {
        while !published
            .iter()
            .any(|message: &e2e::Published| message.is_about(id))
        {
            let heard = until(
                "the broker tells of it",
                Duration::from_secs(10),
                || async {
                    let heard = overheard.take().await?;
                    Ok((!heard.is_empty()).then_some(heard))
                },
            );
            published.extend(heard.await?);
        }
    }
    for id in &refused {
        ensure!(
            !published.iter().any(|message| message.is_about(id)),
            "{id} was refused and published"
        );
    }
    overheard.end().await
}

#[tokio::test]
async fn with_unlock_off_only_a_reset_unlocks() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let doors = World::every_door().await?;
    let ctl = Ctl::of_the_lab()?;
    Box::pin(while_off(&ctl, "unlock-without-reset", async {
        for forest in &world.forests {
            let person = forest.person(REFUSED)?;
            let old = forest.start_with_fresh_password(person).await?;
            forest.lock(person, &old).await?;
            for door in &doors {
                let answer = door.send(&Event::unlock(person)).await?;
                answer.expect_refused(403, Reason::UnlockDisabled)?;
            }
            ensure!(!forest.opens(person, &old).await?, "{person} was unlocked");
            let new = fresh_password();
            for door in doors.iter().take(1) {
                door.send(&Event::reset(person, &new))
                    .await?
                    .expect_applied()?;
            }
            forest.prove(person, &old, &new).await?;
            let newer = fresh_password();
            for door in doors.iter().skip(1).take(1) {
                let change = Event::change(person, &new, &newer);
                door.send(&change).await?.expect_applied()?;
                forest.prove(person, &new, &newer).await?;
            }
        }
        let (_, shown) = ctl.json(&["settings", "show"]).await?;
        assert_eq!(shown["unlockWithoutReset"], false, "{shown}");
        assert_eq!(shown["writeback"], true, "{shown}");
        Ok(())
    }))
    .await?;
    for forest in &world.forests {
        let person = forest.person(STILL_WORKS)?;
        let old = forest.start_with_fresh_password(person).await?;
        forest.lock(person, &old).await?;
        world
            .door
            .send(&Event::unlock(person))
            .await?
            .expect_applied()?;
        ensure!(
            forest.opens(person, &old).await?,
            "{person} is still locked"
        );
    }
    Ok(())
}

/// However many are on their way: whoever is sent after the operator was answered is refused.
#[tokio::test]
async fn no_operation_slips_through_after_the_switch() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let doors = World::every_door().await?;
    let ctl = Ctl::of_the_lab()?;
    let nobody = world.forest()?.named("nobody.in.the.crowd");
    let send = async |door: &Door| door.send(&Event::unlock(&nobody)).await;
    for _ in 0..3 {
        let crowd = futures_util::future::try_join_all(doors.iter().cycle().take(24).map(&send));
        let switched = while_off(&ctl, "writeback", async {
            let after = doors.iter().cycle().take(24).map(&send);
            futures_util::future::try_join_all(after).await
        });
        let (crowd, after) = tokio::try_join!(crowd, switched)?;
        for answer in after {
            answer.expect_refused(403, Reason::WritebackDisabled)?;
        }
        for answer in crowd {
            ensure!(
                ["user-not-found", "writeback-disabled"].contains(&answer.text("reason")),
                "{}",
                answer.body
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn who_changes_a_setting_is_who_the_token_says() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let ctl = Ctl::of_the_lab()?;
    let token = e2e::audit::operator_token("bo@lab.example", "ledger.read settings.write")?;
    let file = lab::Place::of_this_repository()?.path("bo.token");
    std::fs::write(&file, token)?;
    let file = file.to_str().context("a path that is no text")?;
    let set = |value| {
        let by_bo = ["--token-file", file, "--json", "settings", "set"];
        // what used to be a claim of who did it is no more than a note
        let what = ["unlock-without-reset", value, "--by", "Somebody Else"];
        [&by_bo[..], &what].concat()
    };
    let run = ctl.run(&set("off")).await;
    let back = ctl.run(&set("on")).await;
    let (off, back) = (run?.expect(0)?.json()?, back?.expect(0)?.json()?);
    for settings in [&off, &back] {
        assert_eq!(settings["changedBy"], "bo@lab.example", "{settings}");
        assert_eq!(settings["note"], "Somebody Else", "{settings}");
    }
    let shown = ctl.run(&["settings", "show"]).await?.expect(0)?;
    for part in [
        "unlock-without-reset",
        "on",
        "changed ",
        "by bo@lab.example",
    ] {
        ensure!(shown.out.contains(part), "no {part} in\n{}", shown.out);
    }
    // what is so already is no change, and no entry
    let arguments = ["settings", "set", "writeback", "on"];
    let (_, again) = ctl.json(&arguments).await?;
    assert_eq!(again["changedAt"], back["changedAt"]);
    assert_eq!(again["changedBy"], "bo@lab.example");
    std::fs::remove_file(file)?;
    Ok(())
}
