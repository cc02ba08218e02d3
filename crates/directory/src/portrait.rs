//! One person, with everything that decides what an operation on them would come to.

mod rights;

use operation::DomainName;
use time::{Duration, OffsetDateTime};

use crate::{
    Account, DirectoryError, PwdLastSet, RootDse,
    account::{account, file_time, hides_its_state, pwd_last_set},
    clock::ControllerClock,
    exchange::by_guid,
    filter,
    permissions::{Held, Inspection, Object, Right, Service, Token, Verdict, access::check},
    reading::Entry,
};

const PORTRAIT_ATTRIBUTES: &[&str] = &[
    "objectGUID",
    "objectSid",
    "objectClass",
    "userPrincipalName",
    "userAccountControl",
    "mS-DS-ConsistencyGuid",
    "sAMAccountName",
    "displayName",
    "adminCount",
    "pwdLastSet",
    "accountExpires",
    "msDS-SecondaryKrbTgtNumber",
    "tokenGroups",
    "msDS-User-Account-Control-Computed",
    "lockoutTime",
    "badPwdCount",
    "msDS-ResultantPSO",
    "msDS-UserPasswordExpiryTimeComputed",
    "nTSecurityDescriptor",
];

const RULES_ATTRIBUTES: &[&str] = &[
    // of the domain
    "minPwdLength",
    "pwdHistoryLength",
    "minPwdAge",
    "maxPwdAge",
    "pwdProperties",
    "lockoutThreshold",
    "lockoutDuration",
    "lockOutObservationWindow",
    "nTSecurityDescriptor",
    // of a password settings object
    "msDS-MinimumPasswordLength",
    "msDS-PasswordHistoryLength",
    "msDS-MinimumPasswordAge",
    "msDS-MaximumPasswordAge",
    "msDS-PasswordComplexityEnabled",
    "msDS-LockoutThreshold",
    "msDS-LockoutDuration",
    "msDS-LockoutObservationWindow",
];

/// `DOMAIN_PASSWORD_COMPLEX` (MS-SAMR 2.2.3.5).
const COMPLEX: u32 = 0x1;
/// `ADS_UF_PASSWORD_EXPIRED` of `msDS-User-Account-Control-Computed` (MS-ADTS 3.1.1.4.5.17).
const PASSWORD_EXPIRED: u32 = 0x80_0000;

/// A person as the account that writes sees them.
#[derive(Debug, Clone)]
pub struct Portrait {
    pub account: Account,
    /// The most derived class of the object.
    pub class: String,
    /// Since when it is locked, if it is.
    pub locked_since: Option<OffsetDateTime>,
    pub locked_until: Option<LockedUntil>,
    pub wrong_passwords: Option<u32>,
    /// The password is too old, or to be changed first.
    pub password_expired: bool,
    /// None: never, or not told.
    pub password_expires: Option<OffsetDateTime>,
    pub policy: Policy,
    /// What the account that writes may do: on the person, and Unexpire-Password on the domain.
    pub rights: Vec<(Right, Held)>,
    /// What a service reads of everybody, and may not read of this person.
    pub hidden: Vec<Hidden>,
    /// Whether the person themselves may change their password.
    pub may_change_own: Option<bool>,
    /// None: the list of entries cannot be read.
    pub blocks_inheritance: Option<bool>,
    pub root: RootDse,
    pub clock: ControllerClock,
}

/// An attribute that a service's account may not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    pub service: Service,
    pub attribute: &'static str,
    /// That it is denied, or not given.
    pub held: Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockedUntil {
    At(OffsetDateTime),
    /// It does not end by itself.
    Unlocked,
}

/// The password policy that holds for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The password settings object that applies instead of the domain's policy.
    pub settings_object: Option<String>,
    /// None: the account may not read it.
    pub rules: Option<Rules>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub minimum_length: u32,
    pub history_length: u32,
    pub minimum_age: Duration,
    /// None: a password never grows too old.
    pub maximum_age: Option<Duration>,
    pub complex: bool,
    /// 0: nobody is ever locked out.
    pub lockout_threshold: u32,
    /// None: until an administrator unlocks.
    pub lockout_duration: Option<Duration>,
    pub lockout_window: Duration,
}

