//! The entries that are given to the service account, and taken back.

use operation::SecurityIdentifier;
use uuid::Uuid;

use super::{
    ace::{Ace, CONTAINER_INHERIT, Entry, INHERIT_ONLY},
    descriptor::Acl,
    right::{CONTROL_ACCESS, INET_ORG_PERSON, Right, Schema, UNEXPIRE_PASSWORD, USER},
    service::Service,
};

/// One right at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gift {
    pub right: Right,
    /// The class of people it is given on, by its name; None for a right on the object itself.
    pub class: Option<&'static str>,
    pub entry: Entry,
}

/// A class of people that rights are given on.
const CLASSES: [(&str, Uuid); 2] = [("user", USER), ("inetOrgPerson", INET_ORG_PERSON)];

impl Gift {
    /// A right on everybody of this class below, and on nothing else. None where the class or the
    /// attribute is not known.
    pub fn below(
        schema: &Schema,
        right: Right,
        class: &str,
        account: SecurityIdentifier,
    ) -> Option<Self> {
        let (class, guid) = CLASSES.into_iter().find(|(name, _)| *name == class)?;
        Some(Self {
            right,
            class: Some(class),
            entry: Entry::allowing(
                right.mask(),
                CONTAINER_INHERIT | INHERIT_ONLY,
                schema.object_type(right)?,
                Some(guid),
                account,
            ),
        })
    }

    /// Unexpire-Password, on the domain object alone.
    pub const fn unexpire(account: SecurityIdentifier) -> Self {
        Self {
            right: Right::UnexpirePassword,
            class: None,
            entry: Entry::allowing(CONTROL_ACCESS, 0, UNEXPIRE_PASSWORD, None, account),
        }
    }

    /// Everything that may ever be given at one place to the account that a service binds as.
    pub fn all(schema: &Schema, service: Service, account: &SecurityIdentifier) -> Vec<Self> {
        let unexpire = (service == Service::Writer).then(|| Self::unexpire(account.clone()));
        CLASSES
            .into_iter()
            .flat_map(|(class, _)| {
                let needs = service.needs();
                needs.filter_map(move |right| Self::below(schema, right, class, account.clone()))
            })
            .chain(unexpire)
            .collect()
    }

    /// The same on Windows: `/I:S` is "on what is below, and not on the object itself".
    pub fn dsacls(&self, place: &str, account: &str) -> String {
        let (rights, on) = self.right.dsacls();
        match self.class {
            Some(class) => {
                format!("dsacls \"{place}\" /I:S /G \"{account}:{rights};{on};{class}\"")
            }
            None => format!("dsacls \"{place}\" /G \"{account}:{rights};{on}\""),
        }
    }
}

impl Acl {
    /// Puts what is not there yet among the entries set on the object that allow: after those that
    /// deny, before all that is inherited (MS-DTYP 2.4.5).
    #[must_use]
    pub fn with(&self, gifts: &[Gift]) -> Self {
        let mut list = self.clone();
        for gift in gifts {
            let ace = Ace::Entry(gift.entry.clone());
            if list.aces.contains(&ace) {
                continue;
            }
            let first_inherited = list
                .aces
                .iter()
                .position(Ace::is_inherited)
                .unwrap_or(list.aces.len());
            list.aces.insert(first_inherited, ace);
        }
        list
    }

    /// Without these; what is inherited, or differs in anything, stays.
    #[must_use]
    pub fn without(&self, gifts: &[Gift]) -> Self {
        let mut list = self.clone();
        list.aces
            .retain(|ace| !gifts.iter().any(|gift| ace.entry() == Some(&gift.entry)));
        list
    }

