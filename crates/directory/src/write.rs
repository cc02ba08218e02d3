//! A password write as LDAP: one modify.

use std::{
    collections::HashSet,
    hash::{Hash, Hasher},
};

use ldap3::Mod;
use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::PolicyHints;

/// The moment after which no write may be under way, by the monotonic clock.
pub type DeadlineInstant = tokio::time::Instant;

/// What to do to an account, in ONE modify, which is atomic (RFC 4511 4.6).
#[derive(Debug, Clone)]
pub enum PasswordWrite {
    /// Sets the password as an administrator does: the old one is not asked for.
    Reset {
        new: SecretString,
        unlock: bool,
        must_change: bool,
        policy_hints: PolicyHints,
    },
    /// Sets the password as its owner does: a wrong `current` counts towards the lockout.
    Change {
        current: SecretString,
        new: SecretString,
        unlock: bool,
    },
    /// Clears a lockout.
    Unlock,
}

/// A write that was applied. The times bound, in the domain controller's clock as far as it is
/// known, when it was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteReceipt {
    /// The endpoint that carried it out, `ldaps://host:port`.
    pub domain_controller: String,
    pub began: OffsetDateTime,
    pub ended: OffsetDateTime,
    /// The policy-hints control that it was sent with.
    pub policy_hints: Option<&'static str>,
    /// `pwdLastSet` is 0 after it, and it did not ask for that: the service account lacks
    /// Unexpire-Password on the domain (MS-SAMR 3.1.1.8.7). Looked at now and then only.
    pub expired_at_once: bool,
}

/// An attribute's name or value, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Octets(Zeroizing<Vec<u8>>);

impl Hash for Octets {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_slice().hash(state);
    }
}

impl AsRef<[u8]> for Octets {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn octets(text: &str) -> Octets {
    Octets(Zeroizing::new(text.as_bytes().to_vec()))
}

/// UTF-16LE of the password between double quotes (MS-ADTS 3.1.1.3.1.5.1). Not normalized: what the
/// person typed is what the domain controller gets.
fn unicode_pwd(password: &SecretString) -> Octets {
    let password = password.expose_secret();
    // room for all, so that no reallocation leaves a copy behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * password.len() + 4));
    bytes.extend_from_slice(b"\"\0");
    bytes.extend(password.encode_utf16().flat_map(u16::to_le_bytes));
    bytes.extend_from_slice(b"\"\0");
    Octets(bytes)
}

fn replace(attribute: &str, value: Octets) -> Mod<Octets> {
    Mod::Replace(octets(attribute), HashSet::from([value]))
}

impl PasswordWrite {
    /// The modifications, in the order in which they must stand (MS-ADTS 3.1.1.3.1.5.1: a change
    /// is a delete of the old value and then an add of the new one).
    pub(crate) fn modifications(&self) -> Vec<Mod<Octets>> {
        let mut modifications = match self {
            Self::Reset { new, .. } => vec![replace("unicodePwd", unicode_pwd(new))],
            Self::Change { current, new, .. } => vec![
                Mod::Delete(octets("unicodePwd"), HashSet::from([unicode_pwd(current)])),
                Mod::Add(octets("unicodePwd"), HashSet::from([unicode_pwd(new)])),
            ],
            Self::Unlock => Vec::new(),
        };
        modifications.extend(
            self.written_attributes()
                .map(|attribute| replace(attribute, octets("0"))),
        );
        modifications
    }

    /// The password that the domain's policy is asked for.
    pub(crate) fn new_password(&self) -> Option<&SecretString> {
        match self {
            Self::Reset { new, .. } | Self::Change { new, .. } => Some(new),
            Self::Unlock => None,
        }
    }

    /// Sets a password that its owner need not change: whether it is so depends on a right on the domain.
    pub(crate) fn needs_unexpire(&self) -> bool {
        matches!(
            self,
            Self::Reset {
                must_change: false,
                ..
            }
        )
    }

    /// A change obeys the history without them.
    pub(crate) fn policy_hints(&self) -> PolicyHints {
        match self {
            Self::Reset { policy_hints, .. } => *policy_hints,
            Self::Change { .. } | Self::Unlock => PolicyHints::Never,
        }
    }

    /// Whether the domain controller looks at history and minimum age: not on a reset without policy
    /// hints.
    pub(crate) fn obeys_history(&self, policy_hints: Option<&str>) -> bool {
        matches!(self, Self::Change { .. }) || policy_hints.is_some()
    }

    /// The attributes besides the password that this writes, all to 0: `lockoutTime` 0 unlocks
    /// (MS-SAMR 3.1.1.8.3), `pwdLastSet` 0 demands a change at the next sign-in.
    pub(crate) fn written_attributes(&self) -> impl Iterator<Item = &'static str> + use<> {
        let (unlock, must_change) = match self {
            Self::Reset {
                unlock,
                must_change,
                ..
            } => (*unlock, *must_change),
            Self::Change { unlock, .. } => (*unlock, false),
            Self::Unlock => (true, false),
        };
        unlock
            .then_some("lockoutTime")
            .into_iter()
            .chain(must_change.then_some("pwdLastSet"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(write: &PasswordWrite) -> Vec<String> {
        let show = |octets: &Octets| String::from_utf8(octets.0.to_vec()).unwrap();
        write
            .modifications()
            .iter()
            .map(|modification| match modification {
                Mod::Add(name, values) => format!("add {} {}", show(name), values.len()),
                Mod::Delete(name, values) => format!("delete {} {}", show(name), values.len()),
                Mod::Replace(name, values) => format!("replace {} {}", show(name), values.len()),
                Mod::Increment(..) => unreachable!(),
            })
            .collect()
    }

    #[test]
    fn the_specification_s_example() {
        assert_eq!(
            unicode_pwd(&"new".into()).as_ref(),
            [0x22, 0, 0x6e, 0, 0x65, 0, 0x77, 0, 0x22, 0]
        );
    }

    #[test]
    fn each_write_is_one_modify_in_order() {
        let (new, current) = (SecretString::from("n"), SecretString::from("c"));
        let reset = |unlock, must_change| PasswordWrite::Reset {
            new: new.clone(),
            unlock,
            must_change,
            policy_hints: PolicyHints::WhenAvailable,
        };
        assert_eq!(shape(&reset(false, false)), ["replace unicodePwd 1"]);
        assert_eq!(
            shape(&reset(true, true)),
            [
                "replace unicodePwd 1",
                "replace lockoutTime 1",
                "replace pwdLastSet 1"
            ]
        );
        let change = PasswordWrite::Change {
            current,
            new,
            unlock: true,
        };
        assert_eq!(
            shape(&change),
            [
                "delete unicodePwd 1",
                "add unicodePwd 1",
                "replace lockoutTime 1"
            ]
        );
        assert_eq!(shape(&PasswordWrite::Unlock), ["replace lockoutTime 1"]);
    }

    #[test]
    fn a_write_shows_no_secret() {
        let write = PasswordWrite::Reset {
            new: "hunter2".into(),
            unlock: true,
            must_change: false,
            policy_hints: PolicyHints::Never,
        };
        assert!(!format!("{write:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn any_password_round_trips(password in "\\PC{0,64}") {
            let octets = unicode_pwd(&password.clone().into());
            let words: Vec<u16> = octets
                .as_ref()
                .as_chunks::<2>()
                .0
                .iter()
                .map(|pair| u16::from_le_bytes(*pair))
                .collect();
            prop_assert_eq!(String::from_utf16(&words).unwrap(), format!("\"{password}\""));
        }
    }
}
