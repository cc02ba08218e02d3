//! One domain's (or a forest's global catalog's) endpoints as one directory.

use std::{sync::Arc, time::Duration};

use ldap3::Scope;
use operation::{DomainName, ObjectGuid, Reason};
use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{
    Account, ConfigurationError, DeadlineInstant, DirectoryError, Endpoint, Explained, Found,
    Identifier, PasswordWrite, PwdLastSet, RootDse, WriteError, WriteReceipt,
    account::{
        ACCOUNT_ATTRIBUTES, FOUND_ATTRIBUTES, account, allowed_attributes, found, pwd_last_set,
    },
    clock::ControllerClock,
    connection::{Answer, CallError, Connection},
    credentials::Credentials,
    domain_of,
    explain::{bind_code, explain, name_missing_right},
    filter,
    policy::{POLICY_ATTRIBUTES, Policy, SUBJECT_ATTRIBUTES, Subject},
    policy_hints::critical,
    pool::{Lease, Pool},
    reading::Entry,
    trust::Trust,
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

/// A pool of bound connections over TLS to an ordered list of endpoints, with failover.
#[derive(Debug)]
pub struct Directory {
    pools: Vec<Pool>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) credentials: Arc<Credentials>,
    time_out: Duration,
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

/// One read of an entry or entries.
struct Search<'a> {
    base: &'a str,
    scope: Scope,
    filter: &'a str,
    attributes: &'static [&'static str],
    limit: i32,
    knowing: Knowing,
}

/// What must be known of a domain controller before an exchange with it. What was not learnt from
/// an exchange a moment ago is asked for, which costs a round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knowing {
    /// Nothing: what a dead connection did not answer is asked again on a new one.
    Nothing,
    /// Its clock: times in the answer will be compared with ours.
    Clock,
    /// Its clock, and that the connection is alive: what is lost on a dead one stays in doubt.
    ClockAndLife,
}

impl Knowing {
    fn is_met(self, pool: &Pool, lease: &Lease) -> bool {
        match self {
            Self::Nothing => true,
            Self::Clock => pool.clock_is_fresh(),
            Self::ClockAndLife => pool.clock_is_fresh() && lease.is_proven(),
        }
    }
}

