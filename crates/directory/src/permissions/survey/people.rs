//! What is seen of people: who counts, what our accounts lack on each, and where that is to be mended.

use std::collections::BTreeSet;

use operation::SecurityIdentifier;

use super::{KNOWN_CLASSES, Origins, RootSurvey};
use crate::{
    DirectoryError,
    account::{is_krbtgt, is_person},
    distinguished_name::parent_of,
    permissions::{
        Guarded, Object, Right, SecurityDescriptor, Service, Verdict,
        access::check,
        report::{Breach, Gap, Lack, Readable, Told, diagnose},
        service::FOUND_BY,
    },
    reading::Entry,
};

/// `SAM_USER_OBJECT` (MS-SAMR 2.2.1.9).
const SAM_USER_OBJECT: &str = "805306368";
/// By either: one of them may be hidden, and what is hidden matches nothing (MS-ADTS 3.1.1.3.1.3.1).
pub(super) const PEOPLE: &str =
    "(|(sAMAccountType=805306368)(&(objectClass=user)(!(objectClass=computer))))";
pub(super) const PERSON_ATTRIBUTES: &[&str] = &[
    "objectGUID",
    "objectSid",
    "objectClass",
    "sAMAccountType",
    "userPrincipalName",
    "userAccountControl",
    "adminCount",
    "msDS-SecondaryKrbTgtNumber",
    "nTSecurityDescriptor",
];

/// Matches whatever is hidden (MS-ADTS 3.1.1.3.1.3.1).
pub(super) const EVERYTHING: &str = "(objectClass=*)";
/// By either of which an object shows what it is.
pub(super) const KIND_ATTRIBUTES: &[&str] = &["objectClass", "sAMAccountType"];
const OBJECT_ATTRIBUTES: &[&str] = &["objectSid", "nTSecurityDescriptor"];

/// Whoever hides their class is taken for one.
const USUAL_CLASS: &str = "user";

/// Somebody whose list can be read.
struct Seen<'a> {
    dn: &'a str,
    object: Object<'a>,
    class: &'a str,
    admin_count: bool,
}

/// What an account may not do, and why.
struct Lacked {
    service: Service,
    account: SecurityIdentifier,
    right: Right,
    why: Breach,
    at: String,
}

