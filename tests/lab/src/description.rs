//! `lab.json`: what tests read to find everything.

use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::place::Place;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lab {
    pub intake: Intake,
    pub ctl: Ctl,
    pub audit: Audit,
    pub rabbitmq: RabbitMq,
    pub postgres: String,
    /// Each with its first domain.
    pub forests: Vec<Forest>,
    /// Further domains of the forests; the id is the forest's.
    #[serde(default)]
    pub domains: Vec<Forest>,
    pub services: Vec<Service>,
    /// What the services stand on: the broker, the database, a domain controller per forest.
    #[serde(default)]
    pub infrastructure: Vec<Infrastructure>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Intake {
    pub url: String,
    pub urls: Vec<String>,
    pub ca: Option<PathBuf>,
    pub token: String,
    /// By scope.
    pub tokens: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ctl {
    pub command: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Audit {
    pub grpc: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RabbitMq {
    pub amqp: String,
    pub management: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forest {
    pub id: String,
    pub domain: String,
    pub ldaps: String,
    /// The same domain controller as the services name it.
    pub known_as: String,
    pub ca: PathBuf,
    pub base_dn: String,
    pub administrator: String,
    pub administrator_password: String,
    pub service_account: String,
    pub users: Vec<String>,
    pub out_of_scope_ou: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    pub name: String,
    pub pid: u32,
    pub admin: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Infrastructure {
    /// `rabbitmq`, `postgres`, `samba-<forest>`, `samba-<further domain>`, and what serves them.
    pub name: String,
    pub pid: u32,
}

impl Lab {
    /// Reads the running lab's description.
    pub fn load() -> anyhow::Result<Self> {
        Self::load_from(&Place::of_this_repository()?)
    }

    pub(crate) fn load_from(place: &Place) -> anyhow::Result<Self> {
        let path = place.description();
        let text = std::fs::read(&path)
            .with_context(|| format!("no lab at {}: run `make up`", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a lab's description", path.display()))
    }
}
