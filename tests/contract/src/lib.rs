//! What a directory must answer, asked of every kind of directory: the scripted one that speaks Windows'
//! words, Samba in the lab, and any real forest that it is pointed to.
//!
//! The cases go through `crates/directory`, as the writers do, and each is judged by what the account
//! is afterwards. It knows no service of Writeback and needs none to run.

mod cases;
mod live;
mod scripted;
mod table;

use directory::{Directory, DirectoryError, Explained, Opens, WriteError};
use operation::ObjectGuid;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

pub use cases::{CASES, Case, Expected, Given};
pub use live::{Live, LiveConfig};
pub use scripted::Scripted;
pub use table::markdown;

const TIME_OUT: Duration = Duration::from_secs(10);

/// A directory under test.
pub trait Target {
    /// What it calls itself at the head of its column.
    fn name(&self) -> String;

    /// Makes a person for one case.
    fn prepare(&self, given: Given) -> impl Future<Output = anyhow::Result<Scene>>;
}

/// A person prepared for a case; or why this directory cannot show it.
#[derive(Debug)]
pub enum Scene {
    Set(Person),
    NotHere(&'static str),
}

#[derive(Debug)]
pub struct Person {
    pub guid: ObjectGuid,
    /// A name to bind with.
    pub name: String,
    /// The current password.
    pub password: String,
    /// The one before it, if the case is about it.
    pub used: String,
    /// Bound as the account that the case is about.
    pub directory: Arc<Directory>,
}

/// How one case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// As it must be.
    Kept(String),
    Broken(String),
    NotTried(&'static str),
}

/// Plays every case on a directory.
pub async fn run(target: &impl Target) -> anyhow::Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for case in CASES {
        answers.push(match target.prepare(case.given).await? {
            Scene::NotHere(why) => Answer::NotTried(why),
            Scene::Set(person) => play(case, &person).await?,
        });
    }
    Ok(answers)
}

async fn play(case: &Case, person: &Person) -> Result<Answer, DirectoryError> {
    let directory = &person.directory;
    let hints = directory.probe().await?.policy_hints_control().is_some();
    let expected = (case.expected)(hints);
    let before = directory.read_account(person.guid).await?;
    let (write, new) = (case.write)(person);
    let deadline = Instant::now() + 2 * TIME_OUT;
    let outcome = directory.write(person.guid, &write, deadline).await;
    let after = directory.read_account(person.guid).await?;
    let said = match &outcome {
        Ok(_) => "applied".to_owned(),
        Err(WriteError::CertainlyNot(explained)) => in_short(explained),
        Err(unknown) => unknown.to_string(),
    };
    let kept = match (&outcome, expected) {
        (Ok(_), Expected::Applied(opens)) => {
            let now = directory.opens(&person.name, &new.into()).await?;
            let unlocked = after.is_some_and(|account| !account.locked);
            now == opens && unlocked
        }
        (Err(WriteError::CertainlyNot(explained)), Expected::Refused(reason)) => {
            // nothing of the account was changed, its password least of all
            let untouched = match (&before, &after) {
                (Some(before), Some(after)) => {
                    before.pwd_last_set == after.pwd_last_set && before.locked == after.locked
                }
                (before, after) => before == after,
            };
            explained.reason == reason && untouched
        }
        _ => false,
    };
    Ok(if kept {
        Answer::Kept(said)
    } else {
        Answer::Broken(format!("{said}; expected {expected:?}"))
    })
}

/// The reason, and the codes that the directory gave for it.
fn in_short(explained: &Explained) -> String {
    let codes = explained.detail.rsplit_once("(LDAP result ");
    match codes.and_then(|(_, codes)| codes.strip_suffix(')')) {
        Some(codes) => format!("{}: {}", explained.reason, codes.replace(", code", "")),
        None => format!("{}, not sent", explained.reason),
    }
}

impl Answer {
    pub const fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_))
    }
}

/// Whether a password opens the account.
pub(crate) const OPEN: Expected = Expected::Applied(Opens::Yes);
