//! Keys are replaced under load: nobody who seals, and nobody who waits, notices.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::audit::OPERATOR;
use e2e::{Ctl, DomainController, Event, World, fresh_password, until};
use futures_util::future::try_join_all;
use operation::Reason;
use serde_json::Value;

use crate::{ALONE, people};

const ROTATIONS: usize = 3;

/// Resets one after the other, each sealed to the keys as one intake has them, sent to another.
pub(crate) async fn resets(
    forest: &DomainController,
    number: usize,
    stop: &AtomicBool,
    applied: &AtomicUsize,
) -> anyhow::Result<()> {
    let replicas = lab::Lab::load()?.intake.urls;
    let person = forest.person(number)?;
    for turn in number.. {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let world = World::enter().await?;
        let event = world
            .door
            .prepare(&Event::reset(person, &fresh_password()))?;
        let replica = { replicas.iter() }
            .cycle()
            .nth(turn % 7)
            .context("no intake")?;
        let answer = world.door.send_to(replica, &event).await?;
        answer.expect_applied()?;
        applied.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn keys_of(ctl: &Ctl, forest: &str, state: &str) -> anyhow::Result<Vec<String>> {
    let (code, listed) = ctl.json(&["keys", "list", "--forest", forest]).await?;
    ensure!(code == 0, "{listed}");
    let keys = listed["keys"].as_array().context("no keys")?;
    let kids = { keys.iter() }
        .filter(|key| key["state"] == state && key["privateKey"] == true)
        .filter_map(|key| key["kid"].as_str().map(str::to_owned));
    Ok(kids.collect())
}

/// The acts in the ledger that name this key.
async fn acts(kid: &str) -> anyhow::Result<Vec<(String, String)>> {
    let database = sqlx::PgPool::connect(&lab::Lab::load()?.postgres).await?;
    let contents: Vec<String> =
        sqlx::query_scalar("SELECT content FROM entries WHERE kind = 'keys' ORDER BY sequence")
            .fetch_all(&database)
            .await?;
    let mut acts = Vec::new();
    for content in contents.iter().filter(|content| content.contains(kid)) {
        let content: Value = serde_json::from_str(content)?;
        let text = |name: &str| content[name].as_str().unwrap_or_default().to_owned();
        acts.push((text("act"), text("by")));
    }
    Ok(acts)
}

#[tokio::test]
async fn keys_are_rotated_under_load_and_no_operation_fails() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forest()?;
    let id = forest.id();
    let ctl = Ctl::of_the_lab()?;
    for number in people::UNDER_WAY {
        forest
            .start_with_fresh_password(forest.person(number)?)
            .await?;
    }
    let before = keys_of(&ctl, id, "current").await?;
    ensure!(!before.is_empty(), "no keys");
    let (stop, applied) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = try_join_all(
        people::UNDER_WAY
            .take(6)
            .map(|number| resets(forest, number, &stop, &applied)),
    );
    let rotate = async {
        let rotated = async {
            for _ in 0..ROTATIONS {
                let so_far = applied.load(Ordering::Relaxed);
                until("some more are applied", Duration::from_mins(1), || async {
                    Ok((applied.load(Ordering::Relaxed) > so_far + 12).then_some(()))
                })
                .await?;
                let rotate = ["keys", "rotate", "--forest", id, "--overlap", "1h"];
                let (code, told) = ctl.json(&rotate).await?;
                ensure!(code == 0 && told["ledger"] == "recorded", "{code} {told}");
                let made = told["forests"][0]["made"].as_array().map(Vec::len);
                assert_eq!(made, Some(before.len()), "{told}");
            }
            let so_far = applied.load(Ordering::Relaxed);
            until(
                "some are applied after the last",
                Duration::from_mins(1),
                || async { Ok((applied.load(Ordering::Relaxed) > so_far + 24).then_some(())) },
            )
            .await
        };
        let rotated = rotated.await;
        stop.store(true, Ordering::Relaxed);
        rotated
    };
    tokio::try_join!(load, rotate)?;
    let now = keys_of(&ctl, id, "current").await?;
    assert_eq!(now.len(), before.len());
    ensure!(
        before.iter().all(|kid| !now.contains(kid)),
        "{before:?} {now:?}"
    );

    // who kept the keys from before is still understood; the last of them is the one sealed to
    let person = forest.person(people::UNDER_WAY.start)?;
    let sent = world
        .door
        .send(&Event::reset(person, &fresh_password()))
        .await?;
    sent.expect_applied()?;
    let old = before.last().context("no key")?;
    // a rotation may have made it, in another test
    let mut acts_of_old = acts(old).await?;
    let retire = ["keys", "retire", "--forest", id, "--key", old];
    let kept = ctl.run(&retire).await?.expect(1)?;
    ensure!(kept.err.contains("inside its overlap"), "{kept:?}");
    // only now is what was sealed to it not understood any more, and told so
    let private = lab::Place::of_this_repository()?.path(format!("keys/{id}/{old}.pem"));
    ensure!(private.exists());
    let (code, gone) = ctl.json(&[&retire[..], &["--force"]].concat()).await?;
    ensure!(
        code == 0 && gone["retired"][0]["kid"] == *old,
        "{code} {gone}"
    );
    ensure!(!private.exists());
    until(
        "the old key is not understood",
        Duration::from_secs(20),
        || async {
            let event = Event::reset(person, &fresh_password()).sealed_to(id);
            let answer = world.door.send(&event).await?;
            if answer.status == 200 {
                return Ok(None);
            }
            answer.expect_refused(422, Reason::SealInvalid)?;
            Ok(Some(()))
        },
    )
    .await?;
    let fresh = World::enter().await?;
    fresh
        .door
        .send(&Event::reset(person, &fresh_password()))
        .await?
        .expect_applied()?;

    let by_operator = |act: &str| (act.to_owned(), OPERATOR.to_owned());
    acts_of_old.push(by_operator("retired"));
    assert_eq!(acts(old).await?, acts_of_old);
    assert_eq!(
        acts(now.last().context("no key")?).await?,
        [by_operator("rotated")]
    );
    ctl.run(&["ledger", "verify"]).await?.expect(0)?;
    Ok(())
}
