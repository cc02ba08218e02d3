//! One connection to one domain controller, to read security descriptors and to write one.

use std::{collections::HashSet, fmt::Write as _, sync::Arc, time::Duration};

use ldap3::{
    Mod, Scope, SearchEntry, SearchOptions,
    controls::{Control, ControlType, MakeCritical as _, PagedResults, RawControl},
};
use operation::{DomainName, SecurityIdentifier};
use uuid::Uuid;

use super::{
    Gift, Place, Token,
    descriptor::{Acl, SecurityDescriptor},
    right::{Attribute, Schema},
    survey::{CONTAINER_ATTRIBUTES, CONTAINERS},
};
use crate::{
    Directory, DirectoryError, RootDse,
    breaker::Failure,
    clock::ControllerClock,
    connection::{Answer, CallError},
    controllers::For,
    exchange::{by_guid, nobody_asked, unavailable},
    filter,
    pool::{Lease, Pool},
    reading::Entry,
};

/// LDAP_SERVER_SD_FLAGS_OID (MS-ADTS 3.1.1.3.4.1.11). Without it the whole descriptor is asked for, and
/// whoever may not see the SACL gets nothing.
const SD_FLAGS: &str = "1.2.840.113556.1.4.801";
/// SEQUENCE { INTEGER 7 }: owner, group and DACL.
const OWNER_GROUP_DACL: [u8; 5] = [0x30, 0x03, 0x02, 0x01, 0x07];
/// SEQUENCE { INTEGER 4 }: nothing but the DACL is written.
const DACL: [u8; 5] = [0x30, 0x03, 0x02, 0x01, 0x04];

/// Descriptors are some kilobytes each: fewer to a page than elsewhere.
const PAGE: i32 = 250;
const PAGE_TIME_OUT: Duration = Duration::from_mins(1);
/// A list with many objects below takes a domain controller its time to hand down.
const WRITE_TIME_OUT: Duration = Duration::from_mins(2);
/// More classes and attributes than are ever asked for.
const MOST_NAMES: i32 = 100;

/// An account as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedAccount {
    pub sid: SecurityIdentifier,
    pub dn: String,
    pub sam_account_name: Option<String>,
    /// With its groups.
    pub token: Token,
}

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

/// `tokenGroups`; what is no security identifier is left out.
fn groups(entry: &Entry) -> Vec<SecurityIdentifier> {
    entry
        .values("tokenGroups")
        .iter()
        .filter_map(|value| SecurityIdentifier::from_bytes(value).ok())
        .collect()
}

impl Inspection {
    pub fn domain_controller(&self) -> String {
        self.pool.endpoint.to_string()
    }

    /// The account that the configuration calls so: `name@domain`, `DOMAIN\name` or a distinguished
    /// name. None if this domain does not have it.
    pub async fn account(
        &self,
        domain: &DomainName,
        name: &str,
    ) -> Result<Option<NamedAccount>, DirectoryError> {
        let base = filter::base(domain);
        let sam = |login: &str| format!("(sAMAccountName={})", filter::escape(login.as_bytes()));
        let (base, scope, filter) = if let Some((_, login)) = name.split_once('\\') {
            (base, Scope::Subtree, sam(login))
        } else if let Some((login, _)) = name.split_once('@') {
            // a domain controller takes login@domain for the principal name of who has no such one
            let upn = filter::escape(name.as_bytes());
            let either = format!("(|(userPrincipalName={upn}){})", sam(login));
            (base, Scope::Subtree, either)
        } else {
            (name.to_owned(), Scope::Base, "(objectClass=*)".to_owned())
        };
        let attributes = &[
            "objectGUID",
            "objectSid",
            "sAMAccountName",
            "userPrincipalName",
        ];
        let found = self.read(&base, scope, filter, attributes, 8).await?;
        let chosen = found
            .iter()
            .find(|entry| {
                entry
                    .text("userPrincipalName")
                    .is_some_and(|upn| upn.eq_ignore_ascii_case(name))
            })
            .or(found.first());
        let Some((entry, guid)) =
            chosen.and_then(|entry| Some((entry, crate::account::guid(entry)?)))
        else {
            return Ok(None);
        };
        let Some(sid) = entry
            .bytes("objectSid")
            .and_then(|bytes| SecurityIdentifier::from_bytes(bytes).ok())
        else {
            return Ok(None);
        };
        // constructed, and only where the object itself is read (MS-ADTS 3.1.1.4.5.19)
        let with_groups = self.one(&by_guid(guid), &["tokenGroups"]).await?;
        let groups = with_groups.as_ref().map(groups).unwrap_or_default();
        Ok(Some(NamedAccount {
            token: Token::new(sid.clone(), groups),
            sid,
            dn: entry.dn.clone(),
            sam_account_name: entry.text("sAMAccountName").map(str::to_owned),
        }))
    }