/// A modify that was sent, and what came of it.
struct Sent {
    lease: Lease,
    policy_hints: Option<&'static str>,
    began: OffsetDateTime,
    ended: OffsetDateTime,
    answer: Result<Answer, CallError>,
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
        let trust = Arc::new(Trust::new(&config.ca_pem)?);
        let credentials = Arc::new(Credentials::new(config.account, config.password));
        let pools = config
            .endpoints
            .iter()
            .map(|endpoint| {
                Ok(Pool::new(
                    endpoint.parse::<Endpoint>()?,
                    Arc::clone(&trust),
                    Arc::clone(&credentials),
                    config.connections,
                    config.operation_timeout,
                ))
            })
            .collect::<Result<_, ConfigurationError>>()?;
        Ok(Arc::new(Self {
            pools,
            trust,
            credentials,
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

    /// Carries out a write as one modify, at the first domain controller that can be reached. The
    /// modify is sent only if its own time-out still ends before `at`. A refusal that comes out of it
    /// as transient is one that waiting may help: every domain controller has been asked.
    pub async fn write(
        &self,
        guid: ObjectGuid,
        change: &PasswordWrite,
        at: DeadlineInstant,
    ) -> Result<WriteReceipt, WriteError> {
        let (mut last, mut away) = (None, false);
        for pool in self.in_order(None) {
            match self.write_at(pool, guid, change, at).await {
                Err(WriteError::CertainlyNot(explained)) if explained.transient => {
                    away |= explained.reason == Reason::ForestUnavailable;
                    last = Some(explained);
                }
                decided => return decided,
            }
        }
        let last = last.unwrap_or_else(|| self.nobody(None).explained());
        // one that is away comes back; one that cannot do it does not learn it meanwhile
        Err(WriteError::CertainlyNot(Explained {
            transient: away,
            ..last
        }))
    }

    /// Sends the modify once; again only when it certainly was not sent.
    async fn send(
        &self,
        pool: &Pool,
        guid: ObjectGuid,
        change: &PasswordWrite,
        at: DeadlineInstant,
    ) -> Result<Sent, WriteError> {
        loop {
            // a connection proven alive a moment ago makes an unknown outcome rare
            let lease = ready(pool, Knowing::ClockAndLife).await.map_err(|error| {
                // nothing was sent: another may do, unless the account itself is refused
                WriteError::CertainlyNot(Explained {
                    transient: pool.standing_refusal().is_none(),
                    ..error.explained()
                })
            })?;
            if Instant::now() + self.time_out > at {
                pool.give_back(lease);
                return Err(WriteError::CertainlyNot(Explained {
                    reason: Reason::DeadlineExceeded,
                    detail: "the write could no longer end before the deadline".to_owned(),
                    violations: Vec::new(),
                    transient: false,
                }));
            }
            let policy_hints = match change.policy_hints().control(pool.policy_hints()) {
                Ok(control) => control,
                Err(explained) => {
                    pool.give_back(lease);
                    return Err(WriteError::CertainlyNot(explained));
                }
            };
            let began = OffsetDateTime::now_utc();
            let answer = lease
                .connection
                .modify(
                    by_guid(guid),
                    change.modifications(),
                    policy_hints.map(critical),
                )
                .await;
            let ended = OffsetDateTime::now_utc();
            if lease.reused && matches!(answer, Err(CallError::NotSent)) {
                pool.forget_idle(); // it died since; nothing was sent
                continue;
            }
            return Ok(Sent {
                lease,
                policy_hints,
                began,
                ended,
                answer,
            });
        }
    }

    async fn write_at(
        &self,
        pool: &Pool,
        guid: ObjectGuid,
        change: &PasswordWrite,
        at: DeadlineInstant,
    ) -> Result<WriteReceipt, WriteError> {
        let certainly_not = |error: DirectoryError| WriteError::CertainlyNot(error.explained());
        let Sent {
            lease,
            policy_hints,
            began,
            ended,
            answer: sent,
        } = self.send(pool, guid, change, at).await?;
        match sent {
            Ok(answer) if answer.result == 0 => {
                let expired_at_once = change.needs_unexpire()
                    && !pool.unexpire_is_proven()
                    && expired_at_once(pool, &lease.connection, guid).await;
                pool.give_back(lease);
                let clock = pool.clock();
                Ok(WriteReceipt {
                    domain_controller: pool.endpoint.to_string(),
                    began: clock.earliest(began),
                    ended: clock.latest(ended),
                    policy_hints,
                    expired_at_once,
                })
            }
            Ok(answer) => {
                let mut explained = explain(change, answer.result, &answer.text);
                if matches!(
                    explained.reason,
                    Reason::AccessDenied | Reason::CannotChangePassword
                ) {
                    let allowed = allowed_on(&lease.connection, guid).await;
                    name_missing_right(change, allowed.as_ref(), &mut explained);
                }
                if explained.reason == Reason::PasswordPolicy {
                    let now = pool.clock().earliest(ended);
                    let history = change.obeys_history(policy_hints);
                    let broken = &mut explained;
                    name_broken_rules(&lease.connection, guid, change, now, history, broken).await;
                }
                if explained.transient {
                    pool.failed();
                } else {
                    pool.give_back(lease);
                }
                Err(WriteError::CertainlyNot(explained))
            }
            Err(CallError::NotSent) => {
                pool.failed();
                let error = DirectoryError::Unavailable {
                    endpoint: pool.endpoint.to_string(),
                    cause: CallError::NotSent.cause(),
                };
                Err(certainly_not(error))
            }
            Err(CallError::Lost(cause)) => {
                pool.forget_idle();
                pool.failed();
                Err(WriteError::Unknown {
                    problem: format!("{}: {cause}", pool.endpoint),
                    policy_hints,
                })
            }
        }
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
            let tls = pool.trust.tls();
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

/// `<GUID=…>` as a name (MS-ADTS 3.1.1.3.1.2.4): a rename or move cannot break it.
pub(crate) fn by_guid(guid: ObjectGuid) -> String {
    format!("<GUID={guid}>")
}

/// Whether a search's base is one object, wherever it is, and not a part of the directory.
fn names_one_object(base: &str) -> bool {
    base.starts_with("<GUID=")
}

pub(crate) fn unavailable(pool: &Pool, error: CallError) -> DirectoryError {
    DirectoryError::Unavailable {
        endpoint: pool.endpoint.to_string(),
        cause: error.cause(),
    }
}

/// A connection for an exchange before which this must be known.
async fn ready(pool: &Pool, knowing: Knowing) -> Result<Lease, DirectoryError> {
    let lease = pool.lease().await?;
    if knowing.is_met(pool, &lease) {
        return Ok(lease);
    }
    let (lease, _) = proven(pool, lease).await?;
    Ok(lease)
}

/// A connection that answered just now, and what it said. An idle one that died is replaced.
async fn proven(pool: &Pool, mut lease: Lease) -> Result<(Lease, RootDse), DirectoryError> {
    loop {
        match lease.connection.root_dse(&pool.endpoint).await {
            Ok(root) => {
                pool.observe(&root);
                return Ok((lease, root));
            }
            Err(_) if lease.reused => pool.forget_idle(),
            Err(error) => {
                pool.failed();
                return Err(unavailable(pool, error));
            }
        }
        drop(lease); // it holds the permit that the next one may need
        lease = pool.lease().await?;
    }
}

async fn probe(pool: &Pool) -> Result<RootDse, DirectoryError> {
    let (lease, root) = proven(pool, pool.lease().await?).await?;
    pool.give_back(lease);
    Ok(root)
}

async fn search_at(pool: &Pool, search: &Search<'_>) -> Result<Vec<Entry>, DirectoryError> {
    let (lease, entries, answer) = loop {
        let lease = ready(pool, search.knowing).await?;
        let answered = lease
            .connection
            .search(
                search.base,
                search.scope,
                search.filter.to_owned(),
                search.attributes,
                search.limit,
            )
            .await;
        match answered {
            Ok((entries, answer)) => break (lease, entries, answer),
            // the connection may have been dead all along
            Err(_) if lease.reused => pool.forget_idle(),
            Err(error) => {
                pool.forget_idle();
                pool.failed();
                return Err(unavailable(pool, error));
            }
        }
    };
    let endpoint = pool.endpoint.to_string();
    let cause = format!("the search ended with LDAP result {}", answer.result);
    let error = match answer.result {
        // 4: more than we asked for, which is already more than one
        0 | 4 => {
            pool.give_back(lease);
            return Ok(entries);
        }
        32 => {
            pool.give_back(lease);
            return Ok(Vec::new());
        }
        // one that is a global catalog too knows the object, and that it is in another domain by now
        10 if names_one_object(search.base) => {
            pool.give_back(lease);
            return Ok(Vec::new());
        }
        1 | 3 | 11 | 51 | 52 | 80 => {
            pool.failed();
            return Err(DirectoryError::Unavailable { endpoint, cause });
        }
        10 | 8 | 13 | 50 => DirectoryError::Misconfigured { endpoint, cause },
        _ => DirectoryError::Unexpected { endpoint, cause },
    };
    pool.give_back(lease);
    Err(error)
}

/// Whether the password that was just set must be changed at once; not, where that cannot be read: the
/// next reset will be looked at.
async fn expired_at_once(pool: &Pool, connection: &Connection, guid: ObjectGuid) -> bool {
    let Some(entry) = read_one(connection, &by_guid(guid), &["pwdLastSet"]).await else {
        return false;
    };
    // without the attribute nothing is told: the service account may not read it
    let Some(set) = entry.text("pwdLastSet") else {
        return false;
    };
    let expired = pwd_last_set(Some(set)) == PwdLastSet::MustChange;
    pool.unexpire_seen(!expired);
    if expired {
        tracing::warn!(endpoint = %pool.endpoint, "a reset left the password expired: Unexpire-Password is missing");
    }
    expired
}

/// What the service account may write on the object; None if that cannot be read.
async fn allowed_on(
    connection: &Connection,
    guid: ObjectGuid,
) -> Option<std::collections::BTreeSet<String>> {
    let entry = read_one(connection, &by_guid(guid), &["allowedAttributesEffective"]).await?;
    Some(allowed_attributes(&entry))
}

/// Says which rules the password broke, as far as the service account may read the policy.
async fn name_broken_rules(
    connection: &Connection,
    guid: ObjectGuid,
    change: &PasswordWrite,
    now: OffsetDateTime,
    with_history: bool,
    explained: &mut Explained,
) {
    let Some(password) = change.new_password() else {
        return;
    };
    let Some(account) = read_one(connection, &by_guid(guid), SUBJECT_ATTRIBUTES).await else {
        return;
    };
    let subject = Subject::read(&account);
    let holder = match &subject.settings_object {
        Some(settings_object) => settings_object.clone(),
        None => match domain_of(&account.dn) {
            Some(domain) => filter::base(&domain),
            None => return,
        },
    };
    let Some(policy) = read_one(connection, &holder, POLICY_ATTRIBUTES)
        .await
        .and_then(|entry| Policy::read(&entry))
    else {
        return;
    };
    explained.violations = policy.violations(
        password.expose_secret(),
        &subject,
        now,
        with_history,
        std::mem::take(&mut explained.violations),
    );
}

async fn read_one(
    connection: &Connection,
    name: &str,
    attributes: &'static [&'static str],
) -> Option<Entry> {
    let filter = "(objectClass=*)".to_owned();
    let (entries, _) = connection
        .search(name, Scope::Base, filter, attributes, 1)
        .await
        .ok()?;
    entries.into_iter().next()
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
