//! Reading a domain: its root, the roots of the scope, the units that inherit nothing, and every person.

use std::collections::{BTreeMap, HashMap};

use operation::{DomainName, SecurityIdentifier};
use uuid::Uuid;

use super::{
    Object, Right, Schema, SecurityDescriptor, Token, Verdict,
    access::{check, check_below, is_everybody, is_origin_of, sweeping_below, sweeping_on},
    ace::{Ace, Entry},
    inspection::{Guarded, Inspection},
    report::{
        Breach, Breadth, Gap, Held, Lack, Readable, Report, RootReport, RootRight, Told, TooWide,
        diagnose,
    },
    right::{CONTROL_ACCESS, FULL_CONTROL, USER, WRITE_DACL, WRITE_OWNER, WRITE_PROPERTY},
};
use crate::{
    DirectoryError,
    account::{found, is_krbtgt},
    distinguished_name::{DistinguishedName, parent_of},
    filter,
    protected_groups::protected_name,
    reading,
    scope::Scope,
};

/// Whatever may hold people.
pub(super) const CONTAINERS: &str = "(|(objectClass=organizationalUnit)(objectClass=container)\
    (objectClass=builtinDomain)(objectClass=organization)(objectClass=locality))";
pub(super) const CONTAINER_ATTRIBUTES: &[&str] = &["objectClass", "nTSecurityDescriptor"];

