//! Asking the forests, all at once.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use chassis::config;
use directory::{Directory, DirectoryConfig, DirectoryError, Found, Identifier, scope::Scope};
use futures_util::future::join_all;
use operation::{DomainName, ForestId, Reason, Refusal, UserReference};

use crate::{
    decide::{Answer, Located, decide},
    observe::{Answered, Observer},
    standstill::Gate,
};

const CONNECTIONS: usize = 8;

/// Every domain of every forest.
pub(crate) struct Forests {
    domains: Vec<Domain>,
    observer: Arc<Observer>,
}

struct Domain {
    forest: ForestId,
    name: DomainName,
    scope: Scope,
    directory: Arc<Directory>,
    gate: Gate,
}

impl Forests {
    pub(crate) fn new(
        forests: &[config::Forest],
        settings: &config::Resolver,
        observer: Arc<Observer>,
    ) -> anyhow::Result<Self> {
        let mut domains = Vec::new();
        for forest in forests {
            let ca_pem = config::read_file(&forest.ca_file)?;
            let (account, password_file) = match (
                &forest.reader_account,
                &forest.reader_account_password_file,
            ) {
                (Some(account), Some(file)) => (account, file),
                (None, None) => (&forest.account, &forest.account_password_file),
                _ => anyhow::bail!(
                    "forests `{}`: give both reader_account and reader_account_password_file, or neither",
                    forest.id
                ),
            };
            for domain in &forest.domains {
                // the domain controllers, not the catalog: the catalog lacks mS-DS-ConsistencyGuid
                let directory = Directory::new(DirectoryConfig {
                    endpoints: domain.domain_controllers.clone(),
                    ca_pem: ca_pem.clone(),
                    account: account.clone(),
                    password: config::read_secret(password_file)?,
                    connections: CONNECTIONS,
                    operation_timeout: Duration::from_secs(settings.directory_timeout_seconds),
                })
                .with_context(|| format!("forests `{}`, domain {}", forest.id, domain.name))?;
                let scope = Scope::new(&domain.include, &domain.exclude)
                    .with_context(|| format!("forests `{}`, domain {}", forest.id, domain.name))?;
                domains.push(Domain {
                    forest: forest.id.clone(),
                    name: domain.name.clone(),
                    scope,
                    directory,
                    gate: Gate::new(settings.concurrency),
                });
            }
        }
        anyhow::ensure!(
            !domains.is_empty(),
            "forests: give at least one forest with a domain"
        );
        Ok(Self { domains, observer })
    }

    /// Finds the person.
    pub(crate) async fn locate(
        &self,
        user: &UserReference,
        sealed_for: &[ForestId],
    ) -> Result<Located, Refusal> {
        let asked: Vec<&Domain> = self
            .domains
            .iter()
            .filter(|domain| match (user.domain(), sealed_for) {
                (Some(name), _) => domain.name == *name,
                (None, [only]) => domain.forest == *only,
                (None, _) => true,
            })
            .collect();
        if let (true, Some(name)) = (asked.is_empty(), user.domain()) {
            return Err(Refusal::new(
                Reason::UserNotFound,
                format!("user.domain: no configured forest has a domain {name}"),
            ));
        }
        self.observer.asked(asked.len());
        let answers = join_all(asked.into_iter().map(|domain| async move {
            let found = domain.gate.pass(Box::pin(domain.ask(user))).await;
            let answered = match &found {
                Ok(found) if found.is_empty() => Answered::Nothing,
                Ok(_) => Answered::Found,
                Err(_) => Answered::Unavailable,
            };
            self.observer.answered(&domain.forest, answered);
            Answer {
                forest: &domain.forest,
                scope: &domain.scope,
                found: found.map_err(|error| error.to_string()),
            }
        }))
        .await;
        decide(user, sealed_for, &answers)
    }
}

impl Domain {
    async fn ask(&self, user: &UserReference) -> Result<Vec<Found>, DirectoryError> {
        let find = |by: Identifier| async move { self.directory.find(&self.name, &by).await };
        if let Some(anchor) = user.source_anchor() {
            // most anchors are the objectGUID, but another object may bear it as its consistency GUID
            let (mut found, others) = tokio::try_join!(
                find(Identifier::ObjectGuid(anchor.as_object_guid())),
                find(Identifier::ConsistencyGuid(anchor)),
            )?;
            for other in others {
                if found.iter().all(|known| known.guid != other.guid) {
                    found.push(other);
                }
            }
            return Ok(found);
        }
        if let Some(sid) = user.security_identifier() {
            return find(Identifier::SecurityIdentifier(sid.clone())).await;
        }
        match user.user_principal_name() {
            Some(upn) => find(Identifier::UserPrincipalName(upn.clone())).await,
            None => Ok(Vec::new()),
        }
    }
}
