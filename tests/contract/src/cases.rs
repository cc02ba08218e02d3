//! The cases: those of the table of refusals that any directory can show, and those that the Samba
//! project's own password tests look at, told in our words.

use directory::{Opens, PasswordWrite, PolicyHints};
use operation::Reason;

use crate::{OPEN, Person};

/// What is special about the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    Ordinary,
    /// Had another password before.
    WithHistory,
    Locked,
    Disabled,
    MustChange,
    MayNotChange,
    Deleted,
    /// The account that we are bound as has no right here.
    WithoutRights,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// And so the new password fares.
    Applied(Opens),
    Refused(Reason),
}

pub struct Case {
    pub name: &'static str,
    pub given: Given,
    /// What is sent, and the password that would open the account then.
    pub write: fn(&Person) -> (PasswordWrite, String),
    /// Of a directory that knows policy hints, or does not.
    pub expected: fn(bool) -> Expected,
}

fn reset_as(new: &str, must_change: bool, policy_hints: PolicyHints) -> (PasswordWrite, String) {
    let write = PasswordWrite::Reset {
        new: new.into(),
        unlock: true,
        must_change,
        policy_hints,
    };
    (write, new.to_owned())
}

fn reset(new: &str) -> (PasswordWrite, String) {
    reset_as(new, false, PolicyHints::Never)
}

fn hinted(new: &str, policy_hints: PolicyHints) -> (PasswordWrite, String) {
    reset_as(new, false, policy_hints)
}

fn change(current: &str, new: &str) -> (PasswordWrite, String) {
    let write = PasswordWrite::Change {
        current: current.into(),
        new: new.into(),
        unlock: false,
    };
    (write, new.to_owned())
}

fn unlock(person: &Person) -> (PasswordWrite, String) {
    (PasswordWrite::Unlock, person.password.clone())
}

fn fresh() -> String {
    format!("Fresh-{}", uuid::Uuid::new_v4())
}

const TOO_SHORT: &str = "Aa1-x";
const TOO_SIMPLE: &str = "onlyletterssmall";
const POLICY: Expected = Expected::Refused(Reason::PasswordPolicy);

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    Case { name: "reset", given: Given::Ordinary,
        write: |_| reset(&fresh()), expected: |_| OPEN },
    Case { name: "reset, to be changed at the next sign-in", given: Given::Ordinary,
        write: |_| reset_as(&fresh(), true, PolicyHints::Never),
        expected: |_| Expected::Applied(Opens::YesButMustChange) },
    Case { name: "reset of one who had to change", given: Given::MustChange,
        write: |_| reset(&fresh()), expected: |_| OPEN },
    Case { name: "reset of a locked account unlocks it", given: Given::Locked,
        write: |_| reset(&fresh()), expected: |_| OPEN },
    Case { name: "reset of a disabled account", given: Given::Disabled,
        write: |_| reset(&fresh()), expected: |_| Expected::Applied(Opens::YesButKeptOut) },
    Case { name: "reset to letters of many scripts", given: Given::Ordinary,
        write: |_| reset(&format!("Größe-пароль-密码-{}", fresh())), expected: |_| OPEN },
    Case { name: "reset to a password with quotes in it", given: Given::Ordinary,
        write: |_| reset(&format!("\"{}\"", fresh())), expected: |_| OPEN },
    Case { name: "reset, too short", given: Given::Ordinary,
        write: |_| reset(TOO_SHORT), expected: |_| POLICY },
    Case { name: "reset, not complex", given: Given::Ordinary,
        write: |_| reset(TOO_SIMPLE), expected: |_| POLICY },
    Case { name: "reset to a used password", given: Given::WithHistory,
        write: |person| reset(&person.used), expected: |_| OPEN },
    Case { name: "the same, with policy hints when available", given: Given::WithHistory,
        write: |person| hinted(&person.used, PolicyHints::WhenAvailable),
        expected: |hints| if hints { POLICY } else { OPEN } },
    Case { name: "the same, with policy hints required", given: Given::WithHistory,
        write: |person| hinted(&person.used, PolicyHints::Required),
        expected: |hints| if hints { POLICY } else { Expected::Refused(Reason::DirectoryMisconfigured) } },
    Case { name: "reset to a fresh password with policy hints required", given: Given::Ordinary,
        write: |_| hinted(&fresh(), PolicyHints::Required),
        expected: |hints| if hints { OPEN } else { Expected::Refused(Reason::DirectoryMisconfigured) } },
    Case { name: "reset without the right", given: Given::WithoutRights,
        write: |_| reset(&fresh()), expected: |_| Expected::Refused(Reason::AccessDenied) },
    Case { name: "reset of a deleted account", given: Given::Deleted,
        write: |_| reset(&fresh()), expected: |_| Expected::Refused(Reason::UserNotFound) },
    Case { name: "change", given: Given::Ordinary,
        write: |person| change(&person.password, &fresh()), expected: |_| OPEN },
    Case { name: "change by one who has to", given: Given::MustChange,
        write: |person| change(&person.password, &fresh()), expected: |_| OPEN },
    Case { name: "change, wrong current password", given: Given::Ordinary,
        write: |_| change(&fresh(), &fresh()),
        expected: |_| Expected::Refused(Reason::IncorrectPassword) },
    Case { name: "change, too short", given: Given::Ordinary,
        write: |person| change(&person.password, TOO_SHORT), expected: |_| POLICY },
    Case { name: "change, not complex", given: Given::Ordinary,
        write: |person| change(&person.password, TOO_SIMPLE), expected: |_| POLICY },
    Case { name: "change to the same password", given: Given::Ordinary,
        write: |person| change(&person.password, &person.password), expected: |_| POLICY },
    Case { name: "change to a used password", given: Given::WithHistory,
        write: |person| change(&person.password, &person.used), expected: |_| POLICY },
    Case { name: "change of a locked account", given: Given::Locked,
        write: |person| change(&person.password, &fresh()),
        expected: |_| Expected::Refused(Reason::AccountLocked) },
    Case { name: "change by one who may not", given: Given::MayNotChange,
        write: |person| change(&person.password, &fresh()),
        expected: |_| Expected::Refused(Reason::CannotChangePassword) },
    Case { name: "unlock", given: Given::Locked, write: unlock, expected: |_| OPEN },
    Case { name: "unlock of an account that is not locked", given: Given::Ordinary,
        write: unlock, expected: |_| OPEN },
    Case { name: "unlock without the right", given: Given::WithoutRights,
        write: unlock, expected: |_| Expected::Refused(Reason::AccessDenied) },
    Case { name: "unlock of a deleted account", given: Given::Deleted,
        write: unlock, expected: |_| Expected::Refused(Reason::UserNotFound) },
];