impl RootSurvey<'_> {
    pub(super) async fn see_person(
        &mut self,
        person: &Guarded,
        origins: &mut Origins<'_>,
    ) -> Result<(), DirectoryError> {
        let entry = &person.entry;
        if !is_somebody(entry) || is_krbtgt(entry) || !self.question.scope.contains(&entry.dn) {
            return Ok(());
        }
        self.report.people += 1;
        let admin_count = entry.text("adminCount") == Some("1");
        if admin_count {
            self.report.protected.add(&entry.dn);
        }
        let hides = FOUND_BY.iter().any(|name| entry.bytes(name).is_none());
        let Some(descriptor) = &person.descriptor else {
            self.report.unreadable.add(&entry.dn);
            if hides {
                self.report.hidden.add(&entry.dn);
            }
            return Ok(());
        };
        // the most derived class comes last (MS-ADTS 3.1.1.2.4.3)
        let class = entry.texts("objectClass").last().unwrap_or(USUAL_CLASS);
        let class = KNOWN_CLASSES
            .into_iter()
            .find(|known| class.eq_ignore_ascii_case(known))
            .unwrap_or(class);
        if !self.report.rights.iter().any(|right| right.class == class) {
            self.add_class(class, origins).await?;
        }
        let sid = crate::account::sid(entry);
        let seen = Seen {
            dn: &entry.dn,
            object: Object {
                descriptor,
                sid: sid.as_ref(),
            },
            class,
            admin_count,
        };
        let change = self.schema.asked(Right::ChangePassword, None);
        if !check(self.question.writer, seen.object, &change).holds() {
            self.report.cannot_change.add(&entry.dn);
        }
        let needs = Service::BOTH
            .into_iter()
            .flat_map(|service| service.needs().map(move |right| (service, right)));
        let mut lacks = self.lacks(&seen, needs, origins).await?;
        if hides || lacks.iter().any(|lacked| is_for_finding(lacked.right)) {
            self.report.hidden.add(&entry.dn);
        }
        // whoever is never written to needs no right on them; but everybody must be read, to tell who it is
        let is_written_to = self.question.reaches_protected || !admin_count;
        if is_written_to {
            for right in &mut self.report.rights {
                if right.class == class {
                    right.people += 1;
                    let lacked = lacks.iter().any(|lacked| lacked.right == right.right);
                    right.without += u64::from(lacked);
                }
            }
        } else {
            lacks.retain(|lacked| matches!(lacked.right, Right::Read(_)));
        }
        self.add_gaps(&entry.dn, lacks);
        Ok(())
    }

    /// Looks at everything once more, for what shows neither its class nor the type of its account.
    pub(super) async fn see_hidden(
        &mut self,
        origins: &mut Origins<'_>,
    ) -> Result<(), DirectoryError> {
        let inspection = self.inspection;
        let mut pages = inspection.below(self.root, EVERYTHING, KIND_ATTRIBUTES);
        while let Some(page) = pages.next().await? {
            for found in page {
                let entry = &found.entry;
                let shows = KIND_ATTRIBUTES
                    .iter()
                    .any(|name| entry.bytes(name).is_some());
                if !shows && self.may_be_somebody(&entry.dn) {
                    self.see_nameless(&entry.dn, origins).await?;
                }
            }
        }
        Ok(())
    }

    /// People are in containers and units. Much that is hidden from everybody is not: recovery keys
    /// below computers, and what belongs to the domain itself, at its root and in its system container.
    fn may_be_somebody(&self, dn: &str) -> bool {
        let system = format!("cn=system,{}", self.domain_dn.to_lowercase());
        let is_among_people = parent_of(dn).is_some_and(|parent| {
            let parent = parent.to_lowercase();
            self.containers.contains(&parent) && !parent.ends_with(&system)
        });
        is_among_people && dn.to_lowercase().starts_with("cn=") && self.question.scope.contains(dn)
    }

    /// If it is somebody, nobody can tell. Its list may say why.
    async fn see_nameless(
        &mut self,
        dn: &str,
        origins: &mut Origins<'_>,
    ) -> Result<(), DirectoryError> {
        self.report.hidden.add(dn);
        let Some(found) = self.inspection.guarded(dn, OBJECT_ATTRIBUTES).await? else {
            return Ok(());
        };
        let Some(descriptor) = &found.descriptor else {
            self.report.unreadable.add(dn);
            return Ok(());
        };
        let sid = crate::account::sid(&found.entry);
        let seen = Seen {
            dn,
            object: Object {
                descriptor,
                sid: sid.as_ref(),
            },
            class: USUAL_CLASS,
            admin_count: false,
        };
        let needs = Service::BOTH.into_iter().flat_map(|service| {
            let reads = service.reads().iter().copied().map(Right::Read);
            reads.map(move |right| (service, right))
        });
        let lacks = self.lacks(&seen, needs, origins).await?;
        self.add_gaps(dn, lacks);
        Ok(())
    }

    /// Which of these an account does not hold on somebody, why, and where that is to be mended.
    async fn lacks(
        &mut self,
        seen: &Seen<'_>,
        needs: impl Iterator<Item = (Service, Right)>,
        origins: &mut Origins<'_>,
    ) -> Result<Vec<Lacked>, DirectoryError> {
        let class = self.schema.class(seen.class);
        let unit = self.nearest_blocked(seen.dn);
        if let Some(blocked) = unit.and_then(|unit| self.blocked.get_mut(unit)) {
            blocked.holds_people = true;
        }
        let unit = unit.and_then(|unit| self.blocked.get(unit));
        let mut lacks = Vec::new();
        // a forest may lack an attribute
        for (service, right) in needs.filter(|(_, right)| self.schema.object_type(*right).is_some())
        {
            let token = self.question.token(service);
            let verdict = check(token, seen.object, &self.schema.asked(right, class));
            if verdict.holds() {
                continue;
            }
            let gives = |container: &SecurityDescriptor| {
                class.is_some_and(|class| self.below(token, container, class, right).holds())
            };
            let why = diagnose(&Lack {
                verdict,
                blocks_inheritance: seen.object.descriptor.blocks_inheritance(),
                admin_count: seen.admin_count,
                unit_gives: unit.map(|unit| gives(&unit.descriptor)),
                root_gives: self.descriptor.as_ref().is_some_and(gives),
                is_known_class: KNOWN_CLASSES.contains(&seen.class),
                class: seen.class,
            });
            let at = match (&why, verdict, unit) {
                (Breach::Denied { .. }, Verdict::Denied(by), _) => origins.of(seen.dn, by).await?,
                (Breach::Unit { .. }, _, Some(unit)) => unit.dn.clone(),
                (Breach::NotGiven { .. } | Breach::Class { .. }, ..) => self.root.to_owned(),
                _ => seen.dn.to_owned(),
            };
            lacks.push(Lacked {
                service,
                account: token.account.clone(),
                right,
                why,
                at,
            });
        }
        Ok(lacks)
    }

    fn add_gaps(&mut self, dn: &str, lacks: Vec<Lacked>) {
        let mut told = Vec::new();
        for lacked in lacks {
            if let Right::Read(attribute) = lacked.right {
                let of_service = |readable: &&mut Readable| readable.service == lacked.service;
                if let Some(readable) = self.report.reading.iter_mut().find(of_service) {
                    *readable.hidden.entry(attribute).or_default() += 1;
                }
            }
            let key = (
                lacked.at.clone(),
                lacked.why.clone(),
                lacked.account.clone(),
            );
            let gap = self.gaps.entry(key.clone()).or_insert_with(|| Gap {
                at: lacked.at,
                why: lacked.why,
                account: lacked.account,
                rights: BTreeSet::new(),
                people: Told::default(),
            });
            gap.rights.insert(lacked.right);
            if !told.contains(&key) {
                gap.people.add(dn);
                told.push(key);
            }
        }
    }
}

