//! The rights that Writeback needs, as the schema numbers them.

use std::{collections::HashMap, fmt};

use uuid::{Uuid, uuid};

/// MS-ADTS 5.1.3.2, RIGHT_DS_READ_PROPERTY.
pub const READ_PROPERTY: u32 = 0x10;
/// RIGHT_DS_WRITE_PROPERTY.
pub const WRITE_PROPERTY: u32 = 0x20;
/// RIGHT_DS_CONTROL_ACCESS: an extended right.
pub const CONTROL_ACCESS: u32 = 0x100;
pub const WRITE_DACL: u32 = 0x4_0000;
pub const WRITE_OWNER: u32 = 0x8_0000;
/// Everything that can be done to an object of the directory.
pub const FULL_CONTROL: u32 = 0xF_01FF;

/// User-Force-Change-Password (MS-ADTS 5.1.3.2.1).
pub const RESET_PASSWORD: Uuid = uuid!("00299570-246d-11d0-a768-00aa006e0529");
/// User-Change-Password.
pub const CHANGE_PASSWORD: Uuid = uuid!("ab721a53-1e2f-11d0-9819-00aa0040529b");
pub const UNEXPIRE_PASSWORD: Uuid = uuid!("ccc2dc7d-a6ad-4a7a-8846-c04e3cc53501");
/// MS-ADA1; in no property set.
pub const LOCKOUT_TIME: Uuid = uuid!("28630ebf-41d5-11d1-a9c1-0000f80367c1");
/// MS-ADA3; in the property set User-Account-Restrictions.
pub const PWD_LAST_SET: Uuid = uuid!("bf967a0a-0de6-11d0-a285-00aa003049e2");
pub const USER_ACCOUNT_RESTRICTIONS: Uuid = uuid!("4c164200-20c0-11d0-a768-00aa006e0529");
/// MS-ADSC.
pub const USER: Uuid = uuid!("bf967aba-0de6-11d0-a285-00aa003049e2");
pub const INET_ORG_PERSON: Uuid = uuid!("4828cc14-1437-45bc-9b07-ad6f015e5f28");
pub const DOMAIN_DNS: Uuid = uuid!("19195a5b-6da0-11d0-afd3-00c04fd930c9");

/// What our accounts do to people, or to the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// On people: to set a password without the old one.
    ResetPassword,
    /// On people: to unlock.
    WriteLockoutTime,
    /// On people: to demand a change at the next sign-in.
    WritePwdLastSet,
    /// On the domain object: without it a reset leaves the new password expired (MS-SAMR 3.1.1.8.7).
    UnexpirePassword,
    /// On people: to set a password with the old one. Everybody has it unless it was taken away, so
    /// it need not be given.
    ChangePassword,
    /// On people: to read this attribute.
    Read(&'static str),
}

/// As the writer names it when it is missing.
impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResetPassword => f.write_str("Reset Password"),
            Self::WriteLockoutTime => f.write_str("lockoutTime"),
            Self::WritePwdLastSet => f.write_str("pwdLastSet"),
            Self::UnexpirePassword => f.write_str("Unexpire-Password"),
            Self::ChangePassword => f.write_str("Change Password"),
            Self::Read(attribute) => write!(f, "read {attribute}"),
        }
    }
}

impl Right {
    /// What the account that writes does to people.
    pub const ON_PEOPLE: [Self; 3] = [
        Self::ResetPassword,
        Self::WriteLockoutTime,
        Self::WritePwdLastSet,
    ];

    pub(super) const fn mask(self) -> u32 {
        match self {
            Self::ResetPassword | Self::ChangePassword | Self::UnexpirePassword => CONTROL_ACCESS,
            Self::WriteLockoutTime | Self::WritePwdLastSet => WRITE_PROPERTY,
            Self::Read(_) => READ_PROPERTY,
        }
    }

