//! One domain's (or a forest's global catalog's) endpoints as one directory.

use std::{sync::Arc, time::Duration};

use ldap3::Scope;
use operation::{DomainName, ObjectGuid};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    Account, ConfigurationError, DirectoryError, Endpoint, Found, Identifier, RootDse,
    account::{ACCOUNT_ATTRIBUTES, FOUND_ATTRIBUTES, account, found},
    clock::ControllerClock,
    connection::{Answer, Connection, tls},
    credentials::Credentials,
    exchange::{Knowing, Search, by_guid, probe, search_at, unavailable},
    explain::bind_code,
    filter,
    pool::Pool,
    reading::Entry,
};

/// More objects with one identifier than anybody could mean.
const MOST_FOUND: i32 = 32;

/// How to reach a directory.
#[derive(Debug)]
pub struct DirectoryConfig {
    /// In the order in which they are to be asked.
    pub endpoints: Vec<String>,
    pub ca_pem: Vec<u8>,
    pub account: String,
    pub password: SecretString,
    /// The most connections to one endpoint.
    pub connections: usize,
    /// Of each single exchange.
    pub operation_timeout: Duration,
}

/// A pool of bound LDAPS connections to an ordered list of endpoints, with failover.
#[derive(Debug)]
pub struct Directory {
    pools: Vec<Pool>,
    pub(crate) time_out: Duration,
}

/// Whether a password opens an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    Yes,
    /// It is the right one, but expired or to be changed first.
    YesButMustChange,
    No,
    /// The bind was refused for another cause (its `data` code, 0 if none): nothing is known.
    Unknown(u32),
}

impl Directory {
    pub fn new(config: DirectoryConfig) -> Result<Arc<Self>, ConfigurationError> {
        if config.account.is_empty() || config.password.expose_secret().is_empty() {
            return Err(ConfigurationError::NoCredentials);
        }
        if config.endpoints.is_empty() {
            return Err(ConfigurationError::NoEndpoint);
        }
        if config.connections == 0 || config.operation_timeout.is_zero() {
            return Err(ConfigurationError::NoCapacity);
        }
        let tls = tls(&config.ca_pem)?;
        let credentials = Arc::new(Credentials::new(config.account, config.password));
        let pools = config
            .endpoints
            .iter()
            .map(|endpoint| {
                Ok(Pool::new(
                    endpoint.parse::<Endpoint>()?,
                    Arc::clone(&tls),
                    Arc::clone(&credentials),
                    config.connections,
                    config.operation_timeout,
                ))
            })
            .collect::<Result<_, ConfigurationError>>()?;
        Ok(Arc::new(Self {
            pools,
            time_out: config.operation_timeout,
        }))
    }

    /// Asks the first domain controller that answers about itself, connecting if need be.
    pub async fn probe(&self) -> Result<RootDse, DirectoryError> {
        let mut last = None;
        for pool in self.in_order(None) {
            match probe(pool).await {
                Ok(root) => return Ok(root),
                Err(error) => last = Some(error),
            }
            if pool.standing_refusal().is_some() {
                break;
            }
        }
        Err(last.unwrap_or_else(|| self.nobody(None)))
    }

    /// Asks every domain controller about itself, for telling each one's health.
    pub async fn probe_each(&self) -> Vec<(String, Result<RootDse, DirectoryError>)> {
        futures_util::future::join_all(
            self.pools
                .iter()
                .map(|pool| async move { (pool.endpoint.to_string(), probe(pool).await) }),
        )
        .await
    }

    /// What is known of one domain controller's clock.
    pub fn clock_of(&self, domain_controller: &str) -> ControllerClock {
        self.pools
            .iter()
            .find(|pool| pool.endpoint.to_string() == domain_controller)
            .map(Pool::clock)
            .unwrap_or_default()
    }

    /// Finds the objects with this identifier in a domain; on a global catalog also in those below.
    pub async fn find(
        &self,
        base: &DomainName,
        by: &Identifier,
    ) -> Result<Vec<Found>, DirectoryError> {
        let search = Search {
            base: &filter::base(base),
            scope: Scope::Subtree,
            filter: &filter::by(by),
            attributes: FOUND_ATTRIBUTES,
            limit: MOST_FOUND,
            knowing: Knowing::Nothing,
        };
        let (entries, _) = self.search(&search, None).await?;
        Ok(entries.iter().filter_map(found).collect())
    }

    /// Reads an account. None if there is no object with this GUID in the domain.
    pub async fn read_account(&self, guid: ObjectGuid) -> Result<Option<Account>, DirectoryError> {
        self.account(guid, None).await
    }

