//! The people of the scripted domain, and how the directory shows them.

use operation::{ObjectGuid, SecurityIdentifier, SourceAnchor};
use rasn_ldap::Filter;
use time::OffsetDateTime;

/// The only domain.
pub const BASE: &str = "DC=corp,DC=example,DC=com";

/// An account. Its fields are what the domain controller holds; a test may set and read them freely.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the directory's own, independent of the others"
)]
pub struct Person {
    pub name: String,
    pub guid: ObjectGuid,
    pub relative_identifier: u32,
    pub password: String,
    /// The passwords before, the latest last.
    pub history: Vec<String>,
    /// None: to be changed at the next sign-in.
    pub pwd_last_set: Option<OffsetDateTime>,
    pub enabled: bool,
    /// The groups it is in, itself or through others; none, where that may not be read.
    pub token_groups: Vec<SecurityIdentifier>,
    /// Bits of `userAccountControl` (MS-ADTS 2.2.16).
    pub flags: u32,
    pub locked: bool,
    pub may_change_password: bool,
    pub wrong_passwords: u32,
    /// Whether the service account may reset the password.
    pub resettable: bool,
    /// Whether the service account may write `lockoutTime` and `pwdLastSet` here.
    pub lockout_time_writable: bool,
    pub pwd_last_set_writable: bool,
}

impl Person {
    /// Each needs another number.
    pub fn new(name: &str, number: u8) -> Self {
        let mut guid = *b"scripted-person\0";
        guid[15] = number;
        Self {
            name: name.to_owned(),
            guid: ObjectGuid::from_bytes(guid),
            relative_identifier: 1100 + u32::from(number),
            password: "Old-Passw0rd".to_owned(),
            history: Vec::new(),
            pwd_last_set: Some(OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000)),
            enabled: true,
            token_groups: "S-1-5-21-1001-1002-1003-513".parse().into_iter().collect(),
            flags: 0x200,
            locked: false,
            may_change_password: true,
            wrong_passwords: 0,
            resettable: true,
            lockout_time_writable: true,
            pwd_last_set_writable: true,
        }
    }

    pub fn dn(&self) -> String {
        format!("CN={},OU=People,{BASE}", self.name)
    }

    pub fn user_principal_name(&self) -> String {
        format!("{}@corp.example.com", self.name)
    }

    pub fn source_anchor(&self) -> SourceAnchor {
        SourceAnchor::from_bytes(*self.guid.as_bytes())
    }

    fn sid(&self) -> Vec<u8> {
        // MS-DTYP 2.4.2.2: revision 1, five subauthorities, authority 5
        let mut sid = vec![1, 5, 0, 0, 0, 0, 0, 5];
        for part in [21, 1001, 1002, 1003, self.relative_identifier] {
            sid.extend(part.to_le_bytes());
        }
        sid
    }

    /// Every attribute that this domain controller knows of the person.
    pub(crate) fn attributes(&self) -> Vec<(String, Vec<Vec<u8>>)> {
        let text = |value: &str| vec![value.as_bytes().to_vec()];
        let number = |value: i64| text(&value.to_string());
        let writable = [
            ("lockoutTime", self.lockout_time_writable),
            ("pwdLastSet", self.pwd_last_set_writable),
        ];
        let allowed: Vec<Vec<u8>> = writable
            .iter()
            .filter(|(_, writable)| *writable)
            .map(|(name, _)| name.as_bytes().to_vec())
            .collect();
        let classes = ["top", "person", "organizationalPerson", "user"];
        let mut attributes = vec![
            (
                "objectClass",
                classes.map(|class| class.as_bytes().to_vec()).to_vec(),
            ),
            ("objectGUID", vec![self.guid.as_bytes().to_vec()]),
            ("objectSid", vec![self.sid()]),
            ("sAMAccountName", text(&self.name)),
            ("displayName", text(&self.name)),
            ("userPrincipalName", text(&self.user_principal_name())),
            (
                "userAccountControl",
                number(i64::from(self.flags | if self.enabled { 0 } else { 2 })),
            ),
            (
                "msDS-User-Account-Control-Computed",
                number(if self.locked { 0x10 } else { 0 }),
            ),
            ("pwdLastSet", number(self.pwd_last_set.map_or(0, ticks))),
        ];
        if !self.token_groups.is_empty() {
            let groups = self.token_groups.iter();
            attributes.push((
                "tokenGroups",
                groups.map(SecurityIdentifier::to_bytes).collect(),
            ));
        }
        if !allowed.is_empty() {
            attributes.push(("allowedAttributesEffective", allowed));
        }
        attributes
            .into_iter()
            .map(|(name, values)| (name.to_owned(), values))
            .collect()
    }

    /// Equality is by octets, letters' case aside; what no search of ours uses matches nothing.
    pub(crate) fn matches(&self, filter: &Filter) -> bool {
        let attributes = self.attributes();
        let values = |wanted: &str| {
            attributes
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, values)| values)
        };
        match filter {
            Filter::And(all) => all.iter().all(|one| self.matches(one)),
            Filter::Or(any) => any.iter().any(|one| self.matches(one)),
            Filter::Not(one) => !self.matches(one),
            Filter::Present(name) => values(name).is_some(),
            Filter::EqualityMatch(wanted) => values(&wanted.attribute_desc).is_some_and(|values| {
                values
                    .iter()
                    .any(|value| value.eq_ignore_ascii_case(&wanted.assertion_value))
            }),
            _ => false,
        }
    }

    /// `<GUID=…>` or the distinguished name (MS-ADTS 3.1.1.3.1.2.4).
    pub(crate) fn is_named(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&format!("<GUID={}>", self.guid))
            || name.eq_ignore_ascii_case(&self.dn())
    }
}

/// 100 ns since 1601 (MS-DTYP 2.3.3).
fn ticks(at: OffsetDateTime) -> i64 {
    const FROM_1601_TO_1970: i128 = 11_644_473_600 * 10_000_000;
    i64::try_from(at.unix_timestamp_nanos() / 100 + FROM_1601_TO_1970).unwrap_or(i64::MAX)
}
