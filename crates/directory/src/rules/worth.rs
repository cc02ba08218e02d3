//! What a success is worth to the person, where the account's own settings limit that.
//!
//! None of them is a reason to refuse: the directory carries the write out, and the password may
//! serve elsewhere (a cloud that takes over its hash), or here once the account is mended. But whoever
//! waits for the answer must not be told that all is well.

use operation::Operation;
use time::{Duration, OffsetDateTime};

use crate::{
    Account, PwdLastSet,
    clock::{Comparison, ControllerClock},
};

/// The password was set, and the domain made it one to be changed at once, which nobody had asked for.
pub const EXPIRED_AT_ONCE: &str = "the password must be changed at the next sign-in, though nobody \
    asked for that: the service account lacks the right Unexpire-Password on the domain object";

/// As an account read again after the write shows it.
pub fn is_expired_at_once(operation: &Operation, after: &Account) -> bool {
    operation.kind.sets_password()
        && !operation.must_change_at_next_sign_in
        && after.pwd_last_set == PwdLastSet::MustChange
}

/// What limits a success on this account.
pub fn remarks(
    operation: &Operation,
    account: &Account,
    clock: &ControllerClock,
    now: OffsetDateTime,
) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(expires) = account.expires
        && clock.compare(expires, now, Duration::ZERO) == Comparison::Earlier
    {
        remarks.push(format!(
            "the account expired on {}: no password opens it until an administrator extends it \
             (accountExpires)",
            expires.date()
        ));
    }
    if !operation.kind.sets_password() {
        return remarks;
    }
    if account.smart_card_required {
        remarks.push(
            "the account demands a smart card: nobody signs in to a computer with its password"
                .to_owned(),
        );
    }
    // a password that never expires need not be changed (MS-ADTS 3.1.1.4.5.33), nor one that is not
    // signed in with; the flag is set all the same, and holds once that setting is cleared
    if operation.must_change_at_next_sign_in {
        let why = match account {
            Account {
                password_never_expires: true,
                ..
            } => "the account's password never expires",
            Account {
                smart_card_required: true,
                ..
            } => "the account demands a smart card",
            _ => return remarks,
        };
        remarks.push(format!(
            "the demand to change the password at the next sign-in has no effect: {why}"
        ));
    }
    remarks
}
