//! Reading a domain: its root, the roots of the scope, the units that inherit nothing, and every person.

mod breadth;
mod containers;
mod origins;
mod people;

use std::collections::{BTreeMap, HashSet};

use operation::{DomainName, SecurityIdentifier};
use uuid::Uuid;

pub(super) use self::containers::{CONTAINER_ATTRIBUTES, CONTAINERS};
pub(crate) use self::origins::Origins;
use self::{
    breadth::{breadth, groups},
    containers::Blocked,
    people::{PEOPLE, PERSON_ATTRIBUTES},
};
use super::{
    Object, Right, Schema, SecurityDescriptor, Service, Token, Verdict,
    access::{check, check_below},
    inspection::Inspection,
    report::{Breach, Gap, Held, Readable, Report, RootReport, RootRight, Told},
};
use crate::{DirectoryError, filter, scope::Scope};

/// The classes of people that we can give rights on.
pub(super) const KNOWN_CLASSES: [&str; 2] = ["user", "inetOrgPerson"];

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

impl Question<'_> {
    const fn token(&self, service: Service) -> &Token {
        match service {
            Service::Resolver => self.reader,
            Service::Writer => self.writer,
        }
    }
}

/// Reads and evaluates one domain.
///
/// # Errors
/// When the domain controller does not answer. What it hides is in the report.
pub async fn survey(
    inspection: &Inspection,
    question: &Question<'_>,
) -> Result<Report, DirectoryError> {
    let schema = inspection.people_schema(&[]).await?;
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
            domain_dn: &domain_dn,
            root,
            descriptor: inspection.descriptor(root).await?,
            containers: HashSet::new(),
            blocked: Vec::new(),
            report: RootReport {
                dn: root.clone(),
                is_readable: false,
                rights: Vec::new(),
                reading: Vec::new(),
                people: 0,
                unreadable: Told::default(),
                hidden: Told::default(),
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
        writer: question.writer.account.clone(),
        schema,
        domain_dn,
        unexpire,
        too_wide,
        roots,
    })
}

struct RootSurvey<'a> {
    inspection: &'a Inspection,
    question: &'a Question<'a>,
    schema: &'a Schema,
    domain_dn: &'a str,
    root: &'a str,
    descriptor: Option<SecurityDescriptor>,
    /// The name of every one, in lower case.
    containers: HashSet<String>,
    blocked: Vec<Blocked>,
    report: RootReport,
    gaps: BTreeMap<(String, Breach, SecurityIdentifier), Gap>,
}

impl RootSurvey<'_> {
    async fn run(mut self, origins: &mut Origins<'_>) -> Result<RootReport, DirectoryError> {
        if !self.report.is_readable {
            return Ok(self.report);
        }
        for class in ["user"] {
            self.add_class(class, origins).await?;
        }
        self.report.reading = Service::BOTH
            .map(|service| Readable {
                service,
                account: self.question.token(service).account.clone(),
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
        self.see_hidden(origins).await?;
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
                    let verdict = self.below(self.question.writer, descriptor, guid, right);
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
        token: &Token,
        container: &'d SecurityDescriptor,
        class: Uuid,
        right: Right,
    ) -> Verdict<'d> {
        let asked = self.schema.asked(right, Some(class));
        check_below(token, container, class, &asked)
    }

    fn end(&mut self) {
        self.report.idle_gaps = self.idle();
        self.report.gaps = std::mem::take(&mut self.gaps).into_values().collect();
    }
}