/// `SAM_USER_OBJECT` (MS-SAMR 2.2.1.9).
const PEOPLE: &str = "(sAMAccountType=805306368)";
const PERSON_ATTRIBUTES: &[&str] = &[
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
const READ_BY_RESOLVER: &[&str] = &[
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
const READ_BY_WRITER: &[&str] = &[
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

/// The classes of people that we can give rights on.
const KNOWN_CLASSES: [&str; 2] = ["user", "inetOrgPerson"];

/// What to look at.
#[derive(Debug)]
pub struct Question<'a> {
    pub domain: &'a DomainName,
    /// Distinguished names.
    pub roots: &'a [String],
    pub scope: &'a Scope,
    /// The account that writes, and the one that only reads.
    pub writer: &'a Token,
    pub reader: &'a Token,
    /// Protected accounts are written to here: rights missing on them count.
    pub reaches_protected: bool,
}

/// Reads and evaluates one domain.
///
/// # Errors
/// When the domain controller does not answer. What it hides is in the report.
pub async fn survey(
    inspection: &Inspection,
    question: &Question<'_>,
) -> Result<Report, DirectoryError> {
    let attributes: Vec<&str> = READ_BY_RESOLVER
        .iter()
        .chain(READ_BY_WRITER)
        .chain(&["lockoutTime"])
        .copied()
        .collect();
    let schema = inspection.schema(&attributes, &KNOWN_CLASSES).await?;
    let mut origins = Origins::new(inspection);
    let domain_dn = filter::base(question.domain);
    let domain = inspection.descriptor(&domain_dn).await?;
    let unexpire = match &domain {
        None => Held::Unreadable,
        Some(descriptor) => {
            let object = Object {
                descriptor,
                sid: None,
            };
            let asked = schema.asked(Right::UnexpirePassword, None);
            let verdict = check(question.writer, object, &asked);
            origins.held(&domain_dn, verdict).await?
        }
    };
    let mut too_wide = groups(question.writer);
    if let Some(domain) = &domain {
        breadth(question.writer, &domain_dn, domain, &mut too_wide);
    }
    let mut roots = Vec::new();
    for root in question.roots {
        let mut survey = RootSurvey {
            inspection,
            question,
            schema: &schema,
            root,
            descriptor: inspection.descriptor(root).await?,
            blocked: Vec::new(),
            report: RootReport {
                dn: root.clone(),
                is_readable: false,
                rights: Vec::new(),
                reading: Vec::new(),
                people: 0,
                unreadable: Told::default(),
                gaps: Vec::new(),
                idle_gaps: Vec::new(),
                protected: Told::default(),
                cannot_change: Told::default(),
            },
            gaps: BTreeMap::new(),
        };
        if let Some(descriptor) = &survey.descriptor {
            survey.report.is_readable = true;
            if !root.eq_ignore_ascii_case(&domain_dn) {
                breadth(question.writer, root, descriptor, &mut too_wide);
            }
        }
        roots.push(survey.run(&mut origins).await?);
    }
    Ok(Report {
        domain: question.domain.clone(),
        domain_controller: inspection.domain_controller(),
        domain_dn,
        unexpire,
        too_wide,
        roots,
    })
}

/// Administrative groups that the account is in.
fn groups(token: &Token) -> Vec<TooWide> {
    let mut groups: Vec<TooWide> = token
        .sids()
        .filter_map(|sid| {
            Some(TooWide {
                breadth: Breadth::Group(protected_name(sid)?),
                at: String::new(),
                trustee: sid.clone(),
            })
        })
        .collect();
    groups.sort_by_key(|group| group.breadth);
    groups
}

/// What the account, or a group that is not administrative already, may do here beyond single rights.
fn breadth(token: &Token, at: &str, descriptor: &SecurityDescriptor, found: &mut Vec<TooWide>) {
    let mut add = |breadth: Breadth, trustee: &SecurityIdentifier| {
        let wide = TooWide {
            breadth,
            at: at.to_owned(),
            trustee: trustee.clone(),
        };
        if !found.contains(&wide) {
            found.push(wide);
        }
    };
    let told_by_group =
        |trustee: &SecurityIdentifier| is_everybody(trustee) || protected_name(trustee).is_some();
    if let Some(owner) = &descriptor.owner
        && token.contains(owner)
        && !told_by_group(owner)
    {
        add(Breadth::Owner, owner);
    }
    let sweeping = sweeping_on(token, descriptor)
        .into_iter()
        .chain(sweeping_below(token, descriptor, USER));
    for (mask, entry) in sweeping {
        if told_by_group(&entry.trustee) {
            continue;
        }
        if mask & FULL_CONTROL == FULL_CONTROL {
            add(Breadth::FullControl, &entry.trustee);
            continue;
        }
        for (bit, breadth) in [
            (WRITE_DACL, Breadth::WriteDacl),
            (WRITE_OWNER, Breadth::WriteOwner),
            (CONTROL_ACCESS, Breadth::AllExtendedRights),
            (WRITE_PROPERTY, Breadth::AllProperties),
        ] {
            if mask & bit != 0 {
                add(breadth, &entry.trustee);
            }
        }
    }
}

/// A container that inherits nothing.
struct Blocked {
    dn: String,
    name: DistinguishedName,
    is_unit: bool,
    descriptor: SecurityDescriptor,
    holds_people: bool,
}

struct RootSurvey<'a> {
    inspection: &'a Inspection,
    question: &'a Question<'a>,
    schema: &'a Schema,
    root: &'a str,
    descriptor: Option<SecurityDescriptor>,
    blocked: Vec<Blocked>,
    report: RootReport,
    gaps: BTreeMap<(String, Breach), Gap>,
}

impl RootSurvey<'_> {
    async fn run(mut self, origins: &mut Origins<'_>) -> Result<RootReport, DirectoryError> {
        if !self.report.is_readable {
            return Ok(self.report);
        }
        for class in ["user"] {
            self.add_class(class, origins).await?;
        }
        let readers = [
            ("resolver", self.question.reader),
            ("writer", self.question.writer),
        ];
        self.report.reading = readers
            .map(|(service, token)| Readable {
                service,
                account: token.account.clone(),
                hidden: BTreeMap::new(),
            })
            .into();
        let mut pages = self
            .inspection
            .below(self.root, CONTAINERS, CONTAINER_ATTRIBUTES);
        while let Some(page) = pages.next().await? {
            for container in page {
                self.see_container(container);
            }
        }
        let mut pages = self.inspection.below(self.root, PEOPLE, PERSON_ATTRIBUTES);
        while let Some(page) = pages.next().await? {
            for person in page {
                self.see_person(&person, origins).await?;
            }
        }
        self.end();
        Ok(self.report)
    }

    /// What people of this class inherit at the root.
    async fn add_class(
        &mut self,
        class: &str,
        origins: &mut Origins<'_>,
    ) -> Result<(), DirectoryError> {
        for right in Right::ON_PEOPLE {
            let held = match (&self.descriptor, self.schema.class(class)) {
                (Some(descriptor), Some(guid)) => {
                    let verdict = self.below(descriptor, guid, right);
                    origins.held(self.root, verdict).await?
                }
                _ => Held::No,
            };
            self.report.rights.push(RootRight {
                right,
                class: class.to_owned(),
                held,
                people: 0,
                without: 0,
            });
        }
        Ok(())
    }

    fn below<'d>(
        &self,
        container: &'d SecurityDescriptor,
        class: Uuid,
        right: Right,
    ) -> Verdict<'d> {
        let asked = self.schema.asked(right, Some(class));
        check_below(self.question.writer, container, class, &asked)
    }

    fn see_container(&mut self, container: Guarded) {
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

    async fn see_person(
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
        entry: &reading::Entry,
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

    /// The nearest container above, below the root, that inherits nothing.
    fn nearest_blocked(&self, dn: &str) -> Option<usize> {
        let person = DistinguishedName::parse(dn)?;
        self.blocked
            .iter()
            .enumerate()
            .filter(|(_, blocked)| person.is_within(&blocked.name))
            .max_by_key(|(_, blocked)| blocked.name.depth())
            .map(|(index, _)| index)
    }

    fn end(&mut self) {
        let gives_all = |container: &SecurityDescriptor| {
            Right::ON_PEOPLE
                .into_iter()
                .all(|right| self.below(container, USER, right).holds())
        };
        self.report.idle_gaps = self
            .blocked
            .iter()
            .filter(|unit| unit.is_unit && !unit.holds_people && !gives_all(&unit.descriptor))
            .map(|unit| unit.dn.clone())
            .collect();
        self.report.gaps = std::mem::take(&mut self.gaps).into_values().collect();
    }
}

fn has_class(entry: &reading::Entry, class: &str) -> bool {
    entry
        .texts("objectClass")
        .any(|held| held.eq_ignore_ascii_case(class))
}

/// Where entries that were inherited were set. What was read is kept: it is the same few containers.
pub(crate) struct Origins<'a> {
    inspection: &'a Inspection,
    read: HashMap<String, Option<SecurityDescriptor>>,
}