    const fn on(self) -> On {
        match self {
            Self::ResetPassword => On::Extended(RESET_PASSWORD),
            Self::ChangePassword => On::Extended(CHANGE_PASSWORD),
            Self::UnexpirePassword => On::Extended(UNEXPIRE_PASSWORD),
            Self::WriteLockoutTime => On::Attribute("lockoutTime"),
            Self::WritePwdLastSet => On::Attribute("pwdLastSet"),
            Self::Read(attribute) => On::Attribute(attribute),
        }
    }

    /// As dsacls writes it: the permission, and what it is on.
    pub fn dsacls(self) -> (&'static str, &'static str) {
        match self {
            Self::ResetPassword => ("CA", "Reset Password"),
            Self::ChangePassword => ("CA", "Change Password"),
            Self::UnexpirePassword => ("CA", "Unexpire Password"),
            Self::WriteLockoutTime => ("WP", "lockoutTime"),
            Self::WritePwdLastSet => ("WP", "pwdLastSet"),
            Self::Read(attribute) => ("RP", attribute),
        }
    }
}

/// What a right is a right on.
enum On {
    /// An operation of the directory's own; the GUID is the same everywhere.
    Extended(Uuid),
    /// The schema has its GUID.
    Attribute(&'static str),
}

/// One bit, and the GUIDs an entry may name to give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub(super) mask: u32,
    pub(super) covered_by: Vec<Uuid>,
}

/// An attribute's GUID and its property set's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    pub guid: Uuid,
    pub property_set: Option<Uuid>,
}

/// What a forest's schema says of the attributes and classes that count here. An administrator may
/// have put an attribute into another property set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    attributes: HashMap<String, Attribute>,
    classes: HashMap<String, Uuid>,
}

impl Default for Schema {
    /// As it is delivered.
    fn default() -> Self {
        let mut schema = Self {
            attributes: HashMap::new(),
            classes: HashMap::new(),
        };
        for (name, guid, property_set) in [
            ("lockoutTime", LOCKOUT_TIME, None),
            ("pwdLastSet", PWD_LAST_SET, Some(USER_ACCOUNT_RESTRICTIONS)),
        ] {
            schema.add_attribute(name, Attribute { guid, property_set });
        }
        for (name, guid) in [
            ("user", USER),
            ("inetOrgPerson", INET_ORG_PERSON),
            ("domainDNS", DOMAIN_DNS),
        ] {
            schema.add_class(name, guid);
        }
        schema
    }
}

impl Schema {
    pub(super) fn add_attribute(&mut self, name: &str, attribute: Attribute) {
        self.attributes.insert(name.to_ascii_lowercase(), attribute);
    }

    pub(super) fn add_class(&mut self, name: &str, guid: Uuid) {
        self.classes.insert(name.to_ascii_lowercase(), guid);
    }

    /// The class's GUID, by its name. None for one that was not asked for.
    pub fn class(&self, name: &str) -> Option<Uuid> {
        self.classes.get(&name.to_ascii_lowercase()).copied()
    }

    /// What an entry names to give this right alone; None for an attribute the schema lacks.
    pub fn object_type(&self, right: Right) -> Option<Uuid> {
        match right.on() {
            On::Extended(guid) => Some(guid),
            On::Attribute(name) => Some(self.attribute(name)?.guid),
        }
    }

    /// How this right on an object of a class is asked for.
    pub fn asked(&self, right: Right, class: Option<Uuid>) -> Asked {
        let mask = right.mask();
        let covered_by = match right.on() {
            // a control access right stands alone (MS-ADTS 5.1.3.3.4)
            On::Extended(guid) => vec![guid],
            On::Attribute(name) => self.covering(name, class),
        };
        Asked { mask, covered_by }
    }

    /// MS-ADTS 5.1.3.3.3: an entry on the attribute counts, one on its property set, and one on the class.
    fn covering(&self, attribute: &str, class: Option<Uuid>) -> Vec<Uuid> {
        let known = self.attribute(attribute);
        let guid = known.map(|known| known.guid);
        let property_set = known.and_then(|known| known.property_set);
        [guid, property_set, class].into_iter().flatten().collect()
    }

    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.get(&name.to_ascii_lowercase())
    }
}
