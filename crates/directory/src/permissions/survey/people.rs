//! What is seen of people: who counts, and what our accounts may do to each and read of them.

use super::{KNOWN_CLASSES, Origins, RootSurvey};
use crate::{
    DirectoryError,
    account::{found, is_krbtgt},
    permissions::{
        Guarded, Object, Right, SecurityDescriptor, Verdict,
        access::check,
        report::{Breach, Gap, Lack, Told, diagnose},
    },
    reading::Entry,
};

/// `SAM_USER_OBJECT` (MS-SAMR 2.2.1.9).
pub(super) const PEOPLE: &str = "(sAMAccountType=805306368)";
pub(super) const PERSON_ATTRIBUTES: &[&str] = &[
    "objectGUID",
    "objectSid",
    "objectClass",
    "userPrincipalName",
    "userAccountControl",
    "adminCount",
    "msDS-SecondaryKrbTgtNumber",
    "nTSecurityDescriptor",
];

/// What the resolver finds people by and tells them apart with.
pub(super) const READ_BY_RESOLVER: &[&str] = &[
    "objectClass",
    "objectGUID",
    "objectSid",
    "userPrincipalName",
    "userAccountControl",
    "mS-DS-ConsistencyGuid",
    "sAMAccountType",
    "uSNChanged",
];
/// What the writer decides with.
pub(super) const READ_BY_WRITER: &[&str] = &[
    "objectClass",
    "objectGUID",
    "objectSid",
    "userPrincipalName",
    "userAccountControl",
    "mS-DS-ConsistencyGuid",
    "sAMAccountName",
    "adminCount",
    "pwdLastSet",
    "accountExpires",
];

impl RootSurvey<'_> {
    pub(super) async fn see_person(
        &mut self,
        person: &Guarded,
        origins: &mut Origins<'_>,
    ) -> Result<(), DirectoryError> {
        let entry = &person.entry;
        let counts = found(entry).is_some_and(|found| found.is_person)
            && !is_krbtgt(entry)
            && self.question.scope.contains(&entry.dn);
        if !counts {
            return Ok(());
        }
        self.report.people += 1;
        let admin_count = entry.text("adminCount") == Some("1");
        if admin_count {
            self.report.protected.add(&entry.dn);
        }
        let Some(descriptor) = &person.descriptor else {
            self.report.unreadable.add(&entry.dn);
            return Ok(());
        };
        // the most derived class comes last (MS-ADTS 3.1.1.2.4.3)
        let class = entry.texts("objectClass").last().unwrap_or("user");
        let class = KNOWN_CLASSES
            .into_iter()
            .find(|known| class.eq_ignore_ascii_case(known))
            .unwrap_or(class);
        if !self.report.rights.iter().any(|right| right.class == class) {
            self.add_class(class, origins).await?;
        }
        let sid = crate::account::sid(entry);
        let object = Object {
            descriptor,
            sid: sid.as_ref(),
        };
        self.see_reading(object, class);
        let change = self.schema.asked(Right::ChangePassword, None);
        if !check(self.question.writer, object, &change).holds() {
            self.report.cannot_change.add(&entry.dn);
        }
        self.see_rights(entry, object, class, admin_count, origins)
            .await
    }

    fn see_reading(&mut self, object: Object<'_>, class: &str) {
        let class = self.schema.class(class);
        let wanted = [
            (self.question.reader, READ_BY_RESOLVER),
            (self.question.writer, READ_BY_WRITER),
        ];
        for (readable, (token, attributes)) in self.report.reading.iter_mut().zip(wanted) {
            for attribute in attributes {
                let hidden = self
                    .schema
                    .reading(attribute, class)
                    .is_some_and(|asked| !check(token, object, &asked).holds());
                if hidden {
                    *readable.hidden.entry(attribute).or_default() += 1;
                }
            }
        }
    }

    async fn see_rights(
        &mut self,
        entry: &Entry,
        object: Object<'_>,
        class: &str,
        admin_count: bool,
        origins: &mut Origins<'_>,
    ) -> Result<(), DirectoryError> {
        let guid = self.schema.class(class);
        let unit = self.nearest_blocked(&entry.dn);
        if let Some(blocked) = unit.and_then(|unit| self.blocked.get_mut(unit)) {
            blocked.holds_people = true;
        }
        let unit = unit.and_then(|unit| self.blocked.get(unit));
        // whoever is never written to needs no right on them
        let counts = self.question.reaches_protected || !admin_count;
        let mut lacks = Vec::new();
        for right in Right::ON_PEOPLE {
            let verdict = check(
                self.question.writer,
                object,
                &self.schema.asked(right, guid),
            );
            if verdict.holds() {
                continue;
            }
            let gives = |container: &SecurityDescriptor| {
                guid.is_some_and(|guid| self.below(container, guid, right).holds())
            };
            let lack = Lack {
                verdict,
                blocks_inheritance: object.descriptor.blocks_inheritance(),
                admin_count,
                unit_gives: unit.map(|unit| gives(&unit.descriptor)),
                root_gives: self.descriptor.as_ref().is_some_and(gives),
                is_known_class: KNOWN_CLASSES.contains(&class),
                class,
            };
            let why = diagnose(&lack);
            let at = match (&why, verdict, unit) {
                (Breach::Denied { .. }, Verdict::Denied(by), _) => {
                    origins.of(&entry.dn, by).await?
                }
                (Breach::Unit { .. }, _, Some(unit)) => unit.dn.clone(),
                (Breach::NotGiven { .. } | Breach::Class { .. }, ..) => self.root.to_owned(),
                _ => entry.dn.clone(),
            };
            lacks.push((right, why, at));
        }
        for right in &mut self.report.rights {
            if right.class == class && counts {
                right.people += 1;
                right.without += u64::from(lacks.iter().any(|(lacked, ..)| *lacked == right.right));
            }
        }
        if !counts {
            return Ok(());
        }
        let mut told = Vec::new();
        for (right, why, at) in lacks {
            let key = (at.clone(), why.clone());
            let gap = self.gaps.entry(key.clone()).or_insert_with(|| Gap {
                at,
                why,
                rights: std::collections::BTreeSet::new(),
                people: Told::default(),
            });
            gap.rights.insert(right);
            if !told.contains(&key) {
                gap.people.add(&entry.dn);
                told.push(key);
            }
        }
        Ok(())
    }
}
