//! What is seen of containers: which of them inherit nothing.

use super::RootSurvey;
use crate::{
    distinguished_name::DistinguishedName,
    permissions::{Guarded, Right, SecurityDescriptor, right::USER},
    reading::Entry,
};

/// Whatever may hold people.
pub(in crate::permissions) const CONTAINERS: &str = "(|(objectClass=organizationalUnit)(objectClass=container)\
    (objectClass=builtinDomain)(objectClass=organization)(objectClass=locality))";
pub(in crate::permissions) const CONTAINER_ATTRIBUTES: &[&str] =
    &["objectClass", "nTSecurityDescriptor"];

/// A container that inherits nothing.
pub(super) struct Blocked {
    pub(super) dn: String,
    pub(super) name: DistinguishedName,
    pub(super) is_unit: bool,
    pub(super) descriptor: SecurityDescriptor,
    pub(super) holds_people: bool,
}

impl RootSurvey<'_> {
    pub(super) fn see_container(&mut self, container: Guarded) {
        self.containers.insert(container.entry.dn.to_lowercase());
        let Guarded {
            entry,
            descriptor: Some(descriptor),
        } = container
        else {
            return;
        };
        let is_root = entry.dn.eq_ignore_ascii_case(self.root);
        if !descriptor.blocks_inheritance() || is_root || !self.question.scope.contains(&entry.dn) {
            return;
        }
        let Some(name) = DistinguishedName::parse(&entry.dn) else {
            return;
        };
        let is_unit = has_class(&entry, "organizationalUnit");
        self.blocked.push(Blocked {
            dn: entry.dn,
            name,
            is_unit,
            descriptor,
            holds_people: false,
        });
    }

    /// The nearest container above, below the root, that inherits nothing.
    pub(super) fn nearest_blocked(&self, dn: &str) -> Option<usize> {
        let person = DistinguishedName::parse(dn)?;
        self.blocked
            .iter()
            .enumerate()
            .filter(|(_, blocked)| person.is_within(&blocked.name))
            .max_by_key(|(_, blocked)| blocked.name.depth())
            .map(|(index, _)| index)
    }

    /// Units that inherit nothing and hold nobody in scope, where somebody new would lack rights.
    pub(super) fn idle(&self) -> Vec<String> {
        let gives_all = |container: &SecurityDescriptor| {
            Right::ON_PEOPLE.into_iter().all(|right| {
                self.below(self.question.writer, container, USER, right)
                    .holds()
            })
        };
        self.blocked
            .iter()
            .filter(|unit| unit.is_unit && !unit.holds_people && !gives_all(&unit.descriptor))
            .map(|unit| unit.dn.clone())
            .collect()
    }
}

fn has_class(entry: &Entry, class: &str) -> bool {
    entry
        .texts("objectClass")
        .any(|held| held.eq_ignore_ascii_case(class))
}
