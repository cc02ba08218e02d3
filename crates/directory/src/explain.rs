//! What a domain controller's refusal means.
//!
//! The first eight hexadecimal digits of the diagnostic text are a Win32 code, the rest is for
//! information only (MS-ADTS 3.1.1.3.1.9). That code decides, then the LDAP result: Windows refuses
//! the same password with 53 on a reset and 19 on a change, Samba with 19 on both.

use std::{collections::BTreeSet, fmt};

use operation::{Reason, Refusal, Violation};

use crate::PasswordWrite;

/// Why nothing was changed. `detail` may be shown to the caller and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    pub reason: Reason,
    pub detail: String,
    /// Which rules of the policy were broken, where the domain controller says so.
    pub violations: Vec<Violation>,
    /// The same request may succeed at another domain controller, or later.
    pub transient: bool,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

impl From<Explained> for Refusal {
    fn from(explained: Explained) -> Self {
        Self {
            reason: explained.reason,
            detail: explained.detail,
            violations: explained.violations,
        }
    }
}

/// The Win32 code that a diagnostic text begins with.
pub(crate) fn win32_code(text: &str) -> Option<u32> {
    let digits = text.get(..8)?;
    let ends = text
        .as_bytes()
        .get(8)
        .is_none_or(|byte| !byte.is_ascii_hexdigit());
    (ends && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
}

/// The code after `data` in the text of a refused bind, such as 52e or 775.
pub(crate) fn bind_code(text: &str) -> Option<u32> {
    let (_, after) = text.split_once(", data ")?;
    let digits = after.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    u32::from_str_radix(digits, 16).ok()
}

/// Explains a result other than success of a modify that carried out `write`.
pub(crate) fn explain(write: &PasswordWrite, result: u32, text: &str) -> Explained {
    let is_change = matches!(write, PasswordWrite::Change { .. });
    let code = win32_code(text);
    let (reason, why, transient) = match (code, result) {
        (Some(0x52d), _) => (
            Reason::PasswordPolicy,
            "the password does not meet the domain's policy",
            false,
        ),
        (Some(0x56), _) => (
            Reason::IncorrectPassword,
            "the current password is not correct",
            false,
        ),
        (Some(0x775), _) => (Reason::AccountLocked, "the account is locked", false),
        (Some(0x533), _) => (Reason::AccountDisabled, "the account is disabled", false),
        (Some(0x1f), 53) => (
            Reason::DirectoryMisconfigured,
            "the domain controller takes the connection for unencrypted",
            false,
        ),
        (Some(0x202c), _) | (_, 12) => (
            Reason::DirectoryMisconfigured,
            "the domain controller does not know a required control",
            true,
        ),
        (Some(0x208d | 0x2030), _) | (_, 32) => (
            Reason::UserNotFound,
            "the account is no longer there",
            false,
        ),
        (Some(0x202b), _) | (_, 10) => (
            Reason::DirectoryMisconfigured,
            "the domain controller refers to another: it is read-only or of another domain",
            true,
        ),
        (Some(0x2028 | 0x202d), _) | (_, 8 | 13) => (
            Reason::DirectoryMisconfigured,
            "the domain controller demands a stronger connection",
            false,
        ),
        (Some(0x200e | 0x200f), _) | (_, 3 | 11 | 51 | 52 | 80) => (
            Reason::ForestUnavailable,
            "the domain controller is busy or going down",
            true,
        ),
        // Samba's acl module refuses a change without the right with a bare 19 that has no code
        (Some(0x5 | 0x2098), _) | (_, 50) | (None, 19) if is_change => (
            Reason::CannotChangePassword,
            "the account may not change its password",
            false,
        ),
        (Some(0x5 | 0x2098), _) | (_, 50) => (
            Reason::AccessDenied,
            "the service account lacks a right on this account",
            false,
        ),
        (_, 49) => (
            Reason::DirectoryMisconfigured,
            "the service account is not signed in",
            false,
        ),
        _ => (
            Reason::DirectoryError,
            "the domain controller refused",
            false,
        ),
    };
    let code = code.map_or_else(String::new, |code| format!(", code {code:08X}"));
    Explained {
        reason,
        detail: format!("{why} (LDAP result {result}{code})"),
        violations: if reason == Reason::PasswordPolicy {
            violations(text)
        } else {
            Vec::new()
        },
        transient,
    }
}

/// Samba names the broken rule in words; Windows does not.
fn violations(text: &str) -> Vec<Violation> {
    const RULES: [(&[&str], &str, &str); 5] = [
        (&["too short"], "length", "The password is too short."),
        (
            &["complexity"],
            "complexity",
            "The password is not complex enough: use at least three of upper case, lower case, digits and other characters, and no part of your name.",
        ),
        (
            &["in history", "already used"],
            "history",
            "The password was used before.",
        ),
        (
            &["too young"],
            "minimum-age",
            "The password was changed too recently to be changed again.",
        ),
        (
            &["password script", "filter"],
            "filter",
            "The password is not allowed by the domain's password filter.",
        ),
    ];
    let text = text.to_ascii_lowercase();
    RULES
        .into_iter()
        .filter(|(words, ..)| words.iter().any(|word| text.contains(word)))
        .map(|(_, rule, message)| Violation {
            rule: rule.to_owned(),
            message: message.to_owned(),
        })
        .collect()
}

/// Says which right is missing, from what the service account may write on the object. LDAP refuses
/// a modify as a whole: an attribute that may be written is not what it was refused for.
pub(crate) fn name_missing_right(
    write: &PasswordWrite,
    allowed: Option<&BTreeSet<String>>,
    explained: &mut Explained,
) {
    let is_change = matches!(write, PasswordWrite::Change { .. });
    let missing: Vec<&str> = write
        .written_attributes()
        .filter(|attribute| allowed.is_some_and(|allowed| !allowed.contains(*attribute)))
        .collect();
    let named = match (missing.as_slice(), allowed, write) {
        ([], Some(_), PasswordWrite::Reset { .. }) => "Reset Password".to_owned(),
        ([], _, PasswordWrite::Unlock) => "lockoutTime".to_owned(),
        // every attribute may be written: the person's own right to change is what is missing
        ([], Some(_), PasswordWrite::Change { .. }) => return,
        ([], None, _) if is_change => return,
        ([], None, _) => "one of Reset Password, lockoutTime and pwdLastSet".to_owned(),
        // whether the extended right is there too cannot be read from the attributes
        (missing, _, PasswordWrite::Reset { .. }) => {
            format!("{} (and perhaps Reset Password)", missing.join(" and "))
        }
        (missing, ..) => missing.join(" and "),
    };
    explained.reason = Reason::AccessDenied;
    explained.detail = format!("missing right: {named}; {}", explained.detail);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::PolicyHints;

    fn reset() -> PasswordWrite {
        PasswordWrite::Reset {
            new: "n".into(),
            unlock: true,
            must_change: true,
            policy_hints: PolicyHints::Never,
        }
    }

    fn change() -> PasswordWrite {
        PasswordWrite::Change {
            current: "c".into(),
            new: "n".into(),
            unlock: false,
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn known_answers() {
        use Reason::*;
        let table: &[(PasswordWrite, u32, &str, Reason, bool)] = &[
            (
                change(),
                19,
                "0000052D: Constraint violation - check_password_restrictions: the password is too short.",
                PasswordPolicy,
                false,
            ),
            (
                change(),
                19,
                "0000052D: AtrErr: DSID-03191083, #1:\n\t0: 0000052D: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)",
                PasswordPolicy,
                false,
            ),
            (
                reset(),
                53,
                "0000052D: SvcErr: DSID-031A120C, problem 5003 (WILL_NOT_PERFORM), data 0",
                PasswordPolicy,
                false,
            ),
            (
                reset(),
                53,
                "0000001F: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0",
                DirectoryMisconfigured,
                false,
            ),
            (
                change(),
                19,
                "00000056: AtrErr: DSID-03191083, data 0",
                IncorrectPassword,
                false,
            ),
            (change(), 19, "00000775: locked", AccountLocked, false),
            (
                change(),
                19,
                "00000005: denied",
                CannotChangePassword,
                false,
            ),
            (
                reset(),
                50,
                "00000005: SecErr: DSID-031A1190, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0",
                AccessDenied,
                false,
            ),
            (reset(), 50, "00002098: SecErr", AccessDenied, false),
            (reset(), 50, "error in module acl", AccessDenied, false),
            (PasswordWrite::Unlock, 50, "", AccessDenied, false),
            (
                reset(),
                12,
                "0000202C: critical",
                DirectoryMisconfigured,
                true,
            ),
            (reset(), 32, "0000208D: NameErr", UserNotFound, false),
            (
                reset(),
                32,
                "00002030: No such Base DN",
                UserNotFound,
                false,
            ),
            (
                reset(),
                10,
                "0000202B: RefErr",
                DirectoryMisconfigured,
                true,
            ),
            (
                reset(),
                8,
                "00002028: LdapErr",
                DirectoryMisconfigured,
                false,
            ),
            (reset(), 13, "", DirectoryMisconfigured, false),
            (reset(), 51, "0000200E: busy", ForestUnavailable, true),
            (reset(), 52, "", ForestUnavailable, true),
            (reset(), 3, "", ForestUnavailable, true),
            (
                reset(),
                19,
                "0000216C: not in quotes",
                DirectoryError,
                false,
            ),
            (reset(), 19, "", DirectoryError, false),
            (reset(), 53, "", DirectoryError, false),
        ];
        for (write, result, text, reason, transient) in table {
            let explained = explain(write, *result, text);
            assert_eq!(
                (explained.reason, explained.transient),
                (*reason, *transient),
                "{result} {text}"
            );
        }
    }

    #[test]
    fn the_broken_rule_is_named_where_the_text_names_it() {
        for (text, rules) in [
            (
                "0000052D: Constraint violation - check_password_restrictions: the password is too short. It should be equal to or longer than 7 characters!",
                &["length"][..],
            ),
            (
                "0000052D: Constraint violation - check_password_restrictions: the password does not meet the complexity criteria!",
                &["complexity"],
            ),
            (
                "0000052D: Constraint violation - check_password_restrictions: the password was already used (in history)!",
                &["history"],
            ),
            (
                "0000052D: Constraint violation - check_password_restrictions: password is too young to change!",
                &["minimum-age"],
            ),
            ("0000052D: AtrErr: DSID-03191083, #1", &[]),
        ] {
            let found: Vec<_> = explain(&reset(), 19, text)
                .violations
                .into_iter()
                .map(|v| v.rule)
                .collect();
            assert_eq!(found, rules, "{text}");
        }
    }

    #[test]
    fn the_missing_right_is_named() {
        let set = |names: &[&str]| {
            names
                .iter()
                .map(|n| (*n).to_owned())
                .collect::<BTreeSet<_>>()
        };
        for (write, allowed, named) in [
            (
                reset(),
                Some(set(&["lockoutTime", "pwdLastSet"])),
                "Reset Password",
            ),
            (
                reset(),
                Some(set(&["lockoutTime"])),
                "missing right: pwdLastSet ",
            ),
            (
                reset(),
                Some(set(&["pwdLastSet"])),
                "missing right: lockoutTime ",
            ),
            (reset(), None, "one of Reset Password"),
            (
                PasswordWrite::Unlock,
                Some(set(&[])),
                "missing right: lockoutTime;",
            ),
        ] {
            let mut explained = explain(&write, 50, "");
            name_missing_right(&write, allowed.as_ref(), &mut explained);
            assert_eq!(explained.reason, Reason::AccessDenied);
            assert!(explained.detail.contains(named), "{}", explained.detail);
        }
        let mut explained = explain(&change(), 19, "00000005: x");
        name_missing_right(&change(), Some(&set(&[])), &mut explained);
        assert_eq!(explained.reason, Reason::CannotChangePassword);
    }

    #[test]
    fn bind_codes() {
        let text = "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e, v1db1";
        assert_eq!(bind_code(text), Some(0x52e));
        assert_eq!(bind_code("data"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_explained(result in 0u32..130, text in "\\PC*") {
            let _ = explain(&reset(), result, &text);
            let _ = bind_code(&text);
        }

        #[test]
        fn every_code_is_read_back(code: u32) {
            prop_assert_eq!(win32_code(&format!("{code:08X}: x")), Some(code));
        }
    }
}
