//! What an inspection found.

use std::collections::{BTreeMap, BTreeSet};

use operation::{DomainName, SecurityIdentifier};

use super::{Right, Schema, Service, Verdict};

/// No more examples than this of anything; the rest is counted.
pub const MOST_TOLD: usize = 20;

/// One domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub domain: DomainName,
    pub domain_controller: String,
    /// The account that writes.
    pub writer: SecurityIdentifier,
    /// What attributes and classes are called in entries here.
    pub schema: Schema,
    /// The object the domain is.
    pub domain_dn: String,
    /// Unexpire-Password on it.
    pub unexpire: Held,
    pub too_wide: Vec<TooWide>,
    pub roots: Vec<RootReport>,
}

/// One root of the scope, or one organizational unit that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootReport {
    pub dn: String,
    /// It is there and its list can be read.
    pub is_readable: bool,
    pub rights: Vec<RootRight>,
    pub reading: Vec<Readable>,
    /// People in scope.
    pub people: u64,
    /// People of whom the list cannot be read: nothing is known of them.
    pub unreadable: Told,
    /// Whom our services cannot find, whatever they are called by: people of whom an account may not
    /// read what everybody is found by, and objects that do not even show whether they are people.
    pub hidden: Told,
    /// Where rights on people end, and why.
    pub gaps: Vec<Gap>,
    /// Units that inherit nothing and hold nobody in scope, where somebody new would lack rights.
    pub idle_gaps: Vec<String>,
    pub protected: Told,
    /// People who may not change their password.
    pub cannot_change: Told,
}

/// How many, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    pub count: u64,
    pub examples: Vec<String>,
}

impl Told {
    pub(super) fn add(&mut self, who: &str) {
        self.count += 1;
        if self.examples.len() < MOST_TOLD {
            self.examples.push(who.to_owned());
        }
    }
}

/// One right for one class of people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootRight {
    pub right: Right,
    /// `user`, `inetOrgPerson`
    pub class: String,
    /// What those below inherit at the root itself.
    pub held: Held,
    /// People of this class in scope who are not left out as protected.
    pub people: u64,
    pub without: u64,
}

impl RootRight {
    /// Somebody lacks it, or would if anybody were there.
    pub const fn is_missing(&self) -> bool {
        self.without > 0 || (self.people == 0 && !self.held.holds())
    }
}

/// Whether a right is held, and by whose entry from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    From {
        container: String,
        trustee: SecurityIdentifier,
    },
    /// There is no list of entries at all.
    ByEverybody,
    Denied {
        container: String,
        trustee: SecurityIdentifier,
    },
    No,
    /// The list cannot be read.
    Unreadable,
}

impl Held {
    pub const fn holds(&self) -> bool {
        matches!(self, Self::From { .. } | Self::ByEverybody)
    }
}

/// Whether one of our accounts can read what it needs of the people in scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable {
    pub service: Service,
    pub account: SecurityIdentifier,
    /// How many people hide each of these.
    pub hidden: BTreeMap<&'static str, u64>,
}

/// A place at which rights end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Its distinguished name.
    pub at: String,
    pub why: Breach,
    /// Whose rights.
    pub account: SecurityIdentifier,
    pub rights: BTreeSet<Right>,
    pub people: Told,
}

/// Why rights end at a place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Breach {
    /// They are not given at the root.
    NotGiven { class: String },
    /// A unit that inherits nothing from above.
    Unit { class: String },
    /// A person whose account inherits nothing from above.
    Person,
    /// The same, as the directory does it to accounts in administrative groups (adminCount is 1).
    Protected,
    /// An entry denies them to this trustee.
    Denied { trustee: String },
    /// They are given to this class of people at no place.
    Class { class: String },
    /// The person's list has none of it, though nothing seems to stop it: it has not come down yet.
    NotComeDown,
}

