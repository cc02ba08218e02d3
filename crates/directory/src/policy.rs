//! The password policy that holds for one account, and which of its rules a password breaks.
//!
//! A domain controller answers every broken rule with the same `0000052D`; which one it was is told
//! here, by the rules of MS-SAMR 3.1.1.7.1 and 3.1.1.7.2. It is only asked after a refusal: whether a
//! password is accepted is the domain controller's to say.

use operation::Violation;
use time::{Duration, OffsetDateTime, macros::format_description};

use crate::{account::PwdLastSet, account::pwd_last_set, reading::Entry};

/// `DOMAIN_PASSWORD_COMPLEX` of `pwdProperties` (MS-SAMR 2.2.3.5, MS-ADA3 2.149).
const COMPLEX: u32 = 0x1;
const TICKS_PER_SECOND: i64 = 10_000_000;
/// Of the character classes of MS-SAMR 3.1.1.7.2, so many must be there.
const CLASSES: usize = 3;
/// A part of a name is looked for only if it is longer than two characters (MS-SAMR 3.1.1.7.2).
const SHORTEST_NAME_PART: usize = 3;
const NAME_SEPARATORS: [char; 7] = [',', '.', '-', '_', ' ', '#', '\t'];
const SYMBOLS: &str = "~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/";

/// What names the policy of an account, and what its rules look at.
pub(crate) const SUBJECT_ATTRIBUTES: &[&str] = &[
    "sAMAccountName",
    "displayName",
    "pwdLastSet",
    "msDS-ResultantPSO",
];

pub(crate) const POLICY_ATTRIBUTES: &[&str] = &[
    // of the domain
    "minPwdLength",
    "pwdHistoryLength",
    "minPwdAge",
    "pwdProperties",
    // of a password settings object
    "msDS-MinimumPasswordLength",
    "msDS-PasswordHistoryLength",
    "msDS-MinimumPasswordAge",
    "msDS-PasswordComplexityEnabled",
];

/// What the rules look at besides the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    sam_account_name: Option<String>,
    display_name: Option<String>,
    pwd_last_set: PwdLastSet,
    /// The DN of the password settings object that applies instead of the domain's policy.
    pub(crate) settings_object: Option<String>,
}

impl Subject {
    pub(crate) fn read(entry: &Entry) -> Self {
        Self {
            sam_account_name: entry.text("sAMAccountName").map(str::to_owned),
            display_name: entry.text("displayName").map(str::to_owned),
            pwd_last_set: pwd_last_set(entry.text("pwdLastSet")),
            settings_object: entry.text("msDS-ResultantPSO").map(str::to_owned),
        }
    }
}

/// The rules, from the domain or from a password settings object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    minimum_length: usize,
    history_length: usize,
    minimum_age: Duration,
    complex: bool,
}

impl Policy {
    /// None if the object does not show its rules: the service account may not read it.
    pub(crate) fn read(entry: &Entry) -> Option<Self> {
        let either =
            |of_settings, of_domain| entry.text(of_settings).or_else(|| entry.text(of_domain));
        let number = |text: Option<&str>| text?.parse::<usize>().ok();
        let minimum_age: i64 = either("msDS-MinimumPasswordAge", "minPwdAge")?
            .parse()
            .ok()?;
        Some(Self {
            minimum_length: number(either("msDS-MinimumPasswordLength", "minPwdLength"))?,
            history_length: number(either("msDS-PasswordHistoryLength", "pwdHistoryLength"))?,
            // a negative number of 100 ns (MS-ADTS 3.1.1.2.2.2.12)
            minimum_age: Duration::seconds((minimum_age / TICKS_PER_SECOND).saturating_abs()),
            complex: entry
                .text("msDS-PasswordComplexityEnabled")
                .map(|text| text.eq_ignore_ascii_case("TRUE"))
                .or_else(|| Some(entry.bits("pwdProperties")? & COMPLEX != 0))?,
        })
    }

    /// Which rules were broken by a refused `password`: those the domain controller told, those that
    /// can be seen to be broken, or else the likeliest. `now` is a moment of the domain controller's clock that has
    /// certainly come; `with_history` says whether history and minimum age were to be obeyed: by a
    /// change always, by a reset under policy hints (MS-ADTS 3.1.1.3.4.1.27).
    pub(crate) fn violations(
        &self,
        password: &str,
        subject: &Subject,
        now: OffsetDateTime,
        with_history: bool,
        told: Vec<Violation>,
    ) -> Vec<Violation> {
        let mut violations = self.broken(password, subject, now, with_history);
        for told in told {
            if violations.iter().all(|seen| seen.rule != told.rule) {
                violations.push(told);
            }
        }
        if violations.is_empty() {
            violations.push(self.suspected(with_history));
        }
        violations
    }

