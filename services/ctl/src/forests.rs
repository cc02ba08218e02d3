//! The configured forests, as the commands that look into a directory reach them.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use chassis::config::{self, Config};
use directory::{
    ControllerChoice, Directory, DirectoryConfig, Topology,
    permissions::{Inspection, NamedAccount},
    scope::Scope,
};
use operation::{DomainName, ForestId};
use secrecy::SecretString;

/// An operator waits, and a domain controller may have a whole domain to look through.
const TIME_OUT: Duration = Duration::from_secs(20);
const CONNECTIONS: usize = 2;

/// One domain of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Domain<'a> {
    pub(crate) forest: &'a config::Forest,
    pub(crate) domain: &'a config::Domain,
}

/// Every domain, of one forest or of all.
pub(crate) fn domains<'a>(
    config: &'a Config,
    forest: Option<&ForestId>,
) -> anyhow::Result<Vec<Domain<'a>>> {
    let domains: Vec<Domain<'a>> = config
        .forests
        .iter()
        .filter(|section| forest.is_none_or(|wanted| section.id == *wanted))
        .flat_map(|forest| {
            let each = forest.domains.iter();
            each.map(move |domain| Domain { forest, domain })
        })
        .collect();
    if domains.is_empty() {
        let known: Vec<&str> = config
            .forests
            .iter()
            .map(|forest| forest.id.as_str())
            .collect();
        match forest {
            Some(forest) => bail!(
                "the configuration has no forest {forest} with a domain; it has {}",
                known.join(", ")
            ),
            None => bail!("the configuration has no forest with a domain"),
        }
    }
    Ok(domains)
}

impl<'a> Domain<'a> {
    pub(crate) const fn name(&self) -> &'a DomainName {
        &self.domain.name
    }

    pub(crate) fn scope(&self) -> anyhow::Result<Scope> {
        Scope::new(&self.domain.include, &self.domain.exclude)
            .with_context(|| format!("forests `{}`, domain {}", self.forest.id, self.name()))
    }

    /// The subtrees in scope.
    pub(crate) fn roots(&self) -> Vec<String> {
        if self.domain.include.is_empty() {
            vec![self.name().distinguished_name()]
        } else {
            self.domain.include.clone()
        }
    }

    /// As the account that writes.
    pub(crate) fn as_writer(&self) -> anyhow::Result<Arc<Directory>> {
        self.connect_with(&self.forest.writing_account())
    }

    /// The name of the account the resolver reads as.
    pub(crate) fn reader(&self) -> &'a str {
        self.forest
            .reader_account
            .as_ref()
            .unwrap_or(&self.forest.account)
    }

    /// As the account that only reads.
    pub(crate) fn as_reader(&self) -> anyhow::Result<Arc<Directory>> {
        self.connect_with(&self.forest.reading_account()?)
    }

    /// With both of its passwords: while the account's is being changed, either may be the right one.
    fn connect_with(&self, account: &config::AccountFiles) -> anyhow::Result<Arc<Directory>> {
        let held = account.read()?;
        let directory = self.connect_as(&account.account, held.password.clone())?;
        directory
            .renew_passwords(held.password, held.next_password)
            .with_context(|| format!("forests `{}`, domain {}", self.forest.id, self.name()))?;
        Ok(directory)
    }

    pub(crate) fn connect_as(
        &self,
        account: &str,
        password: SecretString,
    ) -> anyhow::Result<Arc<Directory>> {
        Directory::new(DirectoryConfig {
            endpoints: self.domain.domain_controllers.clone(),
            topology: topology(self.forest, &self.domain.name),
            ca_pem: config::read_file(&self.forest.ca_file)?,
            account: account.to_owned(),
            password,
            connections: CONNECTIONS,
            operation_timeout: TIME_OUT,
        })
        .with_context(|| format!("forests `{}`, domain {}", self.forest.id, self.name()))
    }

    /// Where an account of the forest is: here, or in a sister domain, which is asked with the same credentials.
    pub(crate) async fn account(
        &self,
        inspection: &Inspection,
        name: &str,
        connect: impl Fn(&Self) -> anyhow::Result<Arc<Directory>>,
    ) -> anyhow::Result<NamedAccount> {
        if let Some(account) = inspection.account(self.name(), name).await? {
            return Ok(account);
        }
        let sisters = self.forest.domains.iter().map(|domain| Self {
            forest: self.forest,
            domain,
        });
        for sister in sisters.filter(|sister| sister.name() != self.name()) {
            let directory = connect(&sister)?;
            let inspection = directory.inspect().await?;
            if let Some(account) = inspection.account(sister.name(), name).await? {
                return Ok(account);
            }
        }
        bail!(
            "no domain of forest {} has an account {name:?} that can be read",
            self.forest.id
        )
    }
}

/// Where the domain's controllers come from, and which is asked first.
fn topology(forest: &config::Forest, domain: &DomainName) -> Topology {
    Topology {
        discover: Some(domain.clone()),
        dns_servers: forest.dns_servers.clone(),
        site: forest.site.clone(),
        choice: match forest.domain_controller_choice {
            config::ControllerChoice::PdcFirst => ControllerChoice::PdcFirst,
            config::ControllerChoice::Nearest => ControllerChoice::Nearest,
            config::ControllerChoice::Listed => ControllerChoice::Listed,
        },
        referral_hosts: forest.referral_hosts.clone(),
    }
}
