//! The proof itself.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, ensure};
use e2e::{Broker, Door, World, passwords_used};
use lab::{Lab, Place};

use crate::control::ALONE;
use crate::search::Search;
use crate::talkative::Talkative;
use crate::traces::Collector;
use crate::{operations, places};

/// Every password of a person that was used, and every secret of the lab itself, with what to call it.
fn secrets() -> anyhow::Result<Vec<(String, String)>> {
    let mut secrets: Vec<(String, String)> = { 1.. }
        .zip(passwords_used()?)
        .map(|(number, password)| (format!("password {number}"), password))
        .collect();
    for entry in fs::read_dir(Place::of_this_repository()?.path("secrets"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        secrets.push((
            format!("the secret of {name}"),
            fs::read_to_string(entry.path())?.trim().to_owned(),
        ));
    }
    let intake = Lab::load()?.intake;
    secrets.push(("the token of all scopes".to_owned(), intake.token));
    for (scope, token) in intake.tokens {
        secrets.push((format!("the token of {scope}"), token));
    }
    Ok(secrets)
}

fn no_core_dump(pid: u32) -> anyhow::Result<()> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<&str> = line
        .context("no limit on core files")?
        .split_whitespace()
        .collect();
    ensure!(
        words.get(4..6) == Some(&["0", "0"]),
        "{pid} may dump its memory: {words:?}"
    );
    Ok(())
}

#[tokio::test]
async fn no_password_is_found_anywhere() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let before = passwords_used().map_or(0, |used| used.len());
    let collector = Collector::listen().await?;
    let mut talkative = Talkative::start(collector.address).await?;
    let overheard = Broker::of_the_lab()?.overhear().await?;
    let door = Door::open_at(&talkative.intake).await?;
    // audit takes no step of its own in what goes well
    let names = talkative.names();
    let taking_part: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !name.ends_with("audit"))
        .collect();
    let answered = operations::all(&world, &door, &talkative.intake, &taking_part).await?;

    let mut search = Search::new(&secrets()?)?;
    let used = passwords_used()?.len();
    println!("searching for {used} passwords, {before} of them of earlier tests");
    let services = Lab::load()?.services;
    for pid in services
        .iter()
        .map(|service| service.pid)
        .chain(talkative.pids())
    {
        no_core_dump(pid)?;
    }
    ensure!(
        places::processes(&mut search)? > services.len(),
        "the lab's processes were not found"
    );
    places::pages(&mut search, &talkative.admins).await?;
    talkative.stop().await?;
    let messages = places::messages(&mut search, &overheard).await?;
    overheard.end().await?;
    ensure!(
        messages > answered.len(),
        "only {messages} messages were overheard"
    );
    for answer in &answered {
        search.look("an answer", answer.as_bytes());
    }
    let traces = collector.kept();
    let spans: usize = traces.iter().map(Vec::len).sum();
    ensure!(spans > 10_000, "only {spans} bytes of traces");
    for trace in &traces {
        search.look("a trace", trace);
    }
    // each of them has logged more than the lab's own: what follows is worth searching
    let place = Place::of_this_repository()?;
    let mut levels: BTreeMap<&str, bool> = BTreeMap::new();
    for name in talkative.names() {
        let log = fs::read_to_string(place.log(name))?;
        levels.insert(name, log.contains("\"TRACE\"") && log.contains("\"DEBUG\""));
    }
    ensure!(levels.values().all(|detailed| *detailed), "{levels:?}");
    places::dump(&mut search).await?;
    places::ledger(&mut search).await?;
    places::files(&mut search)?;
    println!("searched {} MB", search.looked_at() / 1_000_000);
    ensure!(
        search.findings().is_empty(),
        "found:\n{}",
        search.findings().join("\n")
    );
    Ok(())
}