    /// Which of these are set on the object.
    pub fn set_here<'a>(&self, gifts: &'a [Gift]) -> Vec<&'a Gift> {
        gifts
            .iter()
            .filter(|gift| self.aces.iter().any(|ace| ace.entry() == Some(&gift.entry)))
            .collect()
    }

    /// The same entries set on the object, whatever their order: domain controllers sort them.
    pub fn is_same_set(&self, other: &Self) -> bool {
        let own = |list: &Self| {
            let mut aces: Vec<Ace> = list
                .aces
                .iter()
                .filter(|ace| !ace.is_inherited())
                .cloned()
                .collect();
            aces.sort_by_key(|ace| format!("{ace:?}"));
            aces
        };
        own(self) == own(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permissions::{
        ace::INHERITED,
        right::{Attribute, WRITE_DACL},
    };

    fn schema() -> Schema {
        let mut schema = Schema::default();
        let (guid, property_set) = (Uuid::from_u128(8), None);
        schema.add_attribute("objectSid", Attribute { guid, property_set });
        schema
    }

    fn service() -> SecurityIdentifier {
        "S-1-5-21-1-2-3-1104".parse().unwrap()
    }

    fn entry(denies: bool, flags: u8) -> Ace {
        Ace::Entry(Entry {
            denies,
            flags,
            ..Entry::allowing(0x10, 0, Uuid::from_u128(7), None, service())
        })
    }

    #[test]
    fn what_is_given_stands_between_denials_and_what_is_inherited() {
        let (denied, allowed) = (entry(true, 0), entry(false, 0));
        let inherited = entry(true, INHERITED);
        let list = Acl::of(vec![denied.clone(), allowed.clone(), inherited.clone()]);
        let gift = Gift::unexpire(service());
        let given = list.with(std::slice::from_ref(&gift));
        assert_eq!(
            given.aces,
            [denied, allowed, Ace::Entry(gift.entry.clone()), inherited]
        );
        assert_eq!(given.with(std::slice::from_ref(&gift)), given);
        assert_eq!(given.without(&[gift]), list);
    }

    #[test]
    fn only_exactly_what_was_given_is_taken_back() {
        let gifts = Gift::all(&schema(), Service::Writer, &service());
        let near = gifts.iter().flat_map(|gift| {
            let of = |change: fn(&mut Entry)| {
                let mut entry = gift.entry.clone();
                change(&mut entry);
                Ace::Entry(entry)
            };
            [
                of(|entry| entry.flags |= INHERITED),
                of(|entry| entry.mask |= WRITE_DACL),
                of(|entry| entry.denies = true),
                of(|entry| entry.object_type = None),
                of(|entry| entry.trustee = "S-1-5-21-1-2-3-1105".parse().unwrap()),
            ]
        });
        let list = Acl::of(near.collect());
        assert_eq!(list.without(&gifts), list);
        assert!(list.set_here(&gifts).is_empty());
    }

    #[test]
    fn the_lines_for_windows() {
        let account = "svc@corp.example.com";
        let shown: Vec<_> = Gift::all(&schema(), Service::Writer, &service())
            .iter()
            .map(|gift| gift.dsacls("OU=P,DC=corp", account))
            .collect();
        assert_eq!(
            shown,
            [
                r#"dsacls "OU=P,DC=corp" /I:S /G "svc@corp.example.com:CA;Reset Password;user""#,
                r#"dsacls "OU=P,DC=corp" /I:S /G "svc@corp.example.com:WP;lockoutTime;user""#,
                r#"dsacls "OU=P,DC=corp" /I:S /G "svc@corp.example.com:WP;pwdLastSet;user""#,
                r#"dsacls "OU=P,DC=corp" /I:S /G "svc@corp.example.com:RP;objectSid;user""#,
                r#"dsacls "OU=P,DC=corp" /I:S /G "svc@corp.example.com:RP;pwdLastSet;user""#,
                r#"dsacls "OU=P,DC=corp" /I:S /G "svc@corp.example.com:CA;Reset Password;inetOrgPerson""#,
                r#"dsacls "OU=P,DC=corp" /I:S /G "svc@corp.example.com:WP;lockoutTime;inetOrgPerson""#,
                r#"dsacls "OU=P,DC=corp" /I:S /G "svc@corp.example.com:WP;pwdLastSet;inetOrgPerson""#,
                r#"dsacls "OU=P,DC=corp" /I:S /G "svc@corp.example.com:RP;objectSid;inetOrgPerson""#,
                r#"dsacls "OU=P,DC=corp" /I:S /G "svc@corp.example.com:RP;pwdLastSet;inetOrgPerson""#,
                r#"dsacls "OU=P,DC=corp" /G "svc@corp.example.com:CA;Unexpire Password""#,
            ]
        );
    }
}
