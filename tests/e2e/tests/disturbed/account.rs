//! A service account's password is changed, and a forest's authority, while operations run.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use e2e::{Ctl, DomainController, Event, Measures, Services, World, fresh_password, until};
use lab::{Lab, Place};
use operation::Reason;
use tokio_util::sync::CancellationToken;

use crate::{
    ALONE,
    forests::{FEWEST, steady},
    parts, people,
};

const ACCOUNTS: [&str; 2] = ["svc-writeback", "svc-writeback-read"];
/// A file is looked at every second, and counts when it was seen twice.
const PATIENCE: Duration = Duration::from_secs(30);
/// What reaches a writer in the very milliseconds in which it stops counts as taken by it: another judges it, once a
/// write that was begun would have timed out.
const BOUND: Duration = Duration::from_secs(12);
const NEXT_IN_USE: &str = "writeback_directory_password_next";

fn secret(forest: &DomainController, name: &str) -> anyhow::Result<PathBuf> {
    let place = Place::of_this_repository()?;
    Ok(place
        .directory()
        .join(format!("secrets/{}-{name}", forest.id())))
}

/// As a mounted secret changes: at once, and not while it is read.
fn put(path: &Path, content: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(content.as_bytes())?;
    fs::rename(new, path)?;
    Ok(())
}

fn host(forest: &DomainController) -> &str {
    forest
        .known_as()
        .trim_start_matches("ldaps://")
        .trim_end_matches(":636")
}

/// Until every service that signs in there says whether it does so with the next password.
async fn next_in_use(forest: &DomainController, expected: f64) -> anyhow::Result<()> {
    let writers = format!("writer-{}-", forest.id());
    let what = format!("{NEXT_IN_USE} is {expected}");
    until(&what, PATIENCE, || async {
        for service in Lab::load()?.services {
            if service.name.starts_with(&writers) || service.name.starts_with("resolver-") {
                let measures = Measures::of(&service).await?;
                let said = measures.sum(NEXT_IN_USE, &[("server_address", host(forest))]);
                if said != Some(expected) {
                    return Ok(None);
                }
            }
        }
        Ok(Some(()))
    })
    .await
}

/// A service account's new password; its files go with what the directory has also by a test that fails.
struct Changed {
    account: String,
    file: PathBuf,
    next: PathBuf,
    old: String,
    new: String,
    is_in_directory: bool,
}

impl Changed {
    /// The services are told of it.
    fn announce(forest: &DomainController, account: &str) -> anyhow::Result<Self> {
        let file = secret(forest, account)?;
        let changed = Self {
            account: forest.named(account),
            next: secret(forest, &format!("{account}-next"))?,
            old: fs::read_to_string(&file)?,
            file,
            new: fresh_password(),
            is_in_directory: false,
        };
        put(&changed.next, &changed.new)?;
        Ok(changed)
    }

    async fn in_directory(&mut self, forest: &DomainController) -> anyhow::Result<()> {
        forest.set_password(&self.account, &self.new).await?;
        self.is_in_directory = true;
        Ok(())
    }

    fn follow(&self) -> anyhow::Result<()> {
        if self.is_in_directory {
            put(&self.file, &self.new)?;
        }
        fs::remove_file(&self.next)?;
        Ok(())
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        if self.next.exists()
            && let Err(error) = self.follow()
        {
            eprintln!("{} stays as it was: {error}", self.file.display());
        }
    }
}

/// How often each service that signs in there has said that it knows other passwords.
fn changes_told(forest: &DomainController) -> anyhow::Result<BTreeMap<String, usize>> {
    let place = Place::of_this_repository()?;
    let writers = format!("writer-{}-", forest.id());
    let [writing, reading] = ACCOUNTS.map(|account| format!("\"{}\"", forest.named(account)));
    let mut told = BTreeMap::new();
    for service in Lab::load()?.services {
        let account = match &service.name {
            name if name.starts_with(&writers) => &writing,
            name if name.starts_with("resolver-") => &reading,
            _ => continue,
        };
        let lines = fs::read_to_string(place.log(&service.name))?
            .lines()
            .filter(|line| line.contains("the service account's passwords changed"))
            .filter(|line| line.contains(account.as_str()))
            .count();
        told.insert(service.name, lines);
    }
    Ok(told)
}