    fn broken(
        &self,
        password: &str,
        subject: &Subject,
        now: OffsetDateTime,
        with_history: bool,
    ) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut broken = |rule: &str, message: String| {
            violations.push(Violation {
                rule: rule.to_owned(),
                message,
            });
        };
        // SAM counts UTF-16 code units
        if password.encode_utf16().count() < self.minimum_length {
            broken(
                "length",
                format!(
                    "The password is too short: it needs {} characters or more.",
                    self.minimum_length
                ),
            );
        }
        if self.complex && classes(password) < CLASSES {
            broken(
                "complexity",
                "The password is too simple: use at least three of upper case, lower case, digits, symbols and other letters."
                    .to_owned(),
            );
        }
        if self.complex && has_name_part(password, subject) {
            broken(
                "complexity",
                "The password must not hold your user name or a part of your name.".to_owned(),
            );
        }
        if with_history
            && !self.minimum_age.is_zero()
            && let PwdLastSet::At(at) = subject.pwd_last_set
            && let Some(until) = at
                .checked_add(self.minimum_age)
                .filter(|until| now < *until)
        {
            broken(
                "minimum-age",
                format!(
                    "The password was set too recently: it can be changed again from {}.",
                    minute(until)
                ),
            );
        }
        violations
    }

    /// What nothing else explains.
    fn suspected(&self, with_history: bool) -> Violation {
        let (rule, message) = if with_history && self.history_length > 0 {
            (
                "history",
                format!(
                    "The password was probably used before (the last {} are remembered), or the domain's password filter does not allow it.",
                    self.history_length
                ),
            )
        } else {
            (
                "filter",
                "The domain's password filter does not allow this password.".to_owned(),
            )
        };
        Violation {
            rule: rule.to_owned(),
            message,
        }
    }
}

/// How many character classes there are in a password.
fn classes(password: &str) -> usize {
    let is_other_letter = |c: char| c.is_alphabetic() && !c.is_uppercase() && !c.is_lowercase();
    let tests: [fn(char) -> bool; 4] = [
        char::is_uppercase,
        char::is_lowercase,
        |c| c.is_ascii_digit(),
        |c| SYMBOLS.contains(c),
    ];
    tests
        .into_iter()
        .filter(|test| password.chars().any(test))
        .count()
        + usize::from(password.chars().any(is_other_letter))
}

fn has_name_part(password: &str, subject: &Subject) -> bool {
    let password = password.to_lowercase();
    let parts = subject
        .display_name
        .iter()
        .flat_map(|name| name.split(NAME_SEPARATORS));
    subject
        .sam_account_name
        .as_deref()
        .into_iter()
        .chain(parts)
        .filter(|part| part.chars().count() >= SHORTEST_NAME_PART)
        .any(|part| password.contains(&part.to_lowercase()))
}

