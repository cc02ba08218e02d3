//! One connection to one domain controller, to read security descriptors and to write one.

mod change;
mod identity;
mod pages;
mod schema;

use std::sync::Arc;

use ldap3::{Scope, SearchEntry, SearchOptions, controls::RawControl};

pub use self::identity::NamedAccount;
use super::descriptor::SecurityDescriptor;
use crate::{
    Directory, DirectoryError, RootDse,
    breaker::Failure,
    clock::ControllerClock,
    connection::{Answer, CallError},
    controllers::For,
    exchange::{nobody_asked, unavailable},
    pool::{Lease, Pool},
    reading::Entry,
};

/// LDAP_SERVER_SD_FLAGS_OID (MS-ADTS 3.1.1.3.4.1.11). Without it the whole descriptor is asked for, and
/// whoever may not see the SACL gets nothing.
const SD_FLAGS: &str = "1.2.840.113556.1.4.801";
/// SEQUENCE { INTEGER 7 }: owner, group and DACL.
const OWNER_GROUP_DACL: [u8; 5] = [0x30, 0x03, 0x02, 0x01, 0x07];

/// Reads at one domain controller, so that all of it is of one state. Dropped, the connection is closed.
#[derive(Debug)]
pub struct Inspection {
    pool: Arc<Pool>,
    lease: Lease,
}

/// An object with what protects it.
#[derive(Debug, Clone)]
pub(crate) struct Guarded {
    pub(crate) entry: Entry,
    /// None: the account may not read it, or it cannot be read.
    pub(crate) descriptor: Option<SecurityDescriptor>,
}

impl Directory {
    /// At the first domain controller that answers.
    pub async fn inspect(&self) -> Result<Inspection, DirectoryError> {
        let mut last = None;
        for pool in self.controllers.wanted(For::Reading).await? {
            match pool.lease().await {
                Ok(lease) => return Ok(Inspection { pool, lease }),
                Err(error) => last = Some(error),
            }
            if pool.standing_refusal().is_some() {
                break; // the account is refused: asking on would only count to its lockout
            }
        }
        Err(last.unwrap_or_else(nobody_asked))
    }
}

fn sd_flags(value: [u8; 5]) -> RawControl {
    RawControl {
        ctype: SD_FLAGS.to_owned(),
        crit: true,
        val: Some(value.to_vec()),
    }
}

fn guarded(entry: Entry) -> Guarded {
    let descriptor = entry
        .bytes("nTSecurityDescriptor")
        .and_then(|bytes| SecurityDescriptor::parse(bytes).ok());
    Guarded { entry, descriptor }
}

impl Inspection {
    pub fn domain_controller(&self) -> String {
        self.pool.endpoint.to_string()
    }

    /// The security descriptor of an object; None if there is no such object, or the account may not
    /// read it.
    pub async fn descriptor(&self, dn: &str) -> Result<Option<SecurityDescriptor>, DirectoryError> {
        let found = self.guarded(dn, &["nTSecurityDescriptor"]).await?;
        Ok(found.and_then(|found| found.descriptor))
    }

    /// An object with its descriptor.
    pub(crate) async fn guarded(
        &self,
        dn: &str,
        attributes: &'static [&'static str],
    ) -> Result<Option<Guarded>, DirectoryError> {
        let base = dn.to_owned();
        let call = self.lease.connection.call(move |mut ldap| async move {
            let ldap3::SearchResult(entries, result) = ldap
                .with_search_options(SearchOptions::new().sizelimit(1))
                .with_controls(sd_flags(OWNER_GROUP_DACL))
                .search(&base, Scope::Base, "(objectClass=*)", attributes)
                .await?;
            Ok((constructed(entries), Answer::from(result)))
        });
        let (entries, answer) = call.await.map_err(|error| self.broken(error))?;
        match answer.result {
            0 | 4 => Ok(entries.into_iter().next().map(guarded)),
            32 | 34 => Ok(None),
            _ => Err(self.refused(&answer)),
        }
    }

    pub(crate) async fn one(
        &self,
        dn: &str,
        attributes: &'static [&'static str],
    ) -> Result<Option<Entry>, DirectoryError> {
        let filter = "(objectClass=*)".to_owned();
        let found = self.read(dn, Scope::Base, filter, attributes, 1).await?;
        Ok(found.into_iter().next())
    }

    async fn read(
        &self,
        base: &str,
        scope: Scope,
        filter: String,
        attributes: &'static [&'static str],
        limit: i32,
    ) -> Result<Vec<Entry>, DirectoryError> {
        let call = self
            .lease
            .connection
            .search(base, scope, filter, attributes, limit);
        let (entries, answer) = call.await.map_err(|error| self.broken(error))?;
        match answer.result {
            0 | 4 => Ok(entries),
            32 | 34 => Ok(Vec::new()),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Gives the connection back for other uses.
    pub fn end(self) {
        self.pool.give_back(self.lease);
    }

    pub(crate) fn misconfigured(&self, cause: String) -> DirectoryError {
        DirectoryError::Misconfigured {
            endpoint: self.domain_controller(),
            cause,
        }
    }

    fn broken(&self, error: CallError) -> DirectoryError {
        let error = unavailable(&self.pool, error);
        self.pool.failed(Failure::Faltered, &error);
        error
    }

    fn refused(&self, answer: &Answer) -> DirectoryError {
        let endpoint = self.domain_controller();
        let cause = format!("the exchange ended with LDAP result {}", answer.result);
        match answer.result {
            8 | 10 | 12 | 13 | 50 => DirectoryError::Misconfigured { endpoint, cause },
            1 | 3 | 11 | 51 | 52 | 80 => DirectoryError::Unavailable { endpoint, cause },
            _ => DirectoryError::Unexpected { endpoint, cause },
        }
    }

    /// What the domain controller says of itself, and how its clock runs.
    pub(crate) async fn root_dse(&self) -> Result<(RootDse, ControllerClock), DirectoryError> {
        let root = self.lease.connection.root_dse(&self.pool.endpoint).await;
        let root = root.map_err(|error| self.broken(error))?;
        self.pool.observe(root.clone());
        Ok((root, self.pool.facts.clock()))
    }
}

fn constructed(entries: Vec<ldap3::ResultEntry>) -> Vec<Entry> {
    entries
        .into_iter()
        .filter(|entry| !entry.is_ref() && !entry.is_intermediate())
        .map(|entry| SearchEntry::construct(entry).into())
        .collect()
}
