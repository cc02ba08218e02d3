//! Accounts as the directory holds them.

use std::collections::BTreeSet;

use operation::{DomainName, ObjectGuid, SecurityIdentifier, SourceAnchor, UserPrincipalName};
use time::OffsetDateTime;

use crate::{
    Membership, distinguished_name::domain_of, protected_groups::membership, reading::Entry,
};

/// What an object is looked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identifier {
    ObjectGuid(ObjectGuid),
    /// Neither indexed nor in the global catalog (MS-ADA2): a scan of the domain.
    ConsistencyGuid(SourceAnchor),
    SecurityIdentifier(SecurityIdentifier),
    UserPrincipalName(UserPrincipalName),
}

/// An object that a search found; enough to tell whose account it is and where it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub guid: ObjectGuid,
    /// None for contacts.
    pub sid: Option<SecurityIdentifier>,
    pub upn: Option<UserPrincipalName>,
    pub dn: String,
    pub domain: DomainName,
    pub enabled: bool,
    /// A user or inetOrgPerson; not a computer, a contact or a managed service account.
    pub is_person: bool,
    /// Always None when a global catalog answered, which does not hold it.
    pub consistency_guid: Option<SourceAnchor>,
}

/// When the password was last set, by the clock of the domain controller that set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PwdLastSet {
    /// 0: the password must be changed at the next sign-in, or was never set.
    MustChange,
    At(OffsetDateTime),
}

/// An account, read from a domain controller of its own domain.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the directory's own, independent of the others"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub guid: ObjectGuid,
    pub sid: Option<SecurityIdentifier>,
    pub upn: Option<UserPrincipalName>,
    /// `mS-DS-ConsistencyGuid`, else `objectGUID`.
    pub anchor: SourceAnchor,
    pub dn: String,
    pub sam_account_name: Option<String>,
    pub display_name: Option<String>,
    pub enabled: bool,
    /// By `msDS-User-Account-Control-Computed`: a lockout that has lapsed is none.
    pub locked: bool,
    /// `adminCount` is 1: the account is, or once was, in a protected group.
    pub admin_count: bool,
    pub membership: Membership,
    /// Its password is the domain's Kerberos key, or a read-only domain controller's.
    pub is_krbtgt: bool,
    pub pwd_last_set: PwdLastSet,
    /// By the clock of the domain controller. None: never.
    pub expires: Option<OffsetDateTime>,
    pub password_never_expires: bool,
    pub smart_card_required: bool,
    /// "Account is sensitive and cannot be delegated"; no matter for a password.
    pub not_delegated: bool,
    pub is_person: bool,
    /// Which domain controller answered; `pwd_last_set` is to be read by its clock.
    pub domain_controller: String,
}

impl Account {
    /// The name to try a bind with: it stays right when the account has no principal name.
    pub fn bind_name(&self) -> &str {
        &self.dn
    }
}

const ACCOUNT_DISABLED: u32 = 0x2; // MS-ADTS 2.2.16, ADS_UF_ACCOUNT_DISABLE
const LOCKED_OUT: u32 = 0x10; // MS-ADTS 3.1.1.4.5.17, ADS_UF_LOCKOUT
const DONT_EXPIRE_PASSWORD: u32 = 0x1_0000; // MS-ADTS 2.2.16
const SMARTCARD_REQUIRED: u32 = 0x4_0000;
const NOT_DELEGATED: u32 = 0x10_0000;
/// Of another domain, a workstation, a domain controller: accounts that no person signs in with.
const TRUST_ACCOUNTS: u32 = 0x800 | 0x1000 | 0x2000;

pub(crate) const FOUND_ATTRIBUTES: &[&str] = &[
    "objectGUID",
    "objectSid",
    "objectClass",
    "userPrincipalName",
    "userAccountControl",
    "mS-DS-ConsistencyGuid",
];

/// Without `allowedAttributesEffective`: the domain controller works it out for every attribute of the
/// class, and nobody asks before a write was refused.
pub(crate) const ACCOUNT_ATTRIBUTES: &[&str] = &[
    "objectGUID",
    "objectSid",
    "objectClass",
    "userPrincipalName",
    "userAccountControl",
    "mS-DS-ConsistencyGuid",
    "sAMAccountName",
    "displayName",
    "adminCount",
    "pwdLastSet",
    "accountExpires",
    "msDS-SecondaryKrbTgtNumber",
    // constructed, but cheap beside the exchange itself: 0.2 ms at Samba
    "tokenGroups",
    "msDS-User-Account-Control-Computed",
];

/// Reads what a search found. None if the entry lacks what every object has.
pub(crate) fn found(entry: &Entry) -> Option<Found> {
    Some(Found {
        guid: guid(entry)?,
        sid: sid(entry),
        upn: upn(entry),
        domain: domain_of(&entry.dn)?,
        dn: entry.dn.clone(),
        enabled: enabled(entry),
        is_person: is_person(entry),
        consistency_guid: consistency_guid(entry),
    })
}

