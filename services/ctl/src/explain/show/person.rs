//! The person, as the directory has them.

use directory::{
    Membership, PwdLastSet,
    permissions::Held,
    portrait::{LockedUntil, Policy, Portrait},
    rules::protection,
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{explain::Person, permissions::held_json, table::printable};

fn moment(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

pub(super) fn states(person: &Person<'_>) -> Vec<(&'static str, String)> {
    let portrait = &person.portrait;
    let account = &portrait.account;
    let expires = account.expires.map_or_else(
        || "never".to_owned(),
        |at| {
            let gone = if at < portrait.root.current_time {
                "EXPIRED, "
            } else {
                ""
            };
            format!("{gone}{}", moment(at))
        },
    );
    let protected = match (protection(account), account.membership) {
        (Some(why), _) => format!("yes: {why}"),
        (None, Membership::Unreadable) => {
            "not as far as can be told: its groups cannot be read".to_owned()
        }
        (None, _) => "no".to_owned(),
    };
    let rights: Vec<String> = portrait
        .rights
        .iter()
        .filter(|(_, held)| !held.holds())
        .map(|(right, held)| match held {
            Held::Denied { container, .. } => format!("{right} (denied at {container})"),
            Held::Unreadable => format!("{right} (not known)"),
            _ => right.to_string(),
        })
        .collect();
    let hidden: Vec<String> = portrait
        .hidden
        .iter()
        .map(|hidden| match &hidden.held {
            Held::Denied { container, .. } => format!(
                "{}: {} (denied at {container})",
                hidden.service, hidden.attribute
            ),
            _ => format!("{}: {}", hidden.service, hidden.attribute),
        })
        .collect();
    vec![
        ("account", printable(&account.dn)),
        (
            "name",
            printable(account.upn.as_ref().map_or("-", |upn| upn.as_str())),
        ),
        (
            "identifiers",
            format!(
                "anchor {}, {}",
                account.anchor,
                account
                    .sid
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string)
            ),
        ),
        ("in scope", yes(person.in_scope)),
        ("enabled", yes(account.enabled)),
        ("locked", locked(portrait)),
        ("password", password(portrait)),
        ("account expires", expires),
        ("smart card required", yes(account.smart_card_required)),
        ("may be delegated", yes(!account.not_delegated)),
        (
            "may change its password",
            portrait
                .may_change_own
                .map_or_else(|| "not known".to_owned(), yes),
        ),
        ("protected", protected),
        (
            "inherits rights",
            portrait
                .blocks_inheritance
                .map_or_else(|| "not known".to_owned(), |blocks| yes(!blocks)),
        ),
        (
            "rights missing",
            if rights.is_empty() {
                "none".to_owned()
            } else {
                printable(&rights.join(", "))
            },
        ),
        (
            "cannot be read",
            if hidden.is_empty() {
                "nothing".to_owned()
            } else {
                printable(&hidden.join(", "))
            },
        ),
    ]
}

fn locked(portrait: &Portrait) -> String {
    let account = &portrait.account;
    match (account.locked, portrait.locked_since, portrait.locked_until) {
        (false, ..) => "no".to_owned(),
        (true, since, until) => {
            let since = since.map_or_else(String::new, |at| format!(", since {}", moment(at)));
            match until {
                Some(LockedUntil::At(at)) => format!("yes{since}, until {}", moment(at)),
                Some(LockedUntil::Unlocked) => {
                    format!("yes{since}, until an administrator unlocks it")
                }
                None => format!("yes{since}"),
            }
        }
    }
}

fn password(portrait: &Portrait) -> String {
    let account = &portrait.account;
    let set = match account.pwd_last_set {
        PwdLastSet::MustChange => {
            "must be changed at the next sign-in, or was never set".to_owned()
        }
        PwdLastSet::At(at) => format!("set {}", moment(at)),
    };
    match (
        account.password_never_expires,
        portrait.password_expired,
        portrait.password_expires,
    ) {
        (true, ..) => format!("{set}; never expires"),
        (_, true, _) => format!("{set}; EXPIRED"),
        (_, false, Some(at)) => format!("{set}; expires {}", moment(at)),
        (_, false, None) => set,
    }
}

fn span(span: Duration) -> String {
    match (span.whole_days(), span.whole_hours(), span.whole_minutes()) {
        (days, hours, _) if days > 0 && hours % 24 == 0 => format!("{days} days"),
        (_, hours, minutes) if hours > 0 && minutes % 60 == 0 => format!("{hours} hours"),
        (_, _, minutes) if minutes > 0 => format!("{minutes} minutes"),
        _ => "none".to_owned(),
    }
}

pub(super) fn policy(policy: &Policy) -> String {
    let source = policy.settings_object.as_ref().map_or_else(
        || "the domain's".to_owned(),
        |dn| format!("the password settings object {dn}"),
    );
    let Some(rules) = policy.rules else {
        return format!("{source}; the service account may not read what it says");
    };
    let lockout = match (rules.lockout_threshold, rules.lockout_duration) {
        (0, _) => "no lockout".to_owned(),
        (threshold, None) => {
            format!("lockout after {threshold} wrong passwords, until an administrator unlocks")
        }
        (threshold, Some(lasts)) => format!(
            "lockout after {threshold} wrong passwords within {}, for {}",
            span(rules.lockout_window),
            span(lasts)
        ),
    };
    format!(
        "{source}; at least {} characters, {}, not one of the last {}; minimum age {}, maximum age {}; {lockout}",
        rules.minimum_length,
        if rules.complex {
            "complex"
        } else {
            "of any complexity"
        },
        rules.history_length,
        span(rules.minimum_age),
        rules.maximum_age.map_or_else(|| "none".to_owned(), span),
    )
}

fn policy_json(policy: &Policy) -> Value {
    let rules = policy.rules.map(|rules| {
        json!({
            "minimumLength": rules.minimum_length,
            "historyLength": rules.history_length,
            "complexity": rules.complex,
            "minimumAgeSeconds": rules.minimum_age.whole_seconds(),
            "maximumAgeSeconds": rules.maximum_age.map(Duration::whole_seconds),
            "lockoutThreshold": rules.lockout_threshold,
            "lockoutDurationSeconds": rules.lockout_duration.map(Duration::whole_seconds),
            "lockoutWindowSeconds": rules.lockout_window.whole_seconds(),
        })
    });
    json!({ "settingsObject": policy.settings_object, "rules": rules })
}

pub(super) fn person_json(person: &Person<'_>) -> Value {
    let portrait = &person.portrait;
    let account = &portrait.account;
    let rights: Vec<Value> = portrait
        .rights
        .iter()
        .map(|(right, held)| {
            let mut value = held_json(held);
            if let Value::Object(members) = &mut value {
                members.insert("right".to_owned(), right.to_string().into());
            }
            value
        })
        .collect();
    let hidden: Vec<Value> = portrait
        .hidden
        .iter()
        .map(|hidden| {
            let mut value = held_json(&hidden.held);
            if let Value::Object(members) = &mut value {
                members.insert("service".to_owned(), hidden.service.to_string().into());
                members.insert("attribute".to_owned(), hidden.attribute.into());
            }
            value
        })
        .collect();
    let (must_change, set) = match account.pwd_last_set {
        PwdLastSet::MustChange => (true, None),
        PwdLastSet::At(at) => (false, Some(moment(at))),
    };
    json!({
        "forest": person.domain.forest.id,
        "domain": person.domain.name(),
        "domainController": account.domain_controller,
        "distinguishedName": account.dn,
        "userPrincipalName": account.upn,
        "securityIdentifier": account.sid,
        "sourceAnchor": account.anchor,
        "objectGuid": account.guid,
        "class": portrait.class,
        "inScope": person.in_scope,
        "enabled": account.enabled,
        "locked": account.locked,
        "lockedSince": portrait.locked_since.map(moment),
        "lockedUntil": match portrait.locked_until {
            Some(LockedUntil::At(at)) => Some(moment(at)),
            Some(LockedUntil::Unlocked) | None => None,
        },
        "lockedUntilUnlocked": portrait.locked_until == Some(LockedUntil::Unlocked),
        "wrongPasswords": portrait.wrong_passwords,
        "mustChange": must_change,
        "passwordSet": set,
        "passwordExpired": portrait.password_expired,
        "passwordExpires": portrait.password_expires.map(moment),
        "passwordNeverExpires": account.password_never_expires,
        "accountExpires": account.expires.map(moment),
        "smartCardRequired": account.smart_card_required,
        "mayBeDelegated": !account.not_delegated,
        "mayChangeOwnPassword": portrait.may_change_own,
        "protected": protection(account),
        "inheritsRights": portrait.blocks_inheritance.map(|blocks| !blocks),
        "rights": rights,
        "hidden": hidden,
        "policy": policy_json(&portrait.policy),
    })
}
