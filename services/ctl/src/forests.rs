//! The configured forests, as the commands that look into a directory reach them.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use chassis::config::{self, Config};
use directory::{
    Directory,
    permissions::{Inspection, NamedAccount, Token},
    scope::Scope,
};
use operation::{DomainName, ForestId};
use reach::Limits;
use secrecy::SecretString;

/// An operator waits, and a domain controller may have a whole domain to look through.
const LIMITS: Limits = Limits {
    connections: 2,
    operation_timeout: Duration::from_secs(20),
};

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
        reach::connect(
            self.forest,
            self.domain,
            &account.account,
            &account.read()?,
            LIMITS,
        )
        .with_context(|| format!("forests `{}`, domain {}", self.forest.id, self.name()))
    }

    /// Whom a domain controller takes the account that reads for.
    pub(crate) async fn reader_token(&self, writer: &Token) -> anyhow::Result<Token> {
        if self.reader() == self.forest.account {
            return Ok(writer.clone());
        }
        let reading = self.as_reader()?;
        let inspection = reading.inspect().await?;
        let account = self
            .account(&inspection, self.reader(), Self::as_reader)
            .await?;
        let token = inspection.own_token(&account).await?;
        inspection.end();
        Ok(token)
    }

    pub(crate) fn connect_as(
        &self,
        account: &str,
        password: SecretString,
    ) -> anyhow::Result<Arc<Directory>> {
        let ca_pem = config::read_file(&self.forest.ca_file)?;
        reach::connect_as(self.forest, self.domain, account, password, ca_pem, LIMITS)
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