/// Reads an account. None if the entry lacks what every account has.
pub(crate) fn account(entry: &Entry, domain_controller: &str) -> Option<Account> {
    let guid = guid(entry)?;
    Some(Account {
        guid,
        sid: sid(entry),
        upn: upn(entry),
        anchor: consistency_guid(entry)
            .unwrap_or_else(|| SourceAnchor::from_bytes(*guid.as_bytes())),
        dn: entry.dn.clone(),
        sam_account_name: entry.text("sAMAccountName").map(str::to_owned),
        display_name: entry.text("displayName").map(str::to_owned),
        enabled: enabled(entry),
        locked: entry
            .bits("msDS-User-Account-Control-Computed")
            .is_some_and(|bits| bits & LOCKED_OUT != 0),
        membership: membership(entry),
        is_krbtgt: is_krbtgt(entry),
        admin_count: entry.text("adminCount") == Some("1"),
        pwd_last_set: pwd_last_set(entry.text("pwdLastSet")),
        expires: file_time(entry.text("accountExpires")),
        password_never_expires: has_flag(entry, DONT_EXPIRE_PASSWORD),
        smart_card_required: has_flag(entry, SMARTCARD_REQUIRED),
        not_delegated: has_flag(entry, NOT_DELEGATED),
        is_person: is_person(entry),
        domain_controller: domain_controller.to_owned(),
    })
}

/// Which of the attributes that we write `allowedAttributesEffective` names.
pub(crate) fn allowed_attributes(entry: &Entry) -> BTreeSet<String> {
    entry
        .texts("allowedAttributesEffective")
        .filter_map(|name| {
            ["lockoutTime", "pwdLastSet"]
                .into_iter()
                .find(|ours| name.eq_ignore_ascii_case(ours))
        })
        .map(str::to_owned)
        .collect()
}

pub(crate) fn guid(entry: &Entry) -> Option<ObjectGuid> {
    entry
        .bytes("objectGUID")?
        .try_into()
        .ok()
        .map(ObjectGuid::from_bytes)
}

pub(crate) fn consistency_guid(entry: &Entry) -> Option<SourceAnchor> {
    entry
        .bytes("mS-DS-ConsistencyGuid")?
        .try_into()
        .ok()
        .map(SourceAnchor::from_bytes)
}

pub(crate) fn sid(entry: &Entry) -> Option<SecurityIdentifier> {
    SecurityIdentifier::from_bytes(entry.bytes("objectSid")?).ok()
}

fn upn(entry: &Entry) -> Option<UserPrincipalName> {
    entry.text("userPrincipalName")?.parse().ok()
}

/// Whether `userAccountControl` has one of these bits (MS-ADTS 2.2.16).
fn has_flag(entry: &Entry, bits: u32) -> bool {
    entry
        .bits("userAccountControl")
        .is_some_and(|control| control & bits != 0)
}

/// MS-SAMR 2.2.1.14, DOMAIN_USER_RID_KRBTGT; those of read-only domain controllers carry a number of
/// their own (MS-ADA2, msDS-SecondaryKrbTgtNumber).
pub(crate) fn is_krbtgt(entry: &Entry) -> bool {
    const KRBTGT: u32 = 502;
    sid(entry).and_then(|sid| sid.relative_identifier()) == Some(KRBTGT)
        || entry.bytes("msDS-SecondaryKrbTgtNumber").is_some()
}

/// Enabled only if the directory says so: without the attribute (no right to read it) it is not.
/// One that hides it may be enabled: of two accounts that might be meant, none is passed over for that.
fn enabled(entry: &Entry) -> bool {
    entry
        .bits("userAccountControl")
        .is_none_or(|bits| bits & ACCOUNT_DISABLED == 0)
}

/// Whether we may not read what every user has: nothing can be said of the account then.
pub(crate) fn hides_its_state(entry: &Entry) -> bool {
    let is_user = entry
        .texts("objectClass")
        .any(|class| class.eq_ignore_ascii_case("user"));
    is_user && entry.bits("userAccountControl").is_none()
}

/// inetOrgPerson, computers and managed service accounts are all below `user` in the class tree
/// (MS-ADSC); group managed accounts below `computer`. What trusts another domain is a plain `user`,
/// told by its flag alone.
pub(crate) fn is_person(entry: &Entry) -> bool {
    let is = |class: &str| {
        entry
            .texts("objectClass")
            .any(|held| held.eq_ignore_ascii_case(class))
    };
    is("user")
        && ![
            "computer",
            "contact",
            "msDS-ManagedServiceAccount",
            "msDS-GroupManagedServiceAccount",
            "msDS-DelegatedManagedServiceAccount",
        ]
        .into_iter()
        .any(is)
        && !has_flag(entry, TRUST_ACCOUNTS)
}

/// What cannot be read counts as never set.
pub(crate) fn pwd_last_set(text: Option<&str>) -> PwdLastSet {
    file_time(text).map_or(PwdLastSet::MustChange, PwdLastSet::At)
}

