//! One domain's (or a forest's global catalog's) endpoints as one directory.

use std::{sync::Arc, time::Duration};

use ldap3::Scope;
use operation::{DomainName, ObjectGuid};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::JoinSet;

use crate::{
    Account, ConfigurationError, ControllerReport, DirectoryError, Endpoint, Found, Identifier,
    RootDse, Topology,
    account::{ACCOUNT_ATTRIBUTES, FOUND_ATTRIBUTES, account, found, hides_its_state},
    clock::ControllerClock,
    connection::Answer,
    controllers::{Controllers, For},
    credentials::Credentials,
    discovery::Discovery,
    dns::Dns,
    exchange::{Knowing, Search, by_guid, nobody_asked, probe, search_at, unavailable},
    explain::bind_code,
    filter,
    keeper::keep,
    pool::{Blueprint, Pool},
    reading::Entry,
    trust::Trust,
};

/// More objects with one identifier than anybody could mean.
const MOST_FOUND: i32 = 32;

/// How to reach a directory.
#[derive(Debug)]
pub struct DirectoryConfig {
    /// The domain controllers; none, to have them found by DNS.
    pub endpoints: Vec<String>,
    pub topology: Topology,
    pub ca_pem: Vec<u8>,
    pub account: String,
    pub password: SecretString,
    /// The most connections to one endpoint.
    pub connections: usize,
    /// Of each single exchange.
    pub operation_timeout: Duration,
}

/// Pools of bound LDAPS connections to a domain's controllers, with failover.
#[derive(Debug)]
pub struct Directory {
    pub(crate) controllers: Arc<Controllers>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) time_out: Duration,
    /// Aborted with the directory.
    _keeper: JoinSet<()>,
}

/// Whether a password opens an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    Yes,
    /// It is the right one, but expired or to be changed first.
    YesButMustChange,
    /// It is the right one, and the account may not sign in now, or from here, or at all.
    YesButKeptOut,
    No,
    /// Too many wrong ones: no password is looked at until the account is unlocked.
    Locked,
    /// The bind was refused for another cause (its `data` code, 0 if none): nothing is known.
    Unknown(u32),
}

impl Directory {
    /// To be called within a runtime: the controllers are looked after in the background.
    pub fn new(config: DirectoryConfig) -> Result<Arc<Self>, ConfigurationError> {
        if config.account.is_empty() || config.password.expose_secret().is_empty() {
            return Err(ConfigurationError::NoCredentials);
        }
        if config.connections == 0 || config.operation_timeout.is_zero() {
            return Err(ConfigurationError::NoCapacity);
        }
        let topology = &config.topology;
        let endpoints = config
            .endpoints
            .iter()
            .map(|endpoint| endpoint.parse::<Endpoint>())
            .collect::<Result<Vec<_>, _>>()?;
        let referred = topology
            .referral_hosts
            .iter()
            .map(|host| format!("ldaps://{host}").parse::<Endpoint>())
            .collect::<Result<Vec<_>, _>>()?;
        let discover = topology.discover.clone().filter(|_| endpoints.is_empty());
        if endpoints.is_empty() && discover.is_none() {
            return Err(ConfigurationError::NoEndpoint);
        }
        // addresses are left to the system, unless DNS is asked for the domain's controllers anyway
        let dns = if discover.is_some() || !topology.dns_servers.is_empty() {
            Some(Arc::new(Dns::new(&topology.dns_servers)?))
        } else {
            None
        };
        let discovery = discover.zip(dns.clone()).map(|(domain, dns)| Discovery {
            dns,
            domain,
            site: topology.site.clone(),
        });
        let trust = Arc::new(Trust::new(&config.ca_pem)?);
        let credentials = Arc::new(Credentials::new(config.account, config.password));
        let blueprint = Blueprint {
            trust: Arc::clone(&trust),
            credentials: Arc::clone(&credentials),
            connections: config.connections,
            time_out: config.operation_timeout,
            dns,
            opened: Arc::default(),
        };
        let controllers = Arc::new(Controllers::new(blueprint, endpoints, referred, topology));
        Ok(Arc::new(Self {
            _keeper: keep(&controllers, discovery),
            controllers,
            trust,
            credentials,
            time_out: config.operation_timeout,
        }))
    }

    /// What is known of every domain controller, in the order in which they are asked. Asks nobody.
    pub fn controllers(&self) -> Vec<ControllerReport> {
        self.controllers
            .members()
            .iter()
            .map(|pool| pool.report())
            .collect()
    }

    /// Every domain controller that a write may have been sent to, by this process or another.
    pub fn perhaps_written_at(&self) -> Vec<String> {
        self.controllers.perhaps_written_at()
    }

    /// Asks the first domain controller that answers about itself, connecting if need be.
    pub async fn probe(&self) -> Result<RootDse, DirectoryError> {
        let mut last = None;
        for pool in self.controllers.wanted(For::Reading).await? {
            match probe(&pool).await {
                Ok(root) => return Ok(root),
                Err(error) => last = Some(error),
            }
            if pool.standing_refusal().is_some() {
                break;
            }
        }
        Err(last.unwrap_or_else(nobody_asked))
    }