impl Inspection {
    /// The person with this GUID, and what the account that writes and the one that reads may do. None
    /// if there is no such object in the domain.
    pub async fn portrait(
        &self,
        domain: &DomainName,
        guid: operation::ObjectGuid,
        writer: &Token,
        reader: &Token,
    ) -> Result<Option<Portrait>, DirectoryError> {
        let (root, clock) = self.root_dse().await?;
        let Some(person) = self.guarded(&by_guid(guid), PORTRAIT_ATTRIBUTES).await? else {
            return Ok(None);
        };
        let entry = &person.entry;
        if hides_its_state(entry) {
            return Err(self.misconfigured(
                "the service account may not read userAccountControl of the person; \
                    `writebackctl permissions check` says where"
                    .to_owned(),
            ));
        }
        let account = account(entry, &self.domain_controller()).ok_or_else(|| {
            self.misconfigured("the account's objectGUID cannot be read".to_owned())
        })?;
        let class = entry
            .texts("objectClass")
            .last()
            .unwrap_or("user")
            .to_owned();
        let domain_dn = filter::base(domain);
        let of_domain = self.guarded(&domain_dn, RULES_ATTRIBUTES).await?;
        let settings_object = entry.text("msDS-ResultantPSO").map(str::to_owned);
        let rules = match &settings_object {
            Some(settings) => self
                .one(settings, RULES_ATTRIBUTES)
                .await?
                .as_ref()
                .and_then(rules),
            None => of_domain.as_ref().and_then(|domain| rules(&domain.entry)),
        };

        let schema = self.people_schema(&[&class]).await?;
        let rights = self
            .rights_of(
                writer,
                &schema,
                &person,
                &class,
                (&domain_dn, of_domain.as_ref()),
            )
            .await?;
        let hidden = self
            .hidden_of(
                [(Service::Resolver, reader), (Service::Writer, writer)],
                &schema,
                &person,
                &class,
            )
            .await?;
        let may_change_own = person.descriptor.as_ref().and_then(|descriptor| {
            let own = Token::new(account.sid.clone()?, []);
            let object = Object {
                descriptor,
                sid: account.sid.as_ref(),
            };
            let asked = schema.asked(Right::ChangePassword, None);
            Some(Verdict::holds(check(&own, object, &asked)))
        });

        let locked_since = file_time(entry.text("lockoutTime")).filter(|_| account.locked);
        let locked_until = match (locked_since, rules.map(|rules| rules.lockout_duration)) {
            (Some(since), Some(Some(lasts))) => since.checked_add(lasts).map(LockedUntil::At),
            (Some(_), Some(None)) => Some(LockedUntil::Unlocked),
            _ => None,
        };
        Ok(Some(Portrait {
            locked_since,
            locked_until,
            wrong_passwords: entry.text("badPwdCount").and_then(|text| text.parse().ok()),
            password_expired: is_expired(entry),
            password_expires: file_time(entry.text("msDS-UserPasswordExpiryTimeComputed")),
            policy: Policy {
                settings_object,
                rules,
            },
            rights,
            hidden,
            may_change_own,
            blocks_inheritance: person
                .descriptor
                .as_ref()
                .map(crate::permissions::SecurityDescriptor::blocks_inheritance),
            account,
            class,
            root,
            clock,
        }))
    }
}

/// The domain controller's own word, where it gives one: it knows of passwords that never expire.
fn is_expired(entry: &Entry) -> bool {
    match entry.bits("msDS-User-Account-Control-Computed") {
        Some(bits) => bits & PASSWORD_EXPIRED != 0,
        None => pwd_last_set(entry.text("pwdLastSet")) == PwdLastSet::MustChange,
    }
}