fn is_for_finding(right: Right) -> bool {
    matches!(right, Right::Read(attribute) if FOUND_BY.contains(&attribute))
}

/// By what of the two it shows.
fn is_somebody(entry: &Entry) -> bool {
    let is_user = entry
        .text("sAMAccountType")
        .map(|shown| shown == SAM_USER_OBJECT);
    let hides_class = entry.bytes("objectClass").is_none();
    is_user.unwrap_or(true) && (is_person(entry) || (hides_class && is_user == Some(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_who_hides_something_is_somebody_still() {
        let person = &["top", "person", "organizationalPerson", "user"][..];
        let computer = [person, &["computer"]].concat();
        let computer = computer.as_slice();
        let (user, machine) = (Some(SAM_USER_OBJECT), Some("805306369"));
        for (classes, account_type, expected) in [
            (person, user, true),
            (person, None, true),
            (&[][..], user, true),
            (&[][..], None, false),
            (&[][..], machine, false),
            (computer, user, false),
            (computer, None, false),
            // what trusts another domain is of the class user too
            (person, Some("805306370"), false),
        ] {
            let bytes = |text: &&str| text.as_bytes().to_vec();
            let attributes = [
                ("objectClass", classes.iter().map(bytes).collect()),
                ("sAMAccountType", account_type.iter().map(bytes).collect()),
            ];
            let entry = Entry::for_test("CN=Ana,DC=corp", &attributes);
            assert_eq!(
                is_somebody(&entry),
                expected,
                "{classes:?} {account_type:?}"
            );
        }
    }
}
