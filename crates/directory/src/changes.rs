//! What changed in one domain controller's copy of a domain: its people and their consistency GUIDs.
//!
//! A domain controller stamps whatever it writes, by its own hand or by replication, with the next of
//! its update sequence numbers (`uSNChanged`, indexed). The numbers are one database's own: they mean
//! nothing at another domain controller, nor at the same one once it was restored from a backup, which
//! gives it a new `invocationId`. All of one reading therefore goes over one connection, for one name
//! may stand for several domain controllers. Deleted people are not told: their tombstones are not
//! readable to a plain account.

use std::{fmt, sync::Arc, time::Duration};

use ldap3::{
    Scope, SearchEntry, SearchOptions,
    controls::{Control, ControlType, MakeCritical as _, PagedResults},
};
use operation::{DomainName, ObjectGuid, SourceAnchor};

use crate::{
    Directory, DirectoryError,
    account::{consistency_guid, guid},
    breaker::Failure,
    connection::{Answer, CallError},
    controllers::For,
    exchange::{by_guid, nobody_asked, unavailable},
    filter,
    pool::{Lease, Pool},
    reading::Entry,
};

/// Active Directory's default `MaxPageSize` (MS-ADTS 3.1.1.3.4.6): asking for more brings no more.
const PAGE: i32 = 1000;

/// A page of an unindexed search: the domain controller looks at every person for it.
const PAGE_TIME_OUT: Duration = Duration::from_secs(30);

/// `SAM_USER_OBJECT`: every ordinary account, of whatever class, and no computer, contact or managed
/// service account. Indexed, and the directory's own to keep right (MS-SAMR 2.2.1.9).
const PEOPLE: &str = "(sAMAccountType=805306368)";

const BEARING_ATTRIBUTES: &[&str] = &["objectGUID", "mS-DS-ConsistencyGuid"];

/// One domain controller's database. Restored from a backup it becomes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InvocationId([u8; 16]);

impl InvocationId {
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ObjectGuid::from_bytes(self.0).fmt(f)
    }
}

/// How far a domain controller's database has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub invocation: InvocationId,
    /// `highestCommittedUSN`: whatever is written later gets a higher number.
    pub update_sequence_number: u64,
}

/// Which anchor a person bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearing {
    pub object: ObjectGuid,
    pub consistency_guid: Option<SourceAnchor>,
}

/// One connection to one domain controller, to read what changed there. Dropped, it is closed.
#[derive(Debug)]
pub struct Visit {
    pool: Arc<Pool>,
    lease: Lease,
    base: String,
    began_at: Position,
}

impl Directory {
    /// Visits the first domain controller that answers, and learns how far it has come.
    pub async fn visit(&self, domain: &DomainName) -> Result<Visit, DirectoryError> {
        let mut last = None;
        for pool in self.controllers.wanted(For::Reading).await? {
            match visit(Arc::clone(&pool), filter::base(domain)).await {
                Ok(visit) => return Ok(visit),
                Err(error) => last = Some(error),
            }
            if pool.standing_refusal().is_some() {
                break; // the account is refused: asking on would only count to its lockout
            }
        }
        Err(last.unwrap_or_else(nobody_asked))
    }
}

async fn visit(pool: Arc<Pool>, base: String) -> Result<Visit, DirectoryError> {
    loop {
        let lease = pool.lease().await?;
        let reused = lease.reused;
        match position(&pool, &lease).await {
            Ok(began_at) => {
                return Ok(Visit {
                    pool,
                    lease,
                    base,
                    began_at,
                });
            }
            // an idle connection that died is replaced
            Err(DirectoryError::Unavailable { .. }) if reused => pool.forget_idle(),
            Err(error) => {
                pool.failed(Failure::Faltered, &error);
                return Err(error);
            }
        }
    }
}

impl Visit {
    pub fn domain_controller(&self) -> String {
        self.pool.endpoint.to_string()
    }

    /// How far the database had come when the visit began.
    pub const fn began_at(&self) -> Position {
        self.began_at
    }

    /// How far the database has come by now.
    pub async fn position(&self) -> Result<Position, DirectoryError> {
        position(&self.pool, &self.lease).await
    }

    /// Everybody who has a consistency GUID, whatever it is.
    pub fn everybody(&self) -> Pages<'_> {
        self.pages(format!("(&{PEOPLE}(mS-DS-ConsistencyGuid=*))"))
    }

    /// Everybody who was written to after this number: also those who lost their consistency GUID.
    pub fn changed_after(&self, update_sequence_number: u64) -> Pages<'_> {
        let next = update_sequence_number.saturating_add(1);
        self.pages(format!("(&{PEOPLE}(uSNChanged>={next}))"))
    }

    /// What this domain controller holds of a person; None if there is no such object.
    pub async fn person(&self, object: ObjectGuid) -> Result<Option<Bearing>, DirectoryError> {
        let searched = self
            .lease
            .connection
            .search(
                &by_guid(object),
                Scope::Base,
                PEOPLE.to_owned(),
                BEARING_ATTRIBUTES,
                1,
            )
            .await;
        let (entries, answer) = searched.map_err(|error| broken(&self.pool, error))?;
        match answer.result {
            0 => Ok(entries.first().and_then(bearing)),
            // 10: known from the global catalog that it is too, and in another domain by now
            10 | 32 => Ok(None),
            _ => Err(refused(&self.pool, &answer)),
        }
    }

    /// Gives the connection back for other uses.
    pub fn end(self) {
        self.pool.give_back(self.lease);
    }

    fn pages(&self, filter: String) -> Pages<'_> {
        Pages {
            pool: &self.pool,
            lease: &self.lease,
            base: &self.base,
            filter,
            cookie: Some(Vec::new()),
        }
    }
}

