//! The domain's password policy, as Windows keeps it: a change obeys all of it, a reset neither the
//! history nor the minimum age, unless policy hints are sent with it (MS-SAMR 3.1.1.7.1).

use rasn_ldap::{ChangeOperation, ModifyRequest, ResultCode};
use time::{Duration, OffsetDateTime};

use crate::{Person, SentControl, script::Answer, windows};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub minimum_length: usize,
    /// Three of upper case, lower case, digits and others.
    pub complex: bool,
    pub history_length: usize,
    pub minimum_age: Duration,
}

impl Default for Policy {
    /// That of a fresh forest, without the age.
    fn default() -> Self {
        Self {
            minimum_length: 7,
            complex: true,
            history_length: 24,
            minimum_age: Duration::ZERO,
        }
    }
}

impl Policy {
    /// As the head of the domain shows it; ages are negative, in 100 ns (MS-SAMR 3.1.1.5).
    pub(crate) fn attributes(&self) -> Vec<(String, Vec<Vec<u8>>)> {
        let age = -self.minimum_age.whole_seconds() * 10_000_000;
        [
            ("objectClass", "domainDNS".to_owned()),
            ("minPwdLength", self.minimum_length.to_string()),
            ("pwdHistoryLength", self.history_length.to_string()),
            ("minPwdAge", age.to_string()),
            ("pwdProperties", u8::from(self.complex).to_string()),
            ("lockoutThreshold", "0".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), vec![value.into_bytes()]))
        .to_vec()
    }
}

/// SEQUENCE { INTEGER 1 } (MS-ADTS 3.1.1.3.4.1.27); any other integer enforces nothing.
const ENFORCE: [u8; 5] = [0x30, 3, 2, 1, 1];

/// Whether these controls make a reset obey the history and the age.
fn hinted(controls: &[SentControl]) -> bool {
    controls.iter().any(|control| {
        [windows::POLICY_HINTS, windows::POLICY_HINTS_DEPRECATED].contains(&control.oid.as_str())
            && control.value.as_deref() == Some(&ENFORCE)
    })
}

enum Password {
    Reset(String),
    Change { current: String, new: String },
}

/// Carries a modify out as a whole, or refuses it as a whole.
pub(crate) fn modify(
    person: &mut Person,
    request: &ModifyRequest,
    controls: &[SentControl],
    policy: &Policy,
    unexpires: bool,
    now: OffsetDateTime,
) -> Answer {
    use ResultCode::{ConstraintViolation, InsufficientAccessRights, UnwillingToPerform};

    let refuse = Answer::new;
    let password = match password(request) {
        Ok(password) => password,
        Err(answer) => return answer,
    };
    let zeroed = |wanted: &str| {
        request.changes.iter().any(|change| {
            change.operation == ChangeOperation::Replace
                && change.modification.r#type.eq_ignore_ascii_case(wanted)
                && change.modification.vals.iter().all(|v| v[..] == b"0"[..])
        })
    };
    let (unlock, must_change) = (zeroed("lockoutTime"), zeroed("pwdLastSet"));
    if unlock && !person.lockout_time_writable || must_change && !person.pwd_last_set_writable {
        return refuse(InsufficientAccessRights, windows::NO_RIGHT_ON_ATTRIBUTE);
    }
    let refusal = match &password {
        None => None,
        Some(Password::Reset(_)) if !person.resettable => {
            Some(refuse(InsufficientAccessRights, windows::NO_RIGHT))
        }
        Some(Password::Reset(new)) => breaks(person, new, policy, hinted(controls), now)
            .then(|| refuse(UnwillingToPerform, windows::RESET_BREAKS_POLICY)),
        Some(Password::Change { .. }) if person.locked => {
            Some(refuse(ConstraintViolation, windows::LOCKED))
        }
        Some(Password::Change { .. }) if !person.may_change_password => {
            Some(refuse(ConstraintViolation, windows::MAY_NOT_CHANGE))
        }
        Some(Password::Change { current, .. }) if *current != person.password => {
            person.wrong_passwords += 1;
            Some(refuse(ConstraintViolation, windows::WRONG_CURRENT_PASSWORD))
        }
        Some(Password::Change { new, .. }) => breaks(person, new, policy, true, now)
            .then(|| refuse(ConstraintViolation, windows::CHANGE_BREAKS_POLICY)),
    };
    if let Some(refusal) = refusal {
        return refusal;
    }
    let is_change = matches!(password, Some(Password::Change { .. }));
    if let Some(Password::Reset(new) | Password::Change { new, .. }) = password {
        let old = std::mem::replace(&mut person.password, new);
        person.history.push(old);
        // MS-SAMR 3.1.1.8.7: without Unexpire-Password on the domain a reset leaves it expired
        person.pwd_last_set = (unexpires || is_change).then_some(now);
    }
    if unlock {
        person.locked = false;
        person.wrong_passwords = 0;
    }
    if must_change {
        person.pwd_last_set = None;
    }
    Answer::success()
}

fn breaks(
    person: &Person,
    new: &str,
    policy: &Policy,
    history_and_age: bool,
    now: OffsetDateTime,
) -> bool {
    let kept = std::iter::once(&person.password).chain(person.history.iter().rev());
    let used = kept.take(policy.history_length).any(|old| old == new);
    let young = person
        .pwd_last_set
        .is_some_and(|at| now - at < policy.minimum_age);
    new.chars().count() < policy.minimum_length
        || policy.complex && classes(new) < 3
        || history_and_age && (used || young)
}

fn classes(password: &str) -> usize {
    let has = |class: fn(char) -> bool| usize::from(password.chars().any(class));
    has(char::is_uppercase)
        + has(char::is_lowercase)
        + has(char::is_numeric)
        + has(|c| !c.is_alphanumeric())
}

/// Reads what is asked of `unicodePwd` (MS-ADTS 3.1.1.3.1.5.1).
fn password(request: &ModifyRequest) -> Result<Option<Password>, Answer> {
    let refuse = |text| Answer::new(ResultCode::ConstraintViolation, text);
    let mut asked = Vec::new();
    for change in &request.changes {
        if !change
            .modification
            .r#type
            .eq_ignore_ascii_case("unicodePwd")
        {
            continue;
        }
        let [value] = change.modification.vals.to_vec()[..] else {
            return Err(refuse(windows::MANY_VALUES));
        };
        asked.push((
            change.operation,
            unquoted(value).ok_or_else(|| refuse(windows::NOT_QUOTED))?,
        ));
    }
    match <[_; 2]>::try_from(asked) {
        Ok(
            [
                (ChangeOperation::Delete, current),
                (ChangeOperation::Add, new),
            ],
        ) => Ok(Some(Password::Change { current, new })),
        Ok(_) => Err(Answer::new(
            ResultCode::UnwillingToPerform,
            windows::NOT_ENCRYPTED,
        )),
        Err(asked) => match asked.into_iter().next() {
            None => Ok(None),
            Some((ChangeOperation::Replace, new)) => Ok(Some(Password::Reset(new))),
            Some(_) => Err(Answer::new(
                ResultCode::UnwillingToPerform,
                windows::NOT_ENCRYPTED,
            )),
        },
    }
}

fn unquoted(value: &[u8]) -> Option<String> {
    let (pairs, rest) = value.as_chunks::<2>();
    let words: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    let text = rest
        .is_empty()
        .then(|| String::from_utf16(&words).ok())
        .flatten()?;
    Some(text.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}
