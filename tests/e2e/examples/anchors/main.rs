//! Measures the index of anchors with many migrated people, on the running lab.
//!
//! A forest of its own stands beside the lab's, with people whose `mS-DS-ConsistencyGuid` is not their
//! `objectGUID`. The lab's resolvers are told of it and started anew; a writer for it is started here.
//!
//! `anchors prepare` makes the forest, which takes minutes and needs no lab; `anchors measure` measures.

mod forest;
mod resolvers;
mod sample;

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use e2e::{DomainController, Event, World, source_anchor, until};
use futures_util::StreamExt as _;
use lab::Place;
use uuid::Uuid;

use forest::Forest;
use resolvers::Resolvers;
use sample::Sample;

const PEOPLE: usize = 20_000;
const LOOK_UPS: usize = 2_000;
const AT_ONCE: usize = 16;
const NEWCOMERS: usize = 20;
const PATIENCE: Duration = Duration::from_mins(1);
/// Longer than the longest pause between two readings.
const WATCHED_FOR: Duration = Duration::from_secs(25);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let people = std::env::var("PEOPLE").map_or(Ok(PEOPLE), |text| text.parse())?;
    let forest = Forest::of(people)?;
    match std::env::args().nth(1).as_deref() {
        Some("prepare") => forest.prepare(people),
        Some("measure") => {
            forest.prepare(people)?;
            measure(&forest, people).await
        }
        _ => anyhow::bail!("say `prepare` or `measure`"),
    }
}

/// The lab's configuration, put back when it is dropped.
struct Told {
    file: std::path::PathBuf,
    before: String,
}

impl Told {
    fn of(forest: &Forest) -> anyhow::Result<Self> {
        let file = Place::of_this_repository()?.directory().join("config.toml");
        let before = fs::read_to_string(&file).context("no lab: run `make up`")?;
        fs::write(&file, format!("{before}{}", forest.configuration()))?;
        Ok(Self { file, before })
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = fs::write(&self.file, &self.before);
    }
}

async fn measure(forest: &Forest, people: usize) -> anyhow::Result<()> {
    let world = Arc::new(World::enter().await?);
    let controller = DomainController::new(&forest.described()?)?;
    let running = forest.start()?;
    until("the domain controller answers", PATIENCE, || async {
        Ok(controller.is_up().await.then_some(()))
    })
    .await?;

    let known = Resolvers::restart(&["corp", "emea"]).await?;
    println!(
        "before                 {} entries, resident {} MB",
        known.entries()?,
        known.resident_megabytes()?
    );
    let told = Told::of(forest)?;
    let writer = forest.start_writer(&lab::Lab::load()?)?;
    let all = ["corp", "emea", "migrated"];
    let filled = Resolvers::restart(&all).await?;
    println!(
        "first reading          {} s for {people} people; index usable {:.2} s after the kill",
        filled.each("writeback_resolver_anchors_full_duration_seconds")?,
        filled.took.as_secs_f32(),
    );
    println!(
        "after                  {} entries, resident {} MB",
        filled.entries()?,
        filled.resident_megabytes()?
    );
    filled.are_stored("migrated").await?;
    let again = Resolvers::restart(&all).await?;
    ensure!(!again.read_everybody(), "everybody was read again");
    println!(
        "restart from disk      index usable {:.2} s after the kill, resident {} MB",
        again.took.as_secs_f32(),
        again.resident_megabytes()?
    );

    // the writer's first operations connect it
    let first = (0..AT_ONCE * 4).map(|number| Event::unlock(&name(number)));
    looked_up(&world, "first", first.collect()).await?;
    let anchors = (0..LOOK_UPS).map(|number| anchor(number * people / LOOK_UPS));
    let by_anchor =
        anchors.map(|anchor| Event::unlock("").by_source_anchor(&source_anchor(anchor)));
    println!(
        "{}",
        looked_up(&world, "by anchor", by_anchor.collect()).await?
    );
    let by_name = (0..LOOK_UPS).map(|number| Event::unlock(&name(number * people / LOOK_UPS)));
    println!("{}", looked_up(&world, "by name", by_name.collect()).await?);
    println!(
        "within a resolver      {} for a hit, which is verified by a read; {} for a miss",
        again.looked_up("migrated").await?,
        again.looked_up("corp").await?
    );

    let searches = controller.search_by_anchor(&anchor(people / 2), 20).await?;
    println!("without the index      {}", Sample::of(searches));
    println!("{}", newcomers(&world, &controller).await?);
    println!(
        "age of the index       at most {:.1} s in {} s",
        again.oldest("migrated", WATCHED_FOR).await?,
        WATCHED_FOR.as_secs()
    );
    drop(writer);
    drop(told);
    Resolvers::restart(&["corp", "emea"]).await?;
    drop(running);
    Ok(())
}

/// As `populate.py` makes them.
fn name(number: usize) -> String {
    format!("migrated{number}@{}", forest::DOMAIN)
}

/// As `populate.py` makes them.
fn anchor(number: usize) -> Uuid {
    let mut bytes = *b"migrated\0\0\0\0\0\0\0\0";
    let number = u64::try_from(number).unwrap_or(u64::MAX).to_be_bytes();
    for (byte, digit) in bytes.iter_mut().skip(8).zip(number) {
        *byte = digit;
    }
    Uuid::from_bytes_le(bytes)
}

/// Whether the person was found; the operation was applied then.
async fn finds(world: &World, event: &Event) -> anyhow::Result<bool> {
    let answer = world.door.send(event).await?;
    if answer.status == 404 {
        return Ok(false);
    }
    answer.expect_applied()?;
    ensure!(answer.text("forest") == "migrated", "{}", answer.body);
    Ok(true)
}

async fn looked_up(world: &Arc<World>, what: &str, events: Vec<Event>) -> anyhow::Result<String> {
    let (count, began) = (events.len(), Instant::now());
    let took: Vec<Duration> = futures_util::stream::iter(events)
        .map(|event| async move {
            let began = Instant::now();
            ensure!(finds(world, &event).await?, "somebody was not found");
            Ok(began.elapsed())
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<anyhow::Result<_>>()?;
    let rate = f64::from(u32::try_from(count)?) / began.elapsed().as_secs_f64();
    Ok(format!(
        "door to door {what:<9} {rate:.0}/s with {AT_ONCE} at once, {}",
        Sample::of(took)
    ))
}

/// How long after a person was made an operation finds them, nothing but that operation hurrying.
async fn newcomers(world: &Arc<World>, controller: &DomainController) -> anyhow::Result<String> {
    let (mut took, mut people) = (Vec::new(), Vec::new());
    for number in 0..NEWCOMERS {
        let anchor = Uuid::new_v4();
        let login = format!("new{number}-{}", Uuid::new_v4().simple());
        let login = login.get(..19).unwrap_or(&login);
        let person = controller.hire(login, "Migrated", Some(anchor)).await?;
        let began = Instant::now();
        let event = Event::unlock("").by_source_anchor(&source_anchor(anchor));
        until("the newcomer is found", PATIENCE, || async {
            Ok(finds(world, &event).await?.then_some(()))
        })
        .await?;
        took.push(began.elapsed());
        people.push(person);
    }
    for person in people {
        controller.dismiss(&person).await?;
    }
    Ok(format!("newcomers found        {}", Sample::of(took)))
}
