//! What is to be given, and where, so that nothing is missing.

use operation::SecurityIdentifier;

use super::{
    Gift, gifts_for,
    report::{Breach, Held, Report, RootReport},
};

/// Entries at one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub dn: String,
    pub gifts: Vec<Gift>,
}

impl Place {
    pub(super) fn of(dn: &str, gifts: &[&Gift]) -> Option<Self> {
        (!gifts.is_empty()).then(|| Self {
            dn: dn.to_owned(),
            gifts: gifts.iter().map(|gift| (*gift).clone()).collect(),
        })
    }
}

/// The entries that a domain lacks at the roots that were looked at, and Unexpire-Password at the
/// domain itself. What an entry at a root cannot mend is not among them: an entry that denies, a unit
/// or a person below that inherits nothing.
pub fn missing(report: &Report, account: &SecurityIdentifier) -> Vec<Place> {
    let mut places: Vec<Place> = report
        .roots
        .iter()
        .map(|root| Place {
            dn: root.dn.clone(),
            gifts: gifts_for(
                root.rights
                    .iter()
                    .filter(|right| is_given_nowhere(root, right))
                    .filter_map(|right| Some((right.right, known(&right.class)?))),
                account,
            ),
        })
        .filter(|place| !place.gifts.is_empty())
        .collect();
    if report.unexpire == Held::No {
        let unexpire = Gift::unexpire(account.clone());
        match places
            .iter_mut()
            .find(|place| place.dn.eq_ignore_ascii_case(&report.domain_dn))
        {
            Some(place) => place.gifts.push(unexpire),
            None => places.push(Place {
                dn: report.domain_dn.clone(),
                gifts: vec![unexpire],
            }),
        }
    }
    places
}

/// Nobody is there to lack it and it is not held, or somebody lacks it because the root does not give it.
fn is_given_nowhere(root: &RootReport, right: &super::RootRight) -> bool {
    let lacked = root.gaps.iter().any(|gap| {
        matches!(&gap.why, Breach::NotGiven { class } if *class == right.class)
            && gap.rights.contains(&right.right)
    });
    lacked || (right.people == 0 && right.held == Held::No)
}

fn known(class: &str) -> Option<&'static str> {
    ["user", "inetOrgPerson"]
        .into_iter()
        .find(|known| *known == class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permissions::{
        Right,
        report::{Gap, RootRight, Told},
    };

    const ROOT: &str = "DC=corp,DC=example,DC=com";

    fn report(unexpire: Held, people: u64, held: &Held, gaps: Vec<Gap>) -> Report {
        Report {
            domain: "corp.example.com".parse().unwrap(),
            domain_controller: String::new(),
            domain_dn: ROOT.to_owned(),
            unexpire,
            too_wide: Vec::new(),
            roots: vec![RootReport {
                dn: "dc=corp,DC=example,DC=com".to_owned(),
                is_readable: true,
                rights: Right::ON_PEOPLE
                    .map(|right| RootRight {
                        right,
                        class: "user".to_owned(),
                        held: held.clone(),
                        people,
                        without: 0,
                    })
                    .into(),
                reading: Vec::new(),
                people,
                unreadable: Told::default(),
                gaps,
                idle_gaps: Vec::new(),
                protected: Told::default(),
                cannot_change: Told::default(),
            }],
        }
    }

    fn gap(why: Breach) -> Gap {
        Gap {
            at: ROOT.to_owned(),
            why,
            rights: [Right::WriteLockoutTime].into(),
            people: Told::default(),
        }
    }

    fn planned(report: &Report) -> Vec<(String, Vec<Right>)> {
        let account = "S-1-5-21-1-2-3-1104".parse().unwrap();
        missing(report, &account)
            .into_iter()
            .map(|place| {
                let rights = place.gifts.iter().map(|gift| gift.right).collect();
                (place.dn, rights)
            })
            .collect()
    }

    #[test]
    fn what_is_held_is_not_given_again() {
        let by_everybody = Held::ByEverybody;
        assert!(planned(&report(Held::ByEverybody, 0, &by_everybody, Vec::new())).is_empty());
        // given further down: everybody has it
        assert!(planned(&report(Held::ByEverybody, 3, &Held::No, Vec::new())).is_empty());
    }

    #[test]
    fn only_what_is_lacked_for_want_of_an_entry_is_given() {
        let class = || "user".to_owned();
        let not_given = vec![gap(Breach::NotGiven { class: class() })];
        let report_of = |gaps| report(Held::ByEverybody, 3, &Held::No, gaps);
        assert_eq!(
            planned(&report_of(not_given)),
            [(
                "dc=corp,DC=example,DC=com".to_owned(),
                vec![Right::WriteLockoutTime]
            )]
        );
        for why in [
            Breach::Unit { class: class() },
            Breach::Person,
            Breach::Denied {
                trustee: "S-1-1-0".to_owned(),
            },
        ] {
            assert!(planned(&report_of(vec![gap(why)])).is_empty());
        }
    }

    #[test]
    fn the_domain_is_one_place_however_it_is_written() {
        assert_eq!(
            planned(&report(Held::No, 0, &Held::No, Vec::new())),
            [(
                "dc=corp,DC=example,DC=com".to_owned(),
                vec![
                    Right::ResetPassword,
                    Right::WriteLockoutTime,
                    Right::WritePwdLastSet,
                    Right::UnexpirePassword
                ]
            )]
        );
        assert_eq!(
            planned(&report(Held::No, 0, &Held::ByEverybody, Vec::new())),
            [(ROOT.to_owned(), vec![Right::UnexpirePassword])]
        );
    }
}
