//! A forest is added to the running product and taken out again, and the others never notice; a configuration that does
//! not hold changes nothing.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, ensure};
use e2e::{Answer, DomainController, Event, Measures, Services, World, fresh_password, until};
use futures_util::{
    future::try_join_all,
    stream::{FuturesUnordered, StreamExt as _},
};
use lab::{Lab, Place};
use operation::Reason;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::{ALONE, people};

/// From the change of the configuration.
const WORKS_WITHIN: Duration = Duration::from_secs(10);
/// No operation of another forest may take longer, though a domain is being provisioned on the same machine.
const BOUND: Duration = Duration::from_secs(5);
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(15);
/// One after the other while something changes; a busy machine manages no more.
pub(crate) const FEWEST: usize = 5;
const REJECTED: &str = "writeback_config_rejected";

fn configuration() -> anyhow::Result<PathBuf> {
    Ok(Place::of_this_repository()?.directory().join("config.toml"))
}

pub(crate) async fn lab(command: &str) -> anyhow::Result<()> {
    let program = Place::of_this_repository()?.binary("writeback-lab");
    let done = tokio::process::Command::new(program)
        .arg(command)
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(
        done.status.success(),
        "{command}: {}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

/// The third forest; taken out again also by a test that fails.
pub(crate) struct Added(bool);

impl Added {
    pub(crate) async fn add() -> anyhow::Result<Self> {
        let added = Self(true);
        lab("add-forest").await?;
        Ok(added)
    }

    pub(crate) async fn remove(&mut self) -> anyhow::Result<()> {
        lab("remove-forest").await?;
        self.0 = false;
        Ok(())
    }
}

impl Drop for Added {
    fn drop(&mut self) {
        if let (true, Ok(place)) = (self.0, Place::of_this_repository()) {
            let removed = Command::new(place.binary("writeback-lab"))
                .arg("remove-forest")
                .status();
            eprintln!("the third forest is taken out: {removed:?}");
        }
    }
}

/// One reset after the other in this forest until it is enough, none of which may take longer than the bound. All
/// forests are asked for each person.
pub(crate) async fn steady(
    world: &World,
    forest: &DomainController,
    bound: Duration,
    enough: &CancellationToken,
) -> anyhow::Result<usize> {
    let mut sent = 0;
    let mut passwords = Vec::new();
    for number in people::UNDER_WAY {
        let person = forest.person(number)?;
        passwords.push((person, forest.start_with_fresh_password(person).await?));
    }
    let count = passwords.len();
    while !enough.is_cancelled() {
        let (person, password) = &mut passwords[sent % count];
        let new = fresh_password();
        let answer = world.door.send(&Event::reset(person, &new)).await?;
        answer
            .expect_applied()
            .with_context(|| format!("the {sent}th in {}", forest.id()))?;
        ensure!(answer.took < bound, "{person}: {:?}", answer.took);
        if sent % count == 0 {
            forest.prove(person, password, &new).await?;
        }
        *password = new;
        sent += 1;
    }
    Ok(sent)
}

/// Runs while operations go on in every forest that was there before.
async fn undisturbed(
    world: &World,
    change: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let services = Services::now(&[])?;
    let enough = CancellationToken::new();
    let going_on = try_join_all(
        world
            .forests
            .iter()
            .map(|forest| steady(world, forest, BOUND, &enough)),
    );
    let changing = async {
        let _enough = enough.clone().drop_guard();
        change().await
    };
    let (sent, changed) = tokio::join!(going_on, changing);
    changed?;
    let sent = sent?;
    ensure!(sent.iter().all(|sent| *sent >= FEWEST), "too few: {sent:?}");
    services.expect_unharmed().await
}

/// What came of an operation, by the ledger, which must not contradict what the caller was told.
async fn end_of(world: &World, answer: &Answer) -> anyhow::Result<String> {
    let id = answer.operation_id()?;
    let said = |answer: &Answer| match answer.text("status") {
        "pending" => None,
        "applied" => Some("applied".to_owned()),
        _ => Some(answer.text("reason").to_owned()),
    };
    let end = until(&format!("the end of {id}"), PATIENCE, || async {
        let found = world.door.operation(id).await?;
        // the door may be too busy to look it up
        Ok((found.status == 200).then(|| said(&found)).flatten())
    })
    .await?;
    let told = (answer.status != 202).then(|| said(answer)).flatten();
    ensure!(
        told.as_ref().is_none_or(|told| *told == end),
        "{id}: told {told:?}, ended {end}"
    );
    Ok(end)
}

/// Sends operations for the person until the forest is gone. How many ended how.
async fn ends_while_removed(
    world: &World,
    person: &str,
    added: &mut Added,
) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut ends = BTreeMap::new();
    let mut under_way = FuturesUnordered::new();
    let mut turns = interval(Duration::from_millis(50));
    let mut removal = Box::pin(added.remove());
    loop {
        tokio::select! {
            removed = &mut removal => break removed?,
            _ = turns.tick() => under_way.push(async {
                let event = Event::unlock(person).within(DEADLINE);
                let answer = world.door.send(&event).await?;
                end_of(world, &answer).await
            }),
            Some(end) = under_way.next() => *ends.entry(end?).or_insert(0) += 1,
        }
    }
    while let Some(end) = under_way.next().await {
        *ends.entry(end?).or_insert(0) += 1;
    }
    let known = ["applied", "user-not-found", "deadline-exceeded"];
    ensure!(
        ends.keys().all(|end| known.contains(&end.as_str())),
        "{ends:?}"
    );
    Ok(ends)
}

/// The lines in which resolvers say that they begin to ask a forest.
fn begun_anew(forest: &str) -> anyhow::Result<usize> {
    let place = Place::of_this_repository()?;
    let mut lines = 0;
    for service in Lab::load()?.services {
        if service.name.starts_with("resolver-") {
            lines += fs::read_to_string(place.log(&service.name))?
                .lines()
                .filter(|line| line.contains("is asked from now on"))
                .filter(|line| line.contains(&format!("\"forest\":\"{forest}\"")))
                .count();
        }
    }
    Ok(lines)
}

/// The world as it is with the third forest: its key is handed out.
pub(crate) async fn with_key_of_third(known: &World) -> anyhow::Result<World> {
    until("the third forest's key is handed out", PATIENCE, || async {
        let world = World::enter().await?;
        let third = world.forests.last().context("no forest")?;
        let handed_out = world.door.key_set()["keys"]
            .as_array()
            .is_some_and(|keys| keys.iter().any(|key| key["forest"] == third.id()));
        let is_new = world.forests.len() > known.forests.len();
        Ok((handed_out && is_new).then_some(world))
    })
    .await
}

#[tokio::test]
async fn a_forest_is_added_and_removed_and_the_others_never_notice() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let before = World::enter().await?;
    // other tests before this one may have changed a forest's section
    let mut known = BTreeMap::new();
    for forest in &before.forests {
        known.insert(forest.id(), begun_anew(forest.id())?);
    }
    let mut third = None;
    undisturbed(&before, async || {
        let mut added = Added::add().await?;
        let changed_at = fs::metadata(configuration()?)?.modified()?;
        let world = with_key_of_third(&before).await?;
        let forest = world.forests.last().context("no forest")?;
        let person = forest.person(people::AFTERWARDS.start)?;
        let old = forest.start_with_fresh_password(person).await?;
        let new = until("an operation in the third forest", PATIENCE, || async {
            let new = fresh_password();
            let answer = world.door.send(&Event::reset(person, &new)).await?;
            Ok(answer.expect_applied().is_ok().then_some(new))
        })
        .await?;
        let took = SystemTime::now().duration_since(changed_at)?;
        ensure!(took < WORKS_WITHIN, "it took {took:?}");
        println!("applied in the new forest {took:?} after the change of the configuration");
        forest.prove(person, &old, &new).await?;

        // taken out while operations are under way there: each of them has one end
        let ends = ends_while_removed(&world, person, &mut added).await?;
        println!("what became of operations in the forest while it was taken out: {ends:?}");
        ensure!(
            ends.contains_key("applied") && ends.contains_key("user-not-found"),
            "{ends:?}"
        );
        third = Some(world);
        Ok(())
    })
    .await?;

    let third = third.context("no third forest")?;
    let forest = third.forests.last().context("no forest")?;
    let person = forest.person(people::AFTERWARDS.start)?;
    for event in [
        Event::reset(person, &fresh_password()),
        Event::unlock(person),
    ] {
        let answer = before.door.send(&event).await?;
        answer.expect_refused(404, Reason::UserNotFound)?;
    }
    let log =
        fs::read_to_string(Place::of_this_repository()?.log(&format!("writer-{}-1", forest.id())))?;
    ensure!(
        log.contains("taken out of the configuration") && log.contains("\"code\":0"),
        "the writer ended without a word: {log}"
    );
    for (resolved, known) in known {
        let begun = begun_anew(resolved)?;
        ensure!(
            begun == known,
            "{resolved} was begun anew {} times",
            begun - known
        );
    }
    ensure!(
        begun_anew(forest.id())? > 0,
        "no resolver says whom it asks"
    );
    Ok(())
}