    /// Reads an account at one domain controller only: another may not have heard of a write yet.
    pub async fn read_account_at(
        &self,
        guid: ObjectGuid,
        domain_controller: &str,
    ) -> Result<Option<Account>, DirectoryError> {
        self.account(guid, Some(domain_controller)).await
    }

    async fn account(
        &self,
        guid: ObjectGuid,
        only: Option<&str>,
    ) -> Result<Option<Account>, DirectoryError> {
        let search = Search {
            base: &by_guid(guid),
            scope: Scope::Base,
            filter: "(objectClass=*)",
            attributes: ACCOUNT_ATTRIBUTES,
            limit: 1,
            knowing: Knowing::Clock,
        };
        let (entries, pool) = self.search(&search, only).await?;
        let endpoint = pool.endpoint.to_string();
        entries
            .first()
            .map(|entry| {
                account(entry, &endpoint).ok_or(DirectoryError::Unexpected {
                    endpoint: endpoint.clone(),
                    cause: "the account came without its objectGUID".to_owned(),
                })
            })
            .transpose()
    }

    /// Whether a password opens an account: a bind on a connection of its own, thrown away after.
    pub async fn opens(
        &self,
        user_principal_name_or_dn: &str,
        password: &SecretString,
    ) -> Result<Opens, DirectoryError> {
        self.opens_in(user_principal_name_or_dn, password, None)
            .await
    }

    /// The same at one domain controller only.
    pub async fn opens_at(
        &self,
        user_principal_name_or_dn: &str,
        password: &SecretString,
        domain_controller: &str,
    ) -> Result<Opens, DirectoryError> {
        self.opens_in(user_principal_name_or_dn, password, Some(domain_controller))
            .await
    }

    async fn opens_in(
        &self,
        name: &str,
        password: &SecretString,
        only: Option<&str>,
    ) -> Result<Opens, DirectoryError> {
        // RFC 4513 5.1.2: without a name or a password the bind is anonymous, and succeeds
        if name.is_empty() || password.expose_secret().is_empty() {
            return Ok(Opens::No);
        }
        let mut last = None;
        for pool in self.in_order(only) {
            let tls = Arc::clone(&pool.tls);
            let connection = match Connection::open(&pool.endpoint, tls, pool.time_out).await {
                Ok(connection) => connection,
                Err(error) => {
                    last = Some(error.at(&pool.endpoint));
                    continue;
                }
            };
            // sent once only: a repeat would count twice towards the lockout
            return match connection.bind(name, password).await {
                Ok(answer) => Ok(opened(&answer)),
                Err(error) => Err(unavailable(pool, error)),
            };
        }
        Err(last.unwrap_or_else(|| self.nobody(only)))
    }

    /// Reads from the first domain controller that answers. Reads may be repeated freely.
    async fn search(
        &self,
        search: &Search<'_>,
        only: Option<&str>,
    ) -> Result<(Vec<Entry>, &Pool), DirectoryError> {
        let mut last = None;
        for pool in self.in_order(only) {
            match search_at(pool, search).await {
                Ok(entries) => return Ok((entries, pool)),
                Err(error) => last = Some(error),
            }
            if pool.standing_refusal().is_some() {
                break; // the account is refused: asking on would only count to its lockout
            }
        }
        Err(last.unwrap_or_else(|| self.nobody(only)))
    }

    /// The endpoints as configured, those that failed a moment ago last.
    pub(crate) fn in_order(&self, only: Option<&str>) -> impl Iterator<Item = &Pool> + use<'_> {
        let mut pools: Vec<&Pool> = self
            .pools
            .iter()
            .filter(|pool| only.is_none_or(|only| pool.endpoint.to_string() == only))
            .collect();
        pools.sort_by_key(|pool| pool.rests());
        pools.into_iter()
    }

    pub(crate) fn nobody(&self, only: Option<&str>) -> DirectoryError {
        let known: Vec<String> = self.pools.iter().map(|p| p.endpoint.to_string()).collect();
        DirectoryError::Misconfigured {
            endpoint: only.map_or_else(|| known.join(", "), str::to_owned),
            cause: "it is not one of the configured domain controllers".to_owned(),
        }
    }
}

fn opened(answer: &Answer) -> Opens {
    match (answer.result, bind_code(&answer.text)) {
        (0, _) => Opens::Yes,
        // the password is looked at before its age (MS-ERREF ERROR_PASSWORD_EXPIRED, _MUST_CHANGE)
        (49, Some(0x532 | 0x773)) => Opens::YesButMustChange,
        (49, Some(0x52e)) => Opens::No,
        (_, code) => Opens::Unknown(code.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests;
