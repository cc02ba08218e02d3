//! From a well-formed event to an operation that may be admitted: every field of `data` is checked
//! here, and a refusal names the field and the remedy. Members nobody knows are ignored, unless they are almost ours.

use std::{fmt, str::FromStr};

use operation::{
    DomainName, EventIdentity, ForestId, Initiator, InitiatorKind, Kind, Operation, OperationId,
    SecurityIdentifier, SourceAnchor, UserPrincipalName, UserReference, breaks_lines,
    is_initiator_id,
};
use sealing::{PublicKeys, SealedPassword};
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    event::{Event, EventError},
    misspelt::meant,
};

/// The furthest an event may set its deadline.
pub(crate) const LONGEST_DEADLINE: Duration = Duration::hours(24);

/// The members of `data`, and of the objects in it.
const DATA: [&str; 5] = [
    "user",
    "initiator",
    "sealedPassword",
    "mustChangeAtNextSignIn",
    "unlock",
];
const USER: [&str; 4] = [
    "sourceAnchor",
    "securityIdentifier",
    "userPrincipalName",
    "domain",
];
const INITIATOR: [&str; 2] = ["kind", "id"];

/// What is about to be admitted and published.
pub(crate) struct Submission {
    pub(crate) operation: Operation,
    pub(crate) seal: Option<Seal>,
    /// SHA-256 of the type and the data: tells a repeat from another event with the same id.
    pub(crate) digest: Vec<u8>,
}

/// A sealed password that parses, and whom it is for.
pub(crate) struct Seal {
    /// As JSON text, the form it travels in.
    pub(crate) text: String,
    pub(crate) key_ids: Vec<String>,
}

/// It is sealed to a key that is not, or no longer, ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its kid is not in the key set")]
pub(crate) struct UnknownKey;

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

impl Seal {
    /// The forests whose writers can open it; none if a key id is in no key set of ours.
    pub(crate) fn forests(&self, keys: &PublicKeys) -> Result<Vec<ForestId>, UnknownKey> {
        let mut forests = Vec::new();
        for key_id in &self.key_ids {
            let forest = keys.forest_of(key_id).ok_or(UnknownKey)?;
            if !forests.contains(forest) {
                forests.push(forest.clone());
            }
        }
        Ok(forests)
    }
}

/// The kind an event asks for, before anything else is looked at: the caller's scope depends on it.
pub(crate) fn kind_of(event: &Event) -> Result<Kind, EventError> {
    Kind::ALL
        .into_iter()
        .find(|kind| kind.event_type() == event.kind)
        .ok_or_else(|| {
            EventError::malformed(
                "type",
                "unknown; send dev.writeback.password.reset, dev.writeback.password.change or dev.writeback.account.unlock",
            )
        })
}

/// Checks everything that can be checked without asking anyone.
pub(crate) fn check(
    event: Event,
    now: OffsetDateTime,
    default_deadline: Duration,
) -> Result<Submission, EventError> {
    let kind = kind_of(&event)?;
    let digest = digest(&event);
    let deadline = deadline(event.expiry_time, now, default_deadline)?;
    let Value::Object(data) = &event.data else {
        return Err(EventError::malformed("data", "a JSON object is expected"));
    };
    well_spelt(data, "data", &DATA)?;
    let user = user(data)?;
    let initiator = initiator(data)?;
    let must_change = boolean(data, "mustChangeAtNextSignIn")?.unwrap_or(false);
    if must_change && (kind != Kind::Reset || initiator.kind != InitiatorKind::Administrator) {
        return Err(EventError::malformed(
            "data.mustChangeAtNextSignIn",
            "only an administrator's reset may ask for it",
        ));
    }
    let unlock = boolean(data, "unlock")?.unwrap_or(true);
    if kind == Kind::Unlock && !unlock {
        return Err(EventError::malformed(
            "data.unlock",
            "false contradicts an event that asks to unlock; leave it out",
        ));
    }
    let seal = seal(data, kind)?;
    Ok(Submission {
        operation: Operation {
            id: OperationId::from_uuid(Uuid::now_v7()),
            kind,
            user,
            initiator,
            event: EventIdentity {
                source: event.source,
                id: event.id,
            },
            must_change_at_next_sign_in: must_change,
            unlock,
            admitted_at: now,
            deadline,
        },
        seal,
        digest,
    })
}

fn digest(event: &Event) -> Vec<u8> {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(event.kind.as_bytes());
    // No type holds a zero byte that is one of ours, so the parts cannot run into each other.
    context.update(&[0]);
    context.update(event.data.to_string().as_bytes());
    context.finish().as_ref().to_vec()
}

/// One that has passed is not malformed: the event may be a repeat of one that was carried out in
/// time, and whoever sends it is told how that ended. If it is new, it ends expired.
fn deadline(
    expiry_time: Option<OffsetDateTime>,
    now: OffsetDateTime,
    default_deadline: Duration,
) -> Result<OffsetDateTime, EventError> {
    match expiry_time {
        None => Ok(now + default_deadline),
        Some(expiry) if expiry - now > LONGEST_DEADLINE => Err(EventError::malformed(
            "expirytime",
            "more than 24 hours ahead; choose an earlier one",
        )),
        Some(expiry) => Ok(expiry),
    }
}

