//! Whose rights are asked about: the account that the configuration names, with its groups.

use ldap3::Scope;
use operation::{DomainName, SecurityIdentifier};

use super::Inspection;
use crate::{
    DirectoryError,
    exchange::by_guid,
    filter,
    permissions::{Token, access::everybody},
    reading::Entry,
};

/// LDAP_MATCHING_RULE_TRANSITIVE_EVAL (MS-ADTS 3.1.1.3.4.4.3): nested groups too.
const IN_CHAIN: &str = "member:1.2.840.113556.1.4.1941:";
/// More than everybody is ever in.
const MOST_GROUPS: i32 = 100;

/// An account as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedAccount {
    pub sid: SecurityIdentifier,
    pub dn: String,
    pub sam_account_name: Option<String>,
    /// With its groups.
    pub token: Token,
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

    /// The same of an account that somebody else looks at: with the groups of this domain that
    /// everybody is in, such as Pre-Windows 2000 Compatible Access. `tokenGroups` of the account does
    /// not have them: who is everybody is known only when one binds.
    pub async fn foreseen_token(
        &self,
        domain: &DomainName,
        account: &NamedAccount,
    ) -> Result<Token, DirectoryError> {
        let base = filter::base(domain);
        let by_sid =
            |sid: SecurityIdentifier| format!("(objectSid={})", filter::escape(&sid.to_bytes()));
        let known: String = everybody().map(by_sid).collect();
        let filter = format!("(&(objectClass=foreignSecurityPrincipal)(|{known}))");
        let known = self
            .read(&base, Scope::Subtree, filter, &["objectSid"], MOST_GROUPS)
            .await?;
        let is_in = |entry: &Entry| format!("({IN_CHAIN}={})", filter::escape(entry.dn.as_bytes()));
        let members: String = known.iter().map(is_in).collect();
        let groups = if members.is_empty() {
            Vec::new()
        } else {
            let filter = format!("(&(objectClass=group)(|{members}))");
            self.read(&base, Scope::Subtree, filter, &["objectSid"], MOST_GROUPS)
                .await?
        };
        Ok(Token::new(
            account.sid.clone(),
            groups
                .iter()
                .filter_map(crate::account::sid)
                .chain(account.token.sids().cloned()),
        ))
    }
}