/// None if the object does not show its rules.
fn rules(entry: &Entry) -> Option<Rules> {
    let either = |of_settings, of_domain| entry.text(of_settings).or_else(|| entry.text(of_domain));
    let number = |of_settings, of_domain| either(of_settings, of_domain)?.parse::<u32>().ok();
    let span = |of_settings, of_domain| interval(either(of_settings, of_domain)?);
    Some(Rules {
        minimum_length: number("msDS-MinimumPasswordLength", "minPwdLength")?,
        history_length: number("msDS-PasswordHistoryLength", "pwdHistoryLength")?,
        minimum_age: span("msDS-MinimumPasswordAge", "minPwdAge")?
            .0
            .unwrap_or(Duration::ZERO),
        maximum_age: span("msDS-MaximumPasswordAge", "maxPwdAge")?
            .0
            .filter(|age| !age.is_zero()),
        complex: entry
            .text("msDS-PasswordComplexityEnabled")
            .map(|text| text.eq_ignore_ascii_case("TRUE"))
            .or_else(|| Some(entry.bits("pwdProperties")? & COMPLEX != 0))?,
        lockout_threshold: number("msDS-LockoutThreshold", "lockoutThreshold")?,
        lockout_duration: span("msDS-LockoutDuration", "lockoutDuration")?
            .0
            .filter(|duration| !duration.is_zero()),
        lockout_window: span("msDS-LockoutObservationWindow", "lockOutObservationWindow")?
            .0
            .unwrap_or(Duration::ZERO),
    })
}

/// How long something lasts. For ever is None, as nought often means it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interval(Option<Duration>);

/// A negative number of 100 ns (MS-ADTS 3.1.1.2.2.2.12), the greatest of which stands for ever.
fn interval(text: &str) -> Option<Interval> {
    const TICKS_PER_SECOND: i64 = 10_000_000;
    let ticks = text.parse::<i64>().ok()?;
    let lasts = Duration::seconds((ticks / TICKS_PER_SECOND).saturating_abs());
    Some(Interval((ticks != i64::MIN).then_some(lasts)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(attributes: &[(&str, &str)]) -> Entry {
        let attributes: Vec<_> = attributes
            .iter()
            .map(|(name, value)| (*name, vec![value.as_bytes().to_vec()]))
            .collect();
        Entry::for_test("DC=corp", &attributes)
    }

    const DOMAIN: &[(&str, &str)] = &[
        ("minPwdLength", "8"),
        ("pwdHistoryLength", "24"),
        ("minPwdAge", "-864000000000"),
        ("maxPwdAge", "-9223372036854775808"),
        ("pwdProperties", "1"),
        ("lockoutThreshold", "5"),
        ("lockoutDuration", "-18000000000"),
        ("lockOutObservationWindow", "-18000000000"),
    ];

    #[test]
    fn the_rules_of_a_domain() {
        assert_eq!(
            rules(&entry(DOMAIN)),
            Some(Rules {
                minimum_length: 8,
                history_length: 24,
                minimum_age: Duration::DAY,
                maximum_age: None,
                complex: true,
                lockout_threshold: 5,
                lockout_duration: Some(Duration::minutes(30)),
                lockout_window: Duration::minutes(30),
            })
        );
        assert_eq!(rules(&entry(&DOMAIN[1..])), None);
    }

    #[test]
    fn those_of_a_settings_object_come_first() {
        let both = [
            DOMAIN,
            &[
                ("msDS-MinimumPasswordLength", "15"),
                ("msDS-PasswordComplexityEnabled", "FALSE"),
            ],
        ]
        .concat();
        let rules = rules(&entry(&both)).unwrap();
        assert_eq!((rules.minimum_length, rules.complex), (15, false));
    }

    #[test]
    fn an_endless_lockout_has_no_duration() {
        assert_eq!(interval("-9223372036854775808"), Some(Interval(None)));
        assert_eq!(interval("0"), Some(Interval(Some(Duration::ZERO))));
        assert_eq!(interval("x"), None);
    }

    proptest! {
        #[test]
        fn any_number_is_read(text in "-?[0-9]{1,19}") {
            let _ = interval(&text);
        }
    }
}
