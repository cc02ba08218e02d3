//! May this operation be written to this account at all?

use operation::{Kind, Operation, Reason, Refusal, UserReference};

use crate::{Account, Membership, scope::Scope};

/// Whether the account as read may be written to at all.
pub fn permit(
    operation: &Operation,
    account: &Account,
    scope: &Scope,
    reaches_protected: bool,
) -> Result<(), Refusal> {
    if !account.is_person {
        return Err(Refusal::new(
            Reason::UserNotFound,
            "the account is not a person's",
        ));
    }
    if let Some(field) = disagreement(&operation.user, account) {
        return Err(Refusal::new(
            Reason::UserNotFound,
            format!(
                "user.{field}: it does not belong to the account that the other identifiers name"
            ),
        ));
    }
    if !scope.contains(&account.dn) {
        return Err(Refusal::new(
            Reason::OutOfScope,
            "the account is outside the organizational units in which writeback may act",
        ));
    }
    if account.is_krbtgt {
        return Err(Refusal::new(
            Reason::ProtectedAccount,
            "the account holds Kerberos keys (krbtgt): nobody may set its password here",
        ));
    }
    if let Some(why) = protection(account)
        && !reaches_protected
    {
        return Err(Refusal::new(Reason::ProtectedAccount, why));
    }
    if !account.enabled {
        return Err(Refusal::new(
            Reason::AccountDisabled,
            "the account is disabled",
        ));
    }
    let keeps_lockout = match operation.kind {
        Kind::Reset => !operation.unlock,
        Kind::Change => true,
        Kind::Unlock => false,
    };
    if account.locked && keeps_lockout {
        let detail = match operation.kind {
            Kind::Change => {
                "the account is locked: it must be unlocked, or its lockout end, before a change"
            }
            Kind::Reset | Kind::Unlock => "the account is locked and was not asked to be unlocked",
        };
        return Err(Refusal::new(Reason::AccountLocked, detail));
    }
    Ok(())
}

/// Why the account is protected, if it is. `adminCount` alone says too little: the directory stamps it
/// up to an hour later, and on no member of an operators' group that `dSHeuristics` excludes.
pub fn protection(account: &Account) -> Option<String> {
    const ADMINISTRATOR: u32 = 500; // MS-SAMR 2.2.1.14, DOMAIN_USER_RID_ADMIN
    let rid = account
        .sid
        .as_ref()
        .and_then(operation::SecurityIdentifier::relative_identifier);
    if rid == Some(ADMINISTRATOR) {
        return Some("the account is the domain's built-in Administrator".to_owned());
    }
    if let Membership::Protected(group) = account.membership {
        return Some(format!(
            "the account is a member of {group}, itself or through other groups"
        ));
    }
    account.admin_count.then(|| {
        "the account is, or once was, a member of a protected group (adminCount is 1)".to_owned()
    })
}

fn disagreement(user: &UserReference, account: &Account) -> Option<&'static str> {
    if user
        .source_anchor()
        .is_some_and(|anchor| anchor != account.anchor)
    {
        return Some("sourceAnchor");
    }
    if user
        .security_identifier()
        .is_some_and(|sid| account.sid.as_ref() != Some(sid))
    {
        return Some("securityIdentifier");
    }
    if user
        .user_principal_name()
        .is_some_and(|upn| account.upn.as_ref() != Some(upn))
    {
        return Some("userPrincipalName");
    }
    None
}
