//! What runs, seen through each service's own admin port.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;

use crate::wait::until;

const PATIENCE: Duration = Duration::from_secs(10);

/// Process ids by service name.
#[derive(Debug, PartialEq, Eq)]
pub struct Services(BTreeMap<String, u32>);

impl Services {
    /// Every service but those of the forests named: other tests stop and kill those.
    pub fn now(except_forests: &[&str]) -> anyhow::Result<Self> {
        let mut services = lab::Lab::load()?.services;
        services.retain(|service| {
            !except_forests
                .iter()
                .any(|forest| service.name.starts_with(&format!("writer-{forest}-")))
        });
        let services: BTreeMap<_, _> = services
            .into_iter()
            .map(|service| (service.name, service.pid))
            .collect();
        ensure!(!services.is_empty(), "the lab runs no service");
        Ok(Self(services))
    }

    /// They are the same processes as before, and ready.
    pub async fn expect_unharmed(&self) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
        for service in lab::Lab::load()?.services {
            let Some(before) = self.0.get(&service.name) else {
                continue;
            };
            ensure!(
                *before == service.pid,
                "{} was {before} and is {} now",
                service.name,
                service.pid
            );
            let readyz = format!("{}/readyz", service.admin);
            until(&format!("{} is ready", service.name), PATIENCE, || async {
                let status = client.get(&readyz).send().await?.status();
                Ok(status.is_success().then_some(()))
            })
            .await?;
        }
        Ok(())
    }
}