/// Every service that signs in there, one after the other: each has to sign in anew.
async fn restart_in_turn(forest: &DomainController) -> anyhow::Result<()> {
    let mut services = parts::services(&format!("writer-{}", forest.id()))?;
    services.extend(parts::services("resolver")?);
    for service in services {
        parts::signal("-TERM", &[service])?;
        parts::gone(&[service]).await?;
        parts::all_ready().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_passwords_of_service_accounts_change_and_no_operation_fails() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forests.last().context("no forest")?;
    let enough = CancellationToken::new();
    let rotating = async {
        let _enough = enough.clone().drop_guard();
        let before = changes_told(forest)?;
        let mut passwords = Vec::new();
        for account in ACCOUNTS {
            passwords.push(Changed::announce(forest, account)?);
        }
        // only who knows the next one can try it
        until("every service knows the next", PATIENCE, || async {
            let told = changes_told(forest)?;
            let known = { before.iter() }.all(|(name, lines)| told.get(name) > Some(lines));
            Ok(known.then_some(()))
        })
        .await?;
        for changed in &mut passwords {
            changed.in_directory(forest).await?;
        }
        restart_in_turn(forest).await?;
        next_in_use(forest, 1.0).await?;
        // the operator's commands sign in with it too
        let check = ["permissions", "check", "--forest", forest.id()];
        Ctl::of_the_lab()?.run(&check).await?.expect(0)?;

        // the files follow, and nothing is started again for that
        let services = Services::now(&[])?;
        for changed in &passwords {
            changed.follow()?;
            let (account, old) = (&changed.account, changed.old.trim_end());
            let opens = forest.opens(account, old).await?;
            ensure!(!opens, "{account} still signs in with the old password");
        }
        next_in_use(forest, 0.0).await?;
        services.expect_unharmed().await?;
        restart_in_turn(forest).await?;
        next_in_use(forest, 0.0).await
    };
    let (sent, rotated) = tokio::join!(steady(&world, forest, BOUND, &enough), rotating);
    rotated?;
    let sent = sent?;
    ensure!(sent >= FEWEST, "too few: {sent}");
    println!("{sent} operations while the passwords of both accounts changed, none failed");
    Ok(())
}

/// Put back as it was also by a test that fails.
struct Replaced(PathBuf, String);

impl Replaced {
    fn with(path: &Path, content: &str) -> anyhow::Result<Self> {
        let before = fs::read_to_string(path)?;
        put(path, content)?;
        Ok(Self(path.to_owned(), before))
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        if let Err(error) = put(&self.0, &self.1) {
            eprintln!("{} stays replaced: {error}", self.0.display());
        }
    }
}

#[tokio::test]
async fn a_forest_s_authority_is_followed_as_its_file_changes() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forests.last().context("no forest")?;
    let described = Lab::load()?.forests;
    let (other, this) = described
        .first()
        .zip(described.last())
        .context("no forest")?;
    let services = Services::now(&[])?;
    let person = forest.person(people::AFTERWARDS.start)?;
    let unlock = async || {
        let event = Event::unlock(person).in_domain(forest.domain());
        world.door.send(&event).await
    };
    unlock().await?.expect_applied()?;

    let replaced = Replaced::with(&this.ca, &fs::read_to_string(&other.ca)?)?;
    until("nobody is trusted any more", PATIENCE, || async {
        let answer = unlock().await?;
        if answer.expect_applied().is_ok() {
            return Ok(None);
        }
        let reasons = [Reason::DirectoryMisconfigured, Reason::ForestUnavailable].map(Reason::code);
        ensure!(reasons.contains(&answer.text("reason")), "{}", answer.body);
        Ok(Some(()))
    })
    .await?;
    drop(replaced);
    crate::works_again(&world, forest).await?;
    services.expect_unharmed().await
}