    /// Asks every domain controller about itself, for telling each one's health.
    pub async fn probe_each(&self) -> Vec<(String, Result<RootDse, DirectoryError>)> {
        let pools = self.controllers.members();
        futures_util::future::join_all(
            pools
                .iter()
                .map(|pool| async move { (pool.endpoint.to_string(), probe(pool).await) }),
        )
        .await
    }

    /// What is known of one domain controller's clock.
    pub fn clock_of(&self, domain_controller: &str) -> ControllerClock {
        self.controllers
            .at(domain_controller)
            .map(|pool| pool.facts.clock())
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
        let (entries, _) = self.search(&search, For::Reading).await?;
        Ok(entries.iter().filter_map(found).collect())
    }

    /// Reads an account where it would be written to. None if there is no object with this GUID in the
    /// domain.
    pub async fn read_account(&self, guid: ObjectGuid) -> Result<Option<Account>, DirectoryError> {
        self.account(guid, For::Writing).await
    }

    /// Reads an account at one domain controller only: another may not have heard of a write yet.
    pub async fn read_account_at(
        &self,
        guid: ObjectGuid,
        domain_controller: &str,
    ) -> Result<Option<Account>, DirectoryError> {
        self.account(guid, For::At(domain_controller)).await
    }

    async fn account(
        &self,
        guid: ObjectGuid,
        wanted: For<'_>,
    ) -> Result<Option<Account>, DirectoryError> {
        let search = Search {
            base: &by_guid(guid),
            scope: Scope::Base,
            filter: "(objectClass=*)",
            attributes: ACCOUNT_ATTRIBUTES,
            limit: 1,
            knowing: Knowing::Clock,
        };
        let (entries, pool) = self.search(&search, wanted).await?;
        let endpoint = pool.endpoint.to_string();
        entries
            .first()
            .map(|entry| {
                if hides_its_state(entry) {
                    return Err(DirectoryError::Misconfigured {
                        endpoint: endpoint.clone(),
                        cause:
                            "the service account may not read userAccountControl of the person; \
                                `writebackctl permissions check` says where"
                                .to_owned(),
                    });
                }
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
        self.opens_in(user_principal_name_or_dn, password, For::Reading)
            .await
    }

    /// The same at one domain controller only.
    pub async fn opens_at(
        &self,
        user_principal_name_or_dn: &str,
        password: &SecretString,
        domain_controller: &str,
    ) -> Result<Opens, DirectoryError> {
        self.opens_in(
            user_principal_name_or_dn,
            password,
            For::At(domain_controller),
        )
        .await
    }

    async fn opens_in(
        &self,
        name: &str,
        password: &SecretString,
        wanted: For<'_>,
    ) -> Result<Opens, DirectoryError> {
        // RFC 4513 5.1.2: without a name or a password the bind is anonymous, and succeeds
        if name.is_empty() || password.expose_secret().is_empty() {
            return Ok(Opens::No);
        }
        let mut last = None;
        for pool in self.controllers.wanted(wanted).await? {
            let admitted = match pool.admit() {
                Ok(()) => pool.open().await,
                Err(left_alone) => Err(left_alone),
            };
            let connection = match admitted {
                Ok(connection) => connection,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            // sent once only: a repeat would count twice towards the lockout
            return match connection.bind(name, password).await {
                Ok(answer) => Ok(opened(&answer)),
                Err(error) => Err(unavailable(&pool, error)),
            };
        }
        Err(last.unwrap_or_else(nobody_asked))
    }

    /// Reads from the first domain controller that answers. Reads may be repeated freely.
    async fn search(
        &self,
        search: &Search<'_>,
        wanted: For<'_>,
    ) -> Result<(Vec<Entry>, Arc<Pool>), DirectoryError> {
        let mut last = None;
        for pool in self.controllers.wanted(wanted).await? {
            match search_at(&pool, search).await {
                Ok(entries) => return Ok((entries, pool)),
                Err(error) => last = Some(error),
            }
            if pool.standing_refusal().is_some() {
                break; // the account is refused: asking on would only count to its lockout
            }
        }
        Err(last.unwrap_or_else(nobody_asked))
    }
}

fn opened(answer: &Answer) -> Opens {
    match (answer.result, bind_code(&answer.text)) {
        (0, _) => Opens::Yes,
        // the password is looked at before its age (MS-ERREF ERROR_PASSWORD_EXPIRED, _MUST_CHANGE)
        (49, Some(0x532 | 0x773)) => Opens::YesButMustChange,
        // nor are hours, workstation, disabled and expired told of a wrong one (ERROR_INVALID_LOGON_HOURS, _INVALID_WORKSTATION,
        // _ACCOUNT_DISABLED, _ACCOUNT_EXPIRED)
        (49, Some(0x530 | 0x531 | 0x533 | 0x701)) => Opens::YesButKeptOut,
        (49, Some(0x52e)) => Opens::No,
        (49, Some(0x775)) => Opens::Locked,
        (_, code) => Opens::Unknown(code.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests;
