//! A caller of the lab, from outside: seals, sends and asks like a cloud directory, and signs in like a person.
//!
//! What an operation did is believed only from sign-ins at the domain controller. It must not know a service's inside:
//! it has `lab.json`, the public door and LDAPS.

pub mod audit;
mod broker;
mod collector;
mod ctl;
mod dacl;
mod database;
mod deprivation;
mod door;
mod event;
mod forest;
mod issuer;
mod measures;
mod newest;
pub mod parts;
mod passwords;
mod personnel;
mod processes;
mod prometheus;
mod rights;
pub mod scrape;
mod seal;
mod services;
mod terminal;
mod wait;
mod write_lock;

pub use broker::{Broker, Overheard, Published};
pub use collector::{Collector, Seen};
pub use ctl::{Ctl, Run, finish, unread};
pub use dacl::Dacl;
pub use database::{postgres_program, url_of_database};
pub use deprivation::Deprived;
pub use door::{Answer, Door};
pub use event::Event;
pub use forest::{DomainController, Identifiers, SignIn};
pub use issuer::Issuer;
pub use measures::Measures;
pub use passwords::{fresh_password, passwords_used, record_of_passwords};
pub use personnel::{Person, source_anchor, unit_below};
pub use processes::families;
pub use prometheus::{Prometheus, Sample};
pub use rights::{Expected, Rights, hidden};
pub use seal::HandMade;
pub use services::Services;
pub use terminal::Terminal;
pub use wait::until;
pub use write_lock::WriteLock;

use anyhow::Context;

/// The running lab, ready to be used.
pub struct World {
    pub door: Door,
    /// Each by its first domain.
    pub forests: Vec<DomainController>,
    /// Further domains of them.
    pub domains: Vec<DomainController>,
}

impl World {
    /// Reads `lab.json` and fetches the public sealing keys.
    pub async fn enter() -> anyhow::Result<Self> {
        provide_cryptography();
        let lab = lab::Lab::load()?;
        let controllers = |domains: &[lab::Forest]| {
            domains
                .iter()
                .map(DomainController::new)
                .collect::<anyhow::Result<Vec<_>>>()
        };
        let forests = controllers(&lab.forests)?;
        let domains = controllers(&lab.domains)?;
        let door = Door::open(lab.intake).await?;
        Ok(Self {
            door,
            forests,
            domains,
        })
    }

    /// A door at every replica of the intake, whichever the world's own is.
    pub async fn every_door() -> anyhow::Result<Vec<Door>> {
        let mut doors = Vec::new();
        for url in lab::Lab::load()?.intake.urls {
            doors.push(Door::open_at(&url).await?);
        }
        Ok(doors)
    }

    /// The first forest, for what is the same in every forest.
    pub fn forest(&self) -> anyhow::Result<&DomainController> {
        self.forests.first().context("the lab has no forest")
    }
}

/// The provider is the process's; another test may have been first.
fn provide_cryptography() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