/// A search's results, page by page (RFC 2696).
#[derive(Debug)]
pub struct Pages<'a> {
    pool: &'a Pool,
    lease: &'a Lease,
    base: &'a str,
    filter: String,
    cookie: Option<Vec<u8>>,
}

impl Pages<'_> {
    /// The next page, which may be empty though others follow; None after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Bearing>>, DirectoryError> {
        let Some(cookie) = self.cookie.take() else {
            return Ok(None);
        };
        let (base, filter) = (self.base.to_owned(), self.filter.clone());
        let page = self
            .lease
            .connection
            .call_within(PAGE_TIME_OUT, move |mut ldap| async move {
                // critical: a server that ignored it would give the first part for the whole
                let paged = PagedResults { size: PAGE, cookie }.critical();
                let ldap3::SearchResult(entries, result) = ldap
                    .with_search_options(SearchOptions::new())
                    .with_controls(paged)
                    .search(&base, Scope::Subtree, &filter, BEARING_ATTRIBUTES)
                    .await?;
                let next = result.ctrls.iter().find_map(|control| match control {
                    Control(Some(ControlType::PagedResults), raw) => {
                        Some(raw.parse::<PagedResults>().cookie)
                    }
                    _ => None,
                });
                let people: Vec<Bearing> = entries
                    .into_iter()
                    .filter(|entry| !entry.is_ref() && !entry.is_intermediate())
                    .filter_map(|entry| bearing(&SearchEntry::construct(entry).into()))
                    .collect();
                Ok((people, next, Answer::from(result)))
            })
            .await;
        let (people, next, answer) = page.map_err(|error| broken(self.pool, error))?;
        // also 4, more than the server cares to tell: a part is not the whole
        if answer.result != 0 {
            return Err(refused(self.pool, &answer));
        }
        let next = next.ok_or_else(|| DirectoryError::Unexpected {
            endpoint: self.pool.endpoint.to_string(),
            cause: "a page came without word whether another follows".to_owned(),
        })?;
        self.cookie = (!next.is_empty()).then_some(next);
        Ok(Some(people))
    }
}

/// How far the domain controller at the other end has come, and which database it is.
async fn position(pool: &Pool, lease: &Lease) -> Result<Position, DirectoryError> {
    let read = async |base: &str, attributes| {
        lease
            .connection
            .search(
                base,
                Scope::Base,
                "(objectClass=*)".to_owned(),
                attributes,
                1,
            )
            .await
            .map_err(|error| unavailable(pool, error))
    };
    let unreadable = |what: &str, answer: &Answer| DirectoryError::Misconfigured {
        endpoint: pool.endpoint.to_string(),
        cause: format!(
            "the account cannot read {what} (LDAP result {})",
            answer.result
        ),
    };
    let (entries, answer) = read("", &["highestCommittedUSN", "dsServiceName"]).await?;
    let root = entries.first();
    let (Some(number), Some(service)) = (
        root.and_then(|root| root.text("highestCommittedUSN")?.parse::<u64>().ok()),
        root.and_then(|root| root.text("dsServiceName").map(str::to_owned)),
    ) else {
        return Err(unreadable(
            "highestCommittedUSN and dsServiceName of the rootDSE",
            &answer,
        ));
    };
    let (entries, answer) = read(&service, &["invocationId"]).await?;
    let invocation = entries
        .first()
        .and_then(|entry| <[u8; 16]>::try_from(entry.bytes("invocationId")?).ok())
        .map(InvocationId)
        .ok_or_else(|| unreadable("the invocationId of its nTDSDSA object", &answer))?;
    Ok(Position {
        invocation,
        update_sequence_number: number,
    })
}

fn bearing(entry: &Entry) -> Option<Bearing> {
    Some(Bearing {
        object: guid(entry)?,
        consistency_guid: consistency_guid(entry),
    })
}

fn broken(pool: &Pool, error: CallError) -> DirectoryError {
    let error = unavailable(pool, error);
    pool.failed(Failure::Faltered, &error);
    error
}

fn refused(pool: &Pool, answer: &Answer) -> DirectoryError {
    let endpoint = pool.endpoint.to_string();
    let cause = format!(
        "the reading of changes ended with LDAP result {}",
        answer.result
    );
    match answer.result {
        8 | 10 | 12 | 13 | 50 => DirectoryError::Misconfigured { endpoint, cause },
        _ => {
            pool.rest();
            DirectoryError::Unavailable { endpoint, cause }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_readable_consistency_guid_bears_none() {
        let entry = |values: &[(&str, Vec<Vec<u8>>)]| Entry::for_test("CN=Ana,DC=corp", values);
        let object = ("objectGUID", vec![vec![1; 16]]);
        let with = |guid: Vec<Vec<u8>>| entry(&[object.clone(), ("mS-DS-ConsistencyGuid", guid)]);
        let expected = |anchor: Option<[u8; 16]>| {
            Some(Bearing {
                object: ObjectGuid::from_bytes([1; 16]),
                consistency_guid: anchor.map(SourceAnchor::from_bytes),
            })
        };
        assert_eq!(bearing(&with(vec![vec![2; 16]])), expected(Some([2; 16])));
        assert_eq!(bearing(&with(vec![vec![2; 15]])), expected(None));
        assert_eq!(bearing(&with(Vec::new())), expected(None));
        assert_eq!(
            bearing(&entry(std::slice::from_ref(&object))),
            expected(None)
        );
        assert_eq!(bearing(&entry(&[])), None);
    }
}
