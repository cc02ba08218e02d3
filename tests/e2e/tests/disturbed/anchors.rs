//! Resolvers that die: what they knew of anchors, their successors know.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use e2e::{Event, Measures, World, fresh_password, source_anchor, until};
use lab::{Lab, Place, Service};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);
const AGE: &str = "writeback_resolver_anchors_age_seconds";
const READINGS: &str = "writeback_resolver_anchors_readings_total";

fn resolvers() -> anyhow::Result<Vec<Service>> {
    let mut services = Lab::load()?.services;
    services.retain(|service| service.name.starts_with("resolver-"));
    ensure!(!services.is_empty(), "the lab has no resolver");
    Ok(services)
}

/// The index on disk holds this anchor: it is written a few seconds after the news.
async fn stored(forest: &str, anchor: Uuid) -> anyhow::Result<()> {
    let state = Place::of_this_repository()?.directory().join("state");
    let anchor = anchor.to_bytes_le();
    until("the anchor is on disk", PATIENCE, || async {
        for resolver in resolvers()? {
            let folder = state.join(resolver.name);
            let holds = std::fs::read_dir(&folder)
                .with_context(|| format!("no {}", folder.display()))?
                .filter_map(Result::ok)
                .filter(|file| {
                    let name = file.file_name().to_string_lossy().into_owned();
                    name.starts_with(&format!("anchors-{forest}-"))
                })
                .filter_map(|file| std::fs::read(file.path()).ok())
                .any(|bytes| bytes.windows(anchor.len()).any(|part| part == anchor));
            if !holds {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await
}

/// Every resolver's successor has read what changed in every forest.
async fn caught_up(dead: &[Service], forests: &[&str]) -> anyhow::Result<Vec<Measures>> {
    until("the successors have caught up", PATIENCE, || async {
        let mut all = Vec::new();
        for resolver in resolvers()? {
            let Ok(measures) = Measures::of(&resolver).await else {
                return Ok(None);
            };
            let alive = dead.iter().all(|dead| dead.pid != resolver.pid);
            let read = forests.iter().all(|forest| {
                let age = measures.sum(AGE, &[("forest", forest)]);
                age.is_some()
            });
            if !alive || !read {
                return Ok(None);
            }
            all.push(measures);
        }
        Ok((all.len() == dead.len()).then_some(all))
    })
    .await
}

#[tokio::test]
async fn a_killed_resolver_knows_the_anchors_again_without_reading_everybody() -> anyhow::Result<()>
{
    let _alone = crate::ALONE.lock().await;
    let world = World::enter().await?;
    let forests: Vec<&str> = world
        .forests
        .iter()
        .map(e2e::DomainController::id)
        .collect();
    let mut people = Vec::new();
    for forest in &world.forests {
        let anchor = Uuid::new_v4();
        let login = format!("survivor-{}", &anchor.simple().to_string()[..8]);
        let person = forest.hire(&login, "People", Some(anchor)).await?;
        let event = Event::unlock("").by_source_anchor(&source_anchor(anchor));
        world.door.send(&event).await?.expect_applied()?;
        people.push((forest, anchor, person));
    }
    for (forest, anchor, _) in &people {
        stored(forest.id(), *anchor).await?;
    }

    let dead = resolvers()?;
    for resolver in &dead {
        let killed = Command::new("kill")
            .args(["-KILL", &resolver.pid.to_string()])
            .status()?;
        ensure!(killed.success(), "kill {}", resolver.name);
    }
    for measures in caught_up(&dead, &forests).await? {
        ensure!(
            measures.sum(READINGS, &[("what", "everybody")]) == Some(0.0),
            "everybody was read: {measures:?}"
        );
        for forest in &forests {
            let entries = measures.sum("writeback_resolver_anchors_entries", &[("forest", forest)]);
            // the one made here, and the one in both forests
            ensure!(entries >= Some(2.0), "{entries:?} entries in {forest}");
        }
    }
    for (forest, anchor, person) in people {
        let new = fresh_password();
        let event = Event::reset("", &new).by_source_anchor(&source_anchor(anchor));
        world.door.send(&event).await?.expect_applied()?;
        forest
            .prove(&person.user_principal_name, &person.password, &new)
            .await?;
        forest.dismiss(&person).await?;
    }
    Ok(())
}