/// Rounded up, so that whoever waits until then is not refused for a few seconds.
fn minute(at: OffsetDateTime) -> String {
    let whole = Duration::seconds(i64::from(at.second()) % 60)
        + Duration::nanoseconds(i64::from(at.nanosecond()));
    let up = if whole.is_zero() {
        Duration::ZERO
    } else {
        Duration::MINUTE - whole
    };
    at.checked_add(up)
        .unwrap_or(at)
        .format(format_description!(
            "[year]-[month]-[day] [hour]:[minute] UTC"
        ))
        .unwrap_or_else(|_| "a later time".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    fn domain() -> Policy {
        Policy {
            minimum_length: 8,
            history_length: 24,
            minimum_age: Duration::DAY,
            complex: true,
        }
    }

    fn ana() -> Subject {
        Subject {
            sam_account_name: Some("ana.lima".to_owned()),
            display_name: Some("Ana Li".to_owned()),
            pwd_last_set: PwdLastSet::At(datetime!(2026-11-21 09:30:30 UTC)),
            settings_object: None,
        }
    }

    fn rules(password: &str, with_history: bool) -> Vec<String> {
        domain()
            .violations(password, &ana(), NOW, with_history, Vec::new())
            .into_iter()
            .map(|violation| violation.rule)
            .collect()
    }

    #[test]
    fn each_rule_is_told() {
        for (password, with_history, broken) in [
            ("Ab1!", false, &["length"][..]),
            ("abcdefgh", false, &["complexity"]),
            ("abc", false, &["length", "complexity"]),
            ("Xx-ANA-2026", false, &["complexity"]),
            ("my.Ana.Lima.1", false, &["complexity"]),
            ("Xx-Li-2026", false, &["filter"]), // two letters are no part of a name
            ("Correct-Horse-1", false, &["filter"]),
            ("Correct-Horse-1", true, &["minimum-age"]),
            ("Ab1!", true, &["length", "minimum-age"]),
            ("пароль-Надежный", false, &["filter"]),
            ("密码密码密码Ab", false, &["filter"]),
            ("密码密码密码密码", false, &["complexity"]),
        ] {
            assert_eq!(rules(password, with_history), broken, "{password}");
        }
    }

    #[test]
    fn history_is_named_only_where_it_was_to_be_obeyed() {
        let long_ago = Subject {
            pwd_last_set: PwdLastSet::At(datetime!(2026-01-01 0:00 UTC)),
            ..ana()
        };
        let rule = |with_history, subject: &Subject| {
            domain().violations("Correct-Horse-1", subject, NOW, with_history, Vec::new())[0]
                .rule
                .clone()
        };
        assert_eq!(rule(true, &long_ago), "history");
        assert_eq!(rule(false, &long_ago), "filter");
        let must_change = Subject {
            pwd_last_set: PwdLastSet::MustChange,
            ..ana()
        };
        assert_eq!(
            rule(true, &must_change),
            "history",
            "a minimum age binds nobody who must change"
        );
    }

    #[test]
    fn what_the_domain_controller_told_is_kept() {
        let told = |rule: &str| {
            vec![Violation {
                rule: rule.to_owned(),
                message: "told".to_owned(),
            }]
        };
        let rules = |password, told| -> Vec<String> {
            let all = domain().violations(password, &ana(), NOW, false, told);
            all.into_iter().map(|violation| violation.rule).collect()
        };
        assert_eq!(rules("Correct-Horse-1", told("history")), ["history"]);
        assert_eq!(rules("Ab1!", told("length")), ["length"]);
        assert_eq!(rules("Ab1!", told("history")), ["length", "history"]);
    }

    #[test]
    fn without_a_minimum_age_nothing_is_too_soon() {
        let ageless = Policy {
            minimum_age: Duration::ZERO,
            ..domain()
        };
        let just_now = Subject {
            // the controller's clock is known to the second only
            pwd_last_set: PwdLastSet::At(NOW + Duration::SECOND),
            ..ana()
        };
        let broken = ageless.violations("Ab1!", &just_now, NOW, true, Vec::new());
        assert_eq!(broken.len(), 1, "{broken:?}");
    }

    #[test]
    fn the_time_from_which_it_works_is_told() {
        let told =
            &domain().violations("Correct-Horse-1", &ana(), NOW, true, Vec::new())[0].message;
        assert!(told.ends_with("from 2026-11-22 09:31 UTC."), "{told}");
    }

    #[test]
    fn the_rules_are_read_of_a_domain_and_of_a_settings_object() {
        let value = |text: &str| vec![text.as_bytes().to_vec()];
        let of_domain = Entry::for_test(
            "DC=corp",
            &[
                ("minPwdLength", value("8")),
                ("pwdHistoryLength", value("24")),
                ("minPwdAge", value("-864000000000")),
                ("pwdProperties", value("1")),
            ],
        );
        assert_eq!(Policy::read(&of_domain), Some(domain()));
        let of_settings = Entry::for_test(
            "CN=strict",
            &[
                ("msDS-MinimumPasswordLength", value("14")),
                ("msDS-PasswordHistoryLength", value("0")),
                ("msDS-MinimumPasswordAge", value("0")),
                ("msDS-PasswordComplexityEnabled", value("FALSE")),
            ],
        );
        let strict = Policy::read(&of_settings).unwrap();
        assert!(!strict.complex);
        assert_eq!(strict.minimum_length, 14);
        assert_eq!(Policy::read(&Entry::for_test("CN=hidden", &[])), None);
    }

    proptest! {
        #[test]
        fn any_password_is_judged(password in "\\PC{0,40}", name in "\\PC{0,20}", with_history: bool) {
            let subject = Subject { display_name: Some(name), ..ana() };
            prop_assert!(!domain().violations(&password, &subject, NOW, with_history, Vec::new()).is_empty());
        }

        #[test]
        fn any_policy_is_read(length in "\\PC{0,30}", age in "-?[0-9]{0,25}") {
            let value = |text: &str| vec![text.as_bytes().to_vec()];
            let entry = Entry::for_test("DC=x", &[
                ("minPwdLength", value(&length)), ("pwdHistoryLength", value("0")),
                ("minPwdAge", value(&age)), ("pwdProperties", value("1")),
            ]);
            if let Some(policy) = Policy::read(&entry) {
                let _ = policy.violations("x", &ana(), NOW, true, Vec::new());
            }
        }
    }
}