impl<'a> Origins<'a> {
    pub(crate) fn new(inspection: &'a Inspection) -> Self {
        Self {
            inspection,
            read: HashMap::new(),
        }
    }

    /// What the list of this object says, and where it comes from.
    pub(crate) async fn held(
        &mut self,
        dn: &str,
        verdict: Verdict<'_>,
    ) -> Result<Held, DirectoryError> {
        Ok(match verdict {
            Verdict::Granted(entry) => Held::From {
                container: self.of(dn, entry).await?,
                trustee: entry.trustee.clone(),
            },
            Verdict::Denied(entry) => Held::Denied {
                container: self.of(dn, entry).await?,
                trustee: entry.trustee.clone(),
            },
            Verdict::GrantedToAll => Held::ByEverybody,
            Verdict::NotMentioned => Held::No,
        })
    }

    /// The nearest container above that has the entry as its own; the topmost, if none can be read.
    pub(crate) async fn of(&mut self, dn: &str, entry: &Entry) -> Result<String, DirectoryError> {
        if !entry.is_inherited() {
            return Ok(dn.to_owned());
        }
        let mut at = dn;
        while let Some(parent) = parent_of(at) {
            at = parent;
            let key = at.to_lowercase();
            if !self.read.contains_key(&key) {
                let descriptor = self.inspection.descriptor(at).await?;
                self.read.insert(key.clone(), descriptor);
            }
            let descriptor = self.read.get(&key).and_then(Option::as_ref);
            let is_origin = descriptor
                .and_then(|descriptor| descriptor.dacl.as_ref())
                .is_some_and(|dacl| {
                    dacl.aces
                        .iter()
                        .filter_map(Ace::entry)
                        .any(|above| is_origin_of(above, entry))
                });
            if is_origin {
                return Ok(at.to_owned());
            }
            // above the domain there is nothing to inherit from
            if at.to_lowercase().starts_with("dc=") {
                break;
            }
        }
        Ok(at.to_owned())
    }
}
