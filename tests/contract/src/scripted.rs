//! The scripted directory as a target.

use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::Context as _;
use directory::{Directory, DirectoryConfig};
use scripted_directory::{Authority, DomainController, SERVICE_ACCOUNT, SERVICE_PASSWORD, Script};

use crate::{Given, Person, Scene, TIME_OUT, Target};

/// A domain controller with one person of each kind.
pub struct Scripted {
    controller: DomainController,
    authority: Authority,
    next: AtomicU8,
}

const KINDS: [Given; 7] = [
    Given::Ordinary,
    Given::WithHistory,
    Given::Locked,
    Given::Disabled,
    Given::MustChange,
    Given::MayNotChange,
    Given::WithoutRights,
];
/// Enough for every case.
const OF_EACH_KIND: u8 = 30;

impl Scripted {
    pub async fn start() -> anyhow::Result<Self> {
        let authority = Authority::new()?;
        let mut script = Script::default();
        for (kind, given) in (0_u8..).zip(KINDS) {
            for one in 0..OF_EACH_KIND {
                script = script.person(&person(given, kind * OF_EACH_KIND + one));
            }
        }
        let certificate = authority.certificate(&["127.0.0.1"])?;
        Ok(Self {
            controller: script.start(certificate).await?,
            authority,
            next: AtomicU8::new(0),
        })
    }
}

fn person(given: Given, number: u8) -> scripted_directory::Person {
    let mut person = scripted_directory::Person::new(&format!("person{number}"), number);
    match given {
        Given::Ordinary | Given::Deleted => {}
        Given::WithHistory => person.history = vec!["Used-Passw0rd".to_owned()],
        Given::Locked => person.locked = true,
        Given::Disabled => person.enabled = false,
        Given::MustChange => person.pwd_last_set = None,
        Given::MayNotChange => person.may_change_password = false,
        Given::WithoutRights => {
            person.resettable = false;
            person.lockout_time_writable = false;
        }
    }
    person
}

impl Target for Scripted {
    fn name(&self) -> String {
        "Windows Server 2025, scripted".to_owned()
    }

    async fn prepare(&self, given: Given) -> anyhow::Result<Scene> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let kind = KINDS.iter().position(|kind| *kind == given);
        // whoever is deleted is beyond those that there are
        let kind = u8::try_from(kind.unwrap_or(KINDS.len()))?;
        let number = kind * OF_EACH_KIND + turn % OF_EACH_KIND;
        let person = person(given, number);
        let directory = Directory::new(DirectoryConfig {
            endpoints: vec![self.controller.url()],
            topology: directory::Topology::default(),
            ca_pem: self.authority.pem(),
            account: SERVICE_ACCOUNT.to_owned(),
            password: SERVICE_PASSWORD.into(),
            connections: 2,
            operation_timeout: TIME_OUT,
        })
        .context("the scripted directory")?;
        Ok(Scene::Set(Person {
            guid: person.guid,
            name: person.user_principal_name(),
            used: person.history.first().cloned().unwrap_or_default(),
            password: person.password,
            directory,
        }))
    }
}