fn well_spelt(
    object: &Map<String, Value>,
    field: &str,
    known: &[&'static str],
) -> Result<(), EventError> {
    match object
        .keys()
        .find_map(|name| Some((name, meant(name, known)?)))
    {
        None => Ok(()),
        Some((name, ours)) => Err(EventError::malformed(
            format!("{field}.{name}"),
            format!("unknown; write {ours}"),
        )),
    }
}

fn wrong_type(field: &str, expected: &str) -> EventError {
    EventError::malformed(field, format!("{expected} is expected"))
}

/// A member that may be missing; `null` is the same as missing.
fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn object<'a>(
    data: &'a Map<String, Value>,
    name: &str,
) -> Result<&'a Map<String, Value>, EventError> {
    match member(data, name) {
        Some(Value::Object(members)) => Ok(members),
        Some(_) => Err(wrong_type(&format!("data.{name}"), "a JSON object")),
        None => Err(EventError::malformed(format!("data.{name}"), "missing")),
    }
}

fn boolean(data: &Map<String, Value>, name: &str) -> Result<Option<bool>, EventError> {
    match member(data, name) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(wrong_type(&format!("data.{name}"), "true or false")),
    }
}

fn identifier<T>(user: &Map<String, Value>, name: &str) -> Result<Option<T>, EventError>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let field = || format!("data.user.{name}");
    match member(user, name) {
        None => Ok(None),
        Some(Value::String(text)) if text.chars().any(breaks_lines) => {
            Err(EventError::malformed(field(), "holds a control character"))
        }
        Some(Value::String(text)) => text
            .parse()
            .map(Some)
            .map_err(|error: T::Err| EventError::malformed(field(), error.to_string())),
        Some(_) => Err(wrong_type(&field(), "a string")),
    }
}

fn user(data: &Map<String, Value>) -> Result<UserReference, EventError> {
    let user = object(data, "user")?;
    well_spelt(user, "data.user", &USER)?;
    let security_identifier = identifier::<SecurityIdentifier>(user, "securityIdentifier")?;
    // A seal is bound to the identifier as sent: there is one way to write each.
    if let Some(sid) = &security_identifier
        && member(user, "securityIdentifier").and_then(Value::as_str) != Some(&sid.to_string())
    {
        return Err(EventError::malformed(
            "data.user.securityIdentifier",
            "write its numbers without leading zeros",
        ));
    }
    UserReference::new(
        identifier::<SourceAnchor>(user, "sourceAnchor")?,
        security_identifier,
        identifier::<UserPrincipalName>(user, "userPrincipalName")?,
        identifier::<DomainName>(user, "domain")?,
    )
    .map_err(|_| {
        EventError::malformed(
            "data.user",
            "give at least one of sourceAnchor, securityIdentifier and userPrincipalName",
        )
    })
}

fn initiator(data: &Map<String, Value>) -> Result<Initiator, EventError> {
    let initiator = object(data, "initiator")?;
    well_spelt(initiator, "data.initiator", &INITIATOR)?;
    let kind = match member(initiator, "kind").map(Value::as_str) {
        Some(Some("user")) => InitiatorKind::User,
        Some(Some("administrator")) => InitiatorKind::Administrator,
        _ => {
            return Err(EventError::malformed(
                "data.initiator.kind",
                "\"user\" or \"administrator\" is expected",
            ));
        }
    };
    let id = match member(initiator, "id") {
        None => None,
        Some(Value::String(id)) if is_initiator_id(id) => Some(id.clone()),
        Some(_) => {
            return Err(EventError::malformed(
                "data.initiator.id",
                "a string of at most 256 bytes, none of them a control character, is expected",
            ));
        }
    };
    Ok(Initiator { kind, id })
}

fn seal(data: &Map<String, Value>, kind: Kind) -> Result<Option<Seal>, EventError> {
    const FIELD: &str = "data.sealedPassword";
    match (member(data, "sealedPassword"), kind.sets_password()) {
        (None, false) => Ok(None),
        (None, true) => Err(EventError::malformed(
            FIELD,
            "missing; seal the password with a key of /.well-known/jwks.json",
        )),
        (Some(_), false) => Err(EventError::malformed(
            FIELD,
            "an unlock takes no password; leave it out",
        )),
        (Some(value @ (Value::String(_) | Value::Object(_))), true) => {
            let sealed = SealedPassword::parse(value)
                .map_err(|error| EventError::malformed(FIELD, error.to_string()))?;
            Ok(Some(Seal {
                text: sealed.to_json_text(),
                key_ids: sealed.key_ids().into_iter().map(str::to_owned).collect(),
            }))
        }
        (Some(_), true) => Err(wrong_type(FIELD, "a JWE as a string or a JSON object")),
    }
}

#[cfg(test)]
mod tests;