/// A right that is more than the work needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooWide {
    pub breadth: Breadth,
    pub at: String,
    pub trustee: SecurityIdentifier,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breadth {
    /// The account is a member of this group, itself or through others.
    Group(&'static str),
    FullControl,
    /// It may give itself every right.
    WriteDacl,
    WriteOwner,
    Owner,
    AllExtendedRights,
    AllProperties,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each of the directory's own"
)]
/// One of a person's rights: what decides which place is named for it.
pub(super) struct Lack<'a> {
    pub(super) verdict: Verdict<'a>,
    pub(super) blocks_inheritance: bool,
    pub(super) admin_count: bool,
    /// Of the nearest unit above that inherits nothing, if there is one below the root: whether it gives the right.
    pub(super) unit_gives: Option<bool>,
    pub(super) root_gives: bool,
    /// We know how to give rights on this class.
    pub(super) is_known_class: bool,
    pub(super) class: &'a str,
}

/// Why somebody lacks a right.
pub(super) fn diagnose(lack: &Lack<'_>) -> Breach {
    let class = || lack.class.to_owned();
    if let Verdict::Denied(entry) = lack.verdict {
        return Breach::Denied {
            trustee: entry.trustee.to_string(),
        };
    }
    match lack {
        Lack {
            blocks_inheritance: true,
            admin_count: true,
            ..
        } => Breach::Protected,
        Lack {
            blocks_inheritance: true,
            ..
        } => Breach::Person,
        Lack {
            is_known_class: false,
            ..
        } => Breach::Class { class: class() },
        Lack {
            unit_gives: Some(false),
            ..
        } => Breach::Unit { class: class() },
        Lack {
            unit_gives: None,
            root_gives: false,
            ..
        } => Breach::NotGiven { class: class() },
        _ => Breach::NotComeDown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lack() -> Lack<'static> {
        Lack {
            verdict: Verdict::NotMentioned,
            blocks_inheritance: false,
            admin_count: false,
            unit_gives: None,
            root_gives: true,
            is_known_class: true,
            class: "user",
        }
    }

    #[test]
    fn the_nearest_cause_is_named() {
        let class = || "user".to_owned();
        for (lack, breach) in [
            (lack(), Breach::NotComeDown),
            (
                Lack {
                    root_gives: false,
                    ..lack()
                },
                Breach::NotGiven { class: class() },
            ),
            (
                Lack {
                    unit_gives: Some(false),
                    root_gives: false,
                    ..lack()
                },
                Breach::Unit { class: class() },
            ),
            (
                Lack {
                    unit_gives: Some(true),
                    root_gives: false,
                    ..lack()
                },
                Breach::NotComeDown,
            ),
            (
                Lack {
                    blocks_inheritance: true,
                    unit_gives: Some(false),
                    ..lack()
                },
                Breach::Person,
            ),
            (
                Lack {
                    blocks_inheritance: true,
                    admin_count: true,
                    ..lack()
                },
                Breach::Protected,
            ),
            // stamped, but inheriting: the stamp is not what stops it
            (
                Lack {
                    admin_count: true,
                    root_gives: false,
                    ..lack()
                },
                Breach::NotGiven { class: class() },
            ),
            (
                Lack {
                    is_known_class: false,
                    class: "robot",
                    ..lack()
                },
                Breach::Class {
                    class: "robot".to_owned(),
                },
            ),
        ] {
            assert_eq!(diagnose(&lack), breach);
        }
    }

    #[test]
    fn nobody_there_leaves_it_to_the_root() {
        let right = |held, people, without| RootRight {
            right: Right::ResetPassword,
            class: "user".to_owned(),
            held,
            people,
            without,
        };
        assert!(right(Held::No, 0, 0).is_missing());
        assert!(!right(Held::No, 3, 0).is_missing());
        assert!(right(Held::ByEverybody, 3, 1).is_missing());
        assert!(!right(Held::ByEverybody, 0, 0).is_missing());
    }
}