/// 100 ns since 1601 (MS-DTYP 2.3.3). None for 0, and for what lies beyond every calendar: the
/// greatest number means never (MS-ADA1, accountExpires).
pub(crate) fn file_time(text: Option<&str>) -> Option<OffsetDateTime> {
    const SECONDS_FROM_1601_TO_1970: i128 = 11_644_473_600;
    text.and_then(|text| text.parse::<i64>().ok())
        .filter(|ticks| *ticks > 0)
        .and_then(|ticks| {
            let nanoseconds = i128::from(ticks) * 100 - SECONDS_FROM_1601_TO_1970 * 1_000_000_000;
            OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    fn entry(classes: &[&str], control: &str) -> Entry {
        Entry::for_test(
            "CN=Ana,OU=People,DC=corp,DC=example,DC=com",
            &[
                ("objectGUID", vec![vec![0xfe; 16]]),
                (
                    "objectClass",
                    classes.iter().map(|c| c.as_bytes().to_vec()).collect(),
                ),
                ("userAccountControl", vec![control.as_bytes().to_vec()]),
                (
                    "allowedattributeseffective",
                    vec![b"lockouttime".to_vec(), b"description".to_vec()],
                ),
                (
                    "msDS-User-Account-Control-Computed",
                    vec![b"8388624".to_vec()],
                ),
                ("pwdLastSet", vec![b"133500000000000001".to_vec()]),
            ],
        )
    }

    #[test]
    fn people_are_told_from_machines() {
        for (classes, person) in [
            (&["top", "person", "user"][..], true),
            (&["top", "person", "user", "inetOrgPerson"], true),
            (&["top", "person", "user", "computer"], false),
            (
                &["top", "user", "computer", "msDS-ManagedServiceAccount"],
                false,
            ),
            (&["top", "person", "contact"], false),
            (&[], false),
        ] {
            let entry = entry(classes, "512");
            assert_eq!(found(&entry).unwrap().is_person, person, "{classes:?}");
        }
    }

    #[test]
    fn an_account_is_read() {
        let account = account(&entry(&["user"], "514"), "ldaps://dc1:636").unwrap();
        assert!(!account.enabled);
        assert!(account.locked);
        assert!(!account.admin_count);
        assert_eq!(account.anchor.as_bytes(), &[0xfe; 16]);
        assert_eq!(
            allowed_attributes(&entry(&["user"], "512")),
            BTreeSet::from(["lockoutTime".to_owned()])
        );
        assert_eq!(
            account.pwd_last_set,
            PwdLastSet::At(datetime!(2024-01-17 21:20:00.0000001 UTC))
        );
    }

    #[test]
    fn what_trusts_another_domain_is_nobody() {
        for (control, person) in [
            ("512", true),
            ("2080", false), // with no password needed, as a trust is made
            ("4096", false),
            ("532480", false), // a domain controller, trusted for delegation
        ] {
            let entry = entry(&["top", "person", "user"], control);
            assert_eq!(found(&entry).unwrap().is_person, person, "{control}");
        }
    }

    #[test]
    fn who_hides_their_state_is_not_taken_for_disabled() {
        let hidden = Entry::for_test(
            "CN=Ana,DC=corp,DC=example,DC=com",
            &[
                ("objectGUID", vec![vec![1; 16]]),
                ("objectClass", vec![b"top".to_vec(), b"user".to_vec()]),
            ],
        );
        assert!(hides_its_state(&hidden) && found(&hidden).unwrap().enabled);
        assert!(!hides_its_state(&entry(&["user"], "514")));
        let contact = Entry::for_test("CN=K", &[("objectClass", vec![b"contact".to_vec()])]);
        assert!(!hides_its_state(&contact));
    }

    #[test]
    fn what_makes_a_password_useless_is_read() {
        let read = |control| account(&entry(&["user"], control), "ldaps://dc1:636").unwrap();
        let flags = |control| {
            let account = read(control);
            (account.password_never_expires, account.smart_card_required)
        };
        assert_eq!(flags("512"), (false, false));
        assert_eq!(flags("66048"), (true, false));
        assert_eq!(flags("262656"), (false, true));
        assert_eq!(read("512").expires, None);
        for never in ["0", "9223372036854775807"] {
            assert_eq!(file_time(Some(never)), None);
        }
        assert_eq!(
            file_time(Some("133500000000000000")),
            Some(datetime!(2024-01-17 21:20:00 UTC))
        );
    }

    #[test]
    fn never_set_and_must_change_are_one() {
        for text in [None, Some("0"), Some("-1"), Some(""), Some("x")] {
            assert_eq!(pwd_last_set(text), PwdLastSet::MustChange);
        }
    }

    proptest! {
        #[test]
        fn any_time_is_read(text in "-?[0-9]{0,25}") {
            let _ = pwd_last_set(Some(&text));
        }
    }
}
