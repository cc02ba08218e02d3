//! The rights that Writeback needs, as the schema numbers them.

use std::collections::HashMap;

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

/// What the account that writes does to people, or to the domain.
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
}

impl Right {
    /// Those that are given on people.
    pub const ON_PEOPLE: [Self; 3] = [
        Self::ResetPassword,
        Self::WriteLockoutTime,
        Self::WritePwdLastSet,
    ];

    /// As the writer names it when it is missing.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResetPassword => "Reset Password",
            Self::WriteLockoutTime => "lockoutTime",
            Self::WritePwdLastSet => "pwdLastSet",
            Self::UnexpirePassword => "Unexpire-Password",
            Self::ChangePassword => "Change Password",
        }
    }

    /// The bit of the mask, and what it is a right on.
    pub const fn mask_and_type(self) -> (u32, Uuid) {
        match self {
            Self::ResetPassword => (CONTROL_ACCESS, RESET_PASSWORD),
            Self::ChangePassword => (CONTROL_ACCESS, CHANGE_PASSWORD),
            Self::UnexpirePassword => (CONTROL_ACCESS, UNEXPIRE_PASSWORD),
            Self::WriteLockoutTime => (WRITE_PROPERTY, LOCKOUT_TIME),
            Self::WritePwdLastSet => (WRITE_PROPERTY, PWD_LAST_SET),
        }
    }

    const fn attribute(self) -> Option<&'static str> {
        match self {
            Self::WriteLockoutTime => Some("lockoutTime"),
            Self::WritePwdLastSet => Some("pwdLastSet"),
            Self::ResetPassword | Self::UnexpirePassword | Self::ChangePassword => None,
        }
    }
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

    /// How this right on an object of a class is asked for.
    pub fn asked(&self, right: Right, class: Option<Uuid>) -> Asked {
        let (mask, guid) = right.mask_and_type();
        match right.attribute() {
            Some(attribute) => self.of_attribute(mask, attribute, guid, class),
            // a control access right stands alone (MS-ADTS 5.1.3.3.4)
            None => Asked {
                mask,
                covered_by: vec![guid],
            },
        }
    }

    /// How the right to read this attribute is asked for; None for an attribute the schema lacks.
    pub fn reading(&self, attribute: &str, class: Option<Uuid>) -> Option<Asked> {
        let known = self.attributes.get(&attribute.to_ascii_lowercase())?;
        Some(self.of_attribute(READ_PROPERTY, attribute, known.guid, class))
    }

    /// MS-ADTS 5.1.3.3.3: an entry on the attribute counts, one on its property set, and one on the class.
    fn of_attribute(
        &self,
        mask: u32,
        attribute: &str,
        fallback: Uuid,
        class: Option<Uuid>,
    ) -> Asked {
        let known = self.attributes.get(&attribute.to_ascii_lowercase());
        let guid = known.map_or(fallback, |known| known.guid);
        let property_set = known.and_then(|known| known.property_set);
        Asked {
            mask,
            covered_by: [Some(guid), property_set, class]
                .into_iter()
                .flatten()
                .collect(),
        }
    }
}
