//! What an operation would come to now, without doing it.

use operation::{
    EventIdentity, Initiator, InitiatorKind, Kind, Operation, OperationId, Reason, Refusal,
    UserReference,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{EXPIRED_AT_ONCE, OwnAccounts, permit, remarks};
use crate::{
    PolicyHints, PwdLastSet,
    permissions::{Held, Right, Service},
    portrait::Portrait,
    scope::Scope,
};

/// What may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    ResetByUser,
    ResetByAdministrator,
    /// And the person must change it at the next sign-in.
    ResetToBeChanged,
    Change,
    Unlock,
}

impl Act {
    pub const ALL: [Self; 5] = [
        Self::ResetByUser,
        Self::ResetByAdministrator,
        Self::ResetToBeChanged,
        Self::Change,
        Self::Unlock,
    ];

    pub const fn kind(self) -> Kind {
        match self {
            Self::ResetByUser | Self::ResetByAdministrator | Self::ResetToBeChanged => Kind::Reset,
            Self::Change => Kind::Change,
            Self::Unlock => Kind::Unlock,
        }
    }

    const fn initiator(self) -> InitiatorKind {
        match self {
            Self::ResetByUser | Self::Change | Self::Unlock => InitiatorKind::User,
            Self::ResetByAdministrator | Self::ResetToBeChanged => InitiatorKind::Administrator,
        }
    }

    /// What the account that writes must hold on the person for the one modify this becomes.
    pub const fn rights(self) -> &'static [Right] {
        match self {
            // a reset clears a lockout unless it was asked not to
            Self::ResetByUser | Self::ResetByAdministrator => {
                &[Right::ResetPassword, Right::WriteLockoutTime]
            }
            Self::ResetToBeChanged => &[
                Right::ResetPassword,
                Right::WriteLockoutTime,
                Right::WritePwdLastSet,
            ],
            Self::Change => &[Right::ChangePassword],
            Self::Unlock => &[Right::WriteLockoutTime],
        }
    }
}

/// What the operator has configured for the person's forest and domain.
#[derive(Debug)]
pub struct Terms<'a> {
    pub scope: &'a Scope,
    pub own_accounts: &'a OwnAccounts,
    pub users_reach_protected: bool,
    pub administrators_reach_protected: bool,
    pub users_hints: PolicyHints,
    pub administrators_hints: PolicyHints,
}

/// The directory enforces it all the same.
const POLICY_UNKNOWN: &str = "the service account may not read the policy: whether it allows a new password now, \
     and which, is not known; let it read the Password Settings Container";

/// Foretells what the writer would say: remarks on a success, or the refusal. What depends on the
/// password itself cannot be told.
///
/// # Errors
/// The refusal.
pub fn foretell(
    act: Act,
    person: &Portrait,
    terms: &Terms<'_>,
    now: OffsetDateTime,
) -> Result<Vec<String>, Refusal> {
    let operation = operation(act, person, now)?;
    let (reaches_protected, hints) = match act.initiator() {
        InitiatorKind::User => (terms.users_reach_protected, terms.users_hints),
        InitiatorKind::Administrator => (
            terms.administrators_reach_protected,
            terms.administrators_hints,
        ),
    };
    permit(&operation, &person.account, terms.scope, reaches_protected)?;
    terms.own_accounts.spare(&person.account)?;
    let hints = match act.kind() {
        Kind::Reset => hints
            .control(person.root.policy_hints_control())
            .map_err(|explained| Refusal::new(explained.reason, explained.detail))?,
        Kind::Change | Kind::Unlock => None,
    };
    let mut notes = rights(act, person)?;
    notes.extend(unread(person));
    if act.kind() == Kind::Change || hints.is_some() {
        age(person)?;
    }
    if act.kind() != Kind::Unlock && person.policy.rules.is_none() {
        notes.push(POLICY_UNKNOWN.to_owned());
    }
    if act.kind() == Kind::Reset
        && !operation.must_change_at_next_sign_in
        && held(person, Right::UnexpirePassword).is_some_and(|held| !held.holds())
    {
        notes.push(EXPIRED_AT_ONCE.to_owned());
    }
    notes.extend(remarks(&operation, &person.account, &person.clock, now));
    Ok(notes)
}

fn held(person: &Portrait, right: Right) -> Option<&Held> {
    let (_, held) = person.rights.iter().find(|(known, _)| *known == right)?;
    Some(held)
}

fn rights(act: Act, person: &Portrait) -> Result<Vec<String>, Refusal> {
    let lacking = |with: fn(&Held) -> bool| -> Vec<String> {
        act.rights()
            .iter()
            .filter(|right| held(person, **right).is_some_and(with))
            .map(ToString::to_string)
            .collect()
    };
    let missing = lacking(|held| !held.holds() && *held != Held::Unreadable);
    if !missing.is_empty() {
        let (reason, detail) = if act == Act::Change {
            let detail = "the account may not change its password (User cannot change password)";
            (Reason::CannotChangePassword, detail.to_owned())
        } else {
            let detail = format!("missing right: {}", missing.join(" and "));
            (Reason::AccessDenied, detail)
        };
        return Err(Refusal::new(reason, detail));
    }
    if lacking(|held| *held == Held::Unreadable).is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![
        "whether the rights are there is not known: the service account may not read who may do what to the account"
            .to_owned(),
    ])
}

/// What the writer decides with and cannot see: it goes on as if there were nothing there.
fn unread(person: &Portrait) -> Option<String> {
    let hidden: Vec<&str> = person
        .hidden
        .iter()
        .filter(|hidden| hidden.service == Service::Writer)
        .map(|hidden| hidden.attribute)
        .collect();
    (!hidden.is_empty()).then(|| {
        format!(
            "the service account may not read {} of the person, and decides without it",
            hidden.join(", ")
        )
    })
}

/// Whether the password is too young to be replaced by one that obeys the minimum age.
fn age(person: &Portrait) -> Result<(), Refusal> {
    let Some(rules) = person.policy.rules else {
        return Ok(());
    };
    let PwdLastSet::At(set) = person.account.pwd_last_set else {
        return Ok(());
    };
    match set.checked_add(rules.minimum_age) {
        Some(until) if until > person.root.current_time && !rules.minimum_age.is_zero() => {
            Err(Refusal::new(
                Reason::PasswordPolicy,
                format!(
                    "the password was set at {set} and may be replaced only {} hours later (minimum-age)",
                    rules.minimum_age.whole_hours()
                ),
            ))
        }
        _ => Ok(()),
    }
}

/// As it would be admitted now.
fn operation(act: Act, person: &Portrait, now: OffsetDateTime) -> Result<Operation, Refusal> {
    const ANY_DEADLINE: Duration = Duration::seconds(30);
    let user = UserReference::new(Some(person.account.anchor), None, None, None)
        .map_err(|error| Refusal::new(Reason::UserNotFound, error.to_string()))?;
    Ok(Operation {
        id: OperationId::from_uuid(Uuid::nil()),
        kind: act.kind(),
        user,
        initiator: Initiator {
            kind: act.initiator(),
            id: None,
        },
        event: EventIdentity {
            source: String::new(),
            id: String::new(),
        },
        must_change_at_next_sign_in: act == Act::ResetToBeChanged,
        unlock: true,
        admitted_at: now,
        deadline: now + ANY_DEADLINE,
    })
}

#[cfg(test)]
mod tests;