/// The configuration with more in it; put back as it was also by a test that fails.
pub(crate) struct Changed(PathBuf, String);

impl Changed {
    pub(crate) fn with(more: &str) -> anyhow::Result<Self> {
        let path = configuration()?;
        let changed = Self(path.clone(), fs::read_to_string(&path)?);
        fs::write(&path, format!("{}{more}", changed.1))?;
        Ok(changed)
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.0, &self.1) {
            eprintln!("the configuration stays changed: {error}");
        }
    }
}

/// Until every service says whether the file is wrong.
async fn every_service_says(rejected: f64) -> anyhow::Result<()> {
    until("every service has judged the file", PATIENCE, || async {
        for service in Lab::load()?.services {
            let measures = Measures::of(&service).await?;
            if measures.sum(REJECTED, &[]) != Some(rejected) {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await
}

#[tokio::test]
async fn a_configuration_that_does_not_hold_changes_nothing() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    undisturbed(&world, async || {
        let broken = Changed::with("\n[[forest]]\nid = \"wrong\"\n")?;
        let line = broken.1.lines().count() + 2;
        every_service_says(1.0).await?;
        let log = fs::read_to_string(Place::of_this_repository()?.log("resolver-1"))?;
        let told: Vec<&str> = log
            .lines()
            .filter(|told| told.contains("does not hold"))
            .collect();
        let names_it = told.last().is_some_and(|told| {
            told.contains(&format!("line {line}: unknown key `forest`")) && told.contains("ERROR")
        });
        ensure!(names_it, "not told: {told:?}");
        for forest in &world.forests {
            let person = forest.person(people::AFTERWARDS.start)?;
            let old = forest.start_with_fresh_password(person).await?;
            let new = fresh_password();
            world
                .door
                .send(&Event::reset(person, &new))
                .await?
                .expect_applied()?;
            forest.prove(person, &old, &new).await?;
        }
        drop(broken);
        every_service_says(0.0).await
    })
    .await
}