    /// Who the domain controller takes us for: `tokenGroups` of the rootDSE is the security context that
    /// the connection is bound as (MS-ADTS 3.1.1.3.2.24), with the groups that only this domain knows.
    pub async fn own_token(&self, account: &NamedAccount) -> Result<Token, DirectoryError> {
        let root = self.one("", &["tokenGroups"]).await?;
        let seen = root.as_ref().map(groups).unwrap_or_default();
        Ok(Token::new(
            account.sid.clone(),
            seen.into_iter().chain(account.token.sids().cloned()),
        ))
    }

    /// What the schema says of these attributes and classes; as delivered, where it cannot be read.
    pub async fn schema(
        &self,
        attributes: &[&str],
        classes: &[&str],
    ) -> Result<Schema, DirectoryError> {
        let mut schema = Schema::default();
        let root = self.one("", &["schemaNamingContext"]).await?;
        let Some(base) = root
            .as_ref()
            .and_then(|root| root.text("schemaNamingContext"))
        else {
            return Ok(schema);
        };
        let mut names = String::new();
        for name in attributes.iter().chain(classes) {
            // writing to a String does not fail
            let _ = write!(
                names,
                "(lDAPDisplayName={})",
                filter::escape(name.as_bytes())
            );
        }
        let found = self
            .read(
                base,
                Scope::OneLevel,
                format!("(|{names})"),
                &[
                    "lDAPDisplayName",
                    "schemaIDGUID",
                    "attributeSecurityGUID",
                    "objectClass",
                ],
                MOST_NAMES,
            )
            .await?;
        for entry in found {
            let guid = |attribute| {
                entry
                    .bytes(attribute)
                    .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
                    .map(Uuid::from_bytes_le)
            };
            let (Some(name), Some(own)) = (entry.text("lDAPDisplayName"), guid("schemaIDGUID"))
            else {
                continue;
            };
            let is_class = entry
                .texts("objectClass")
                .any(|class| class.eq_ignore_ascii_case("classSchema"));
            if is_class {
                schema.add_class(name, own);
            } else {
                let attribute = Attribute {
                    guid: own,
                    property_set: guid("attributeSecurityGUID"),
                };
                schema.add_attribute(name, attribute);
            }
        }
        Ok(schema)
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

    /// Everything below that the filter finds, page by page, with its descriptor.
    pub(crate) fn below(
        &self,
        base: &str,
        filter: &str,
        attributes: &'static [&'static str],
    ) -> Pages<'_> {
        Pages {
            inspection: self,
            base: base.to_owned(),
            filter: filter.to_owned(),
            attributes,
            cookie: Some(Vec::new()),
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

    /// Adds these to the list of an object and takes those away, if that changes it. What the domain
    /// controller then holds is read again and must be what was meant.
    pub async fn change(
        &self,
        dn: &str,
        add: &[Gift],
        remove: &[Gift],
    ) -> Result<(), DirectoryError> {
        let (before, meant) = self.meant(dn, add, remove).await?;
        let Some(dacl) = &before.dacl else {
            return Err(self.misconfigured(format!(
                "{dn} has no list of entries: everybody may do everything to it"
            )));
        };
        if meant == *dacl {
            return Ok(());
        }
        let bytes = before
            .with_dacl_alone(meant.clone())
            .to_bytes()
            .map_err(|error| self.misconfigured(format!("{dn}: {error}")))?;
        let target = dn.to_owned();
        let call = self
            .lease
            .connection
            .call_within(WRITE_TIME_OUT, move |mut ldap| async move {
                let replaced =
                    Mod::Replace(b"nTSecurityDescriptor".to_vec(), HashSet::from([bytes]));
                Ok(Answer::from(
                    ldap.with_controls(sd_flags(DACL))
                        .modify(&target, vec![replaced])
                        .await?,
                ))
            });
        let answer = call.await.map_err(|error| self.broken(error))?;
        match answer.result {
            0 => {}
            50 => {
                return Err(self.misconfigured(format!(
                    "the account may not change who may do what to {dn} (LDAP result 50)"
                )));
            }
            _ => return Err(self.refused(&answer)),
        }
        let after = self.descriptor(dn).await?.and_then(|after| after.dacl);
        if after.is_some_and(|after| after.is_same_set(&meant)) {
            return Ok(());
        }
        Err(DirectoryError::Unexpected {
            endpoint: self.domain_controller(),
            cause: format!(
                "the entries of {dn} are not what was written; another may have changed them meanwhile"
            ),
        })
    }

    async fn meant(
        &self,
        dn: &str,
        add: &[Gift],
        remove: &[Gift],
    ) -> Result<(SecurityDescriptor, Acl), DirectoryError> {
        let before = self.descriptor(dn).await?.ok_or_else(|| {
            self.misconfigured(format!("the security descriptor of {dn} cannot be read"))
        })?;
        let meant = before
            .dacl
            .as_ref()
            .map(|dacl| dacl.without(remove).with(add));
        match meant {
            Some(meant) => Ok((before, meant)),
            None => Err(self.misconfigured(format!(
                "{dn} has no list of entries: everybody may do everything to it"
            ))),
        }
    }

    /// Every container of the domain, its root included, on which some of these are set.
    pub async fn given(
        &self,
        domain: &DomainName,
        gifts: &[Gift],
    ) -> Result<Vec<Place>, DirectoryError> {
        let root = filter::base(domain);
        let mut places = Vec::new();
        places.extend(self.given_at(&root, gifts).await?);
        let mut pages = self.below(&root, CONTAINERS, CONTAINER_ATTRIBUTES);
        while let Some(page) = pages.next().await? {
            for container in page {
                let Some(dacl) = container.descriptor.and_then(|found| found.dacl) else {
                    continue;
                };
                places.extend(Place::of(&container.entry.dn, &dacl.set_here(gifts)));
            }
        }
        Ok(places)
    }

    /// Which of these are set on this object.
    pub async fn given_at(
        &self,
        dn: &str,
        gifts: &[Gift],
    ) -> Result<Option<Place>, DirectoryError> {
        let descriptor = self.descriptor(dn).await?.ok_or_else(|| {
            self.misconfigured(format!(
                "{dn} is not there, or its security descriptor cannot be read"
            ))
        })?;
        let dacl = descriptor.dacl;
        Ok(dacl.and_then(|dacl| Place::of(dn, &dacl.set_here(gifts))))
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

/// A search's results, page by page (RFC 2696).
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    inspection: &'a Inspection,
    base: String,
    filter: String,
    attributes: &'static [&'static str],
    cookie: Option<Vec<u8>>,
}

impl Pages<'_> {
    /// The next page, which may be empty though others follow; None after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Guarded>>, DirectoryError> {
        let Some(cookie) = self.cookie.take() else {
            return Ok(None);
        };
        let (base, filter, attributes) = (self.base.clone(), self.filter.clone(), self.attributes);
        let inspection = self.inspection;
        let call =
            inspection
                .lease
                .connection
                .call_within(PAGE_TIME_OUT, move |mut ldap| async move {
                    // critical: a server that ignored it would give the first part for the whole
                    let paged = PagedResults { size: PAGE, cookie }.critical();
                    let controls: Vec<RawControl> = vec![paged.into(), sd_flags(OWNER_GROUP_DACL)];
                    let ldap3::SearchResult(entries, result) = ldap
                        .with_search_options(SearchOptions::new())
                        .with_controls(controls)
                        .search(&base, Scope::Subtree, &filter, attributes)
                        .await?;
                    let next = result.ctrls.iter().find_map(|control| match control {
                        Control(Some(ControlType::PagedResults), raw) => {
                            Some(raw.parse::<PagedResults>().cookie)
                        }
                        _ => None,
                    });
                    Ok((constructed(entries), next, Answer::from(result)))
                });
        let (entries, next, answer) = call.await.map_err(|error| inspection.broken(error))?;
        if answer.result != 0 {
            return Err(inspection.refused(&answer));
        }
        let next = next.ok_or_else(|| DirectoryError::Unexpected {
            endpoint: inspection.domain_controller(),
            cause: "a page came without word whether another follows".to_owned(),
        })?;
        self.cookie = (!next.is_empty()).then_some(next);
        Ok(Some(entries.into_iter().map(guarded).collect()))
    }
}
