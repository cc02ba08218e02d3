//! What the lab's domain controllers answer to StartTLS at their port for LDAP in the clear.

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use directory::{Directory, DirectoryConfig, DirectoryError, Identifier, PasswordWrite};
use e2e::{DomainController, World, fresh_password};
use lab::{Lab, Place};
use tokio::time::Instant;
use uuid::Uuid;

const TIME_OUT: Duration = Duration::from_secs(5);

fn directory(forest: &DomainController, authority_of: &str) -> anyhow::Result<Arc<Directory>> {
    let lab = Lab::load()?;
    let authority = lab.forests.iter().find(|lab| lab.id == authority_of);
    let address = forest
        .ldaps()
        .trim_start_matches("ldaps://")
        .trim_end_matches(":636");
    let password = Place::of_this_repository()?
        .directory()
        .join(format!("secrets/{}-svc-writeback", forest.id()));
    Ok(Directory::new(DirectoryConfig {
        endpoints: vec![format!("ldap://{address}")],
        topology: directory::Topology::default(),
        ca_pem: fs::read(&authority.context("no such forest")?.ca)?,
        account: forest.named("svc-writeback"),
        password: fs::read_to_string(password)?.trim_end().into(),
        connections: 2,
        operation_timeout: TIME_OUT,
    })?)
}

#[tokio::test]
async fn a_password_is_set_after_start_tls() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let directory = directory(forest, forest.id())?;
        let root = directory.probe().await?;
        ensure!(
            root.domain_controller.starts_with("ldap://")
                && root.domain_controller.ends_with(":389"),
            "{}",
            root.domain_controller
        );
        let unique = Uuid::new_v4().simple().to_string();
        let login = format!("starter-{}", unique.split_at(8).0);
        let person = forest.hire(&login, "People", None).await?;
        let name = person.user_principal_name.as_str();
        let by = Identifier::UserPrincipalName(name.parse()?);
        let found = directory.find(&forest.domain().parse()?, &by).await?;
        let [found] = found.as_slice() else {
            anyhow::bail!("{name}: {found:?}");
        };
        let new = fresh_password();
        let write = PasswordWrite::Reset {
            new: new.as_str().into(),
            unlock: true,
            must_change: false,
            policy_hints: directory::PolicyHints::Never,
        };
        directory
            .write(found.guid, &write, Instant::now() + 4 * TIME_OUT)
            .await?;
        forest.prove(name, &person.password, &new).await?;
        let [certificate] = &directory.certificates()[..] else {
            anyhow::bail!("one certificate for each domain controller");
        };
        ensure!(certificate.certificate.is_some(), "{certificate:?}");
    }
    Ok(())
}

#[tokio::test]
async fn another_forest_s_authority_is_not_enough() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let [one, other, ..] = world.forests.as_slice() else {
        anyhow::bail!("two forests are needed");
    };
    let refused = directory(one, other.id())?.probe().await;
    let Err(DirectoryError::Misconfigured { cause, .. }) = refused else {
        anyhow::bail!("{refused:?}");
    };
    ensure!(cause.contains("certificate"), "{cause}");
    Ok(())
}
