//! What is to be given, and where, so that nothing is missing.

use operation::SecurityIdentifier;

use super::{
    Gift, Right,
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

/// The entries that a domain lacks at the roots that were looked at, for either account, and
/// Unexpire-Password at the domain itself. What an entry at a root cannot mend is not among them: an
/// entry that denies, a unit or a person below that inherits nothing.
pub fn missing(report: &Report) -> Vec<Place> {
    let mut places: Vec<Place> = report
        .roots
        .iter()
        .map(|root| Place {
            dn: root.dn.clone(),
            gifts: wanted(report, root)
                .into_iter()
                .filter_map(|(account, class, right)| {
                    Gift::below(&report.schema, right, class, account.clone())
                })
                .collect(),
        })
        .filter(|place| !place.gifts.is_empty())
        .collect();
    if report.unexpire == Held::No {
        let unexpire = Gift::unexpire(report.writer.clone());
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

/// What somebody lacks because the root does not give it, and what is not held where nobody is there
/// to lack it; what the account that writes needs comes first.
fn wanted<'a>(
    report: &'a Report,
    root: &'a RootReport,
) -> Vec<(&'a SecurityIdentifier, &'a str, Right)> {
    let lacked = root.gaps.iter().flat_map(|gap| {
        let class = match &gap.why {
            Breach::NotGiven { class } => Some(class.as_str()),
            _ => None,
        };
        let rights = gap.rights.iter();
        rights.filter_map(move |right| Some((&gap.account, class?, *right)))
    });
    let foreseen = root
        .rights
        .iter()
        .filter(|right| right.people == 0 && right.held == Held::No)
        .map(|right| (&report.writer, right.class.as_str(), right.right));
    let mut wanted: Vec<_> = lacked.chain(foreseen).collect();
    let of_writer = |account: &SecurityIdentifier| *account == report.writer;
    let is_user = |class: &str| class == "user";
    wanted.sort_by_key(|(account, class, right)| (!of_writer(account), !is_user(class), *right));
    wanted.dedup();
    wanted
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::permissions::{
        Schema,
        report::{Gap, RootRight, Told},
        right::Attribute,
    };

    const ROOT: &str = "DC=corp,DC=example,DC=com";
    const WRITER: &str = "S-1-5-21-1-2-3-1104";
    const READER: &str = "S-1-5-21-1-2-3-1105";
    const CONTROL: Uuid = Uuid::from_u128(7);

    fn sid(text: &str) -> SecurityIdentifier {
        text.parse().unwrap()
    }

    fn schema() -> Schema {
        let mut schema = Schema::default();
        let guid = CONTROL;
        let property_set = None;
        schema.add_attribute("userAccountControl", Attribute { guid, property_set });
        schema
    }

    fn report(unexpire: Held, people: u64, held: &Held, gaps: Vec<Gap>) -> Report {
        Report {
            domain: "corp.example.com".parse().unwrap(),
            domain_controller: String::new(),
            writer: sid(WRITER),
            schema: schema(),
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
                hidden: Told::default(),
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
            account: sid(WRITER),
            rights: [Right::WriteLockoutTime].into(),
            people: Told::default(),
        }
    }

    fn planned(report: &Report) -> Vec<(String, Vec<Right>)> {
        missing(report)
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

    #[test]
    fn reading_is_given_to_the_account_that_lacks_it() {
        let lacking = |account, class: &str, attribute| Gap {
            why: Breach::NotGiven {
                class: class.to_owned(),
            },
            account: sid(account),
            rights: [Right::Read(attribute)].into(),
            ..gap(Breach::Person)
        };
        let gaps = vec![
            lacking(READER, "inetOrgPerson", "userAccountControl"),
            lacking(READER, "user", "userAccountControl"),
            lacking(WRITER, "user", "userAccountControl"),
            // of a class that we do not know, and an attribute that this forest does not have
            lacking(WRITER, "robot", "userAccountControl"),
            lacking(WRITER, "user", "shoeSize"),
            Gap {
                why: Breach::Denied {
                    trustee: "S-1-1-0".to_owned(),
                },
                ..lacking(WRITER, "user", "userAccountControl")
            },
        ];
        let places = missing(&report(Held::ByEverybody, 3, &Held::No, gaps));
        let given: Vec<_> = places
            .iter()
            .flat_map(|place| &place.gifts)
            .map(|gift| {
                assert_eq!(gift.right, Right::Read("userAccountControl"));
                assert_eq!(gift.entry.object_type, Some(CONTROL));
                (gift.entry.trustee.clone(), gift.class.unwrap())
            })
            .collect();
        assert_eq!(
            given,
            [
                (sid(WRITER), "user"),
                (sid(READER), "user"),
                (sid(READER), "inetOrgPerson")
            ]
        );
    }
}
