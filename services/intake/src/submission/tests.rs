use proptest::prelude::*;
use serde_json::json;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

fn event(kind: &str, data: Value) -> Event {
    Event {
        id: "a-1".to_owned(),
        source: "/cloud".to_owned(),
        kind: kind.to_owned(),
        expiry_time: None,
        data,
    }
}

fn unlock_data() -> Value {
    json!({
        "user": { "userPrincipalName": "ana@corp.example.com", "unknown": 1 },
        "initiator": { "kind": "user", "id": "opaque", "unknown": 1 },
        "unknown": [],
    })
}

fn check_unlock(data: Value) -> Result<Submission, EventError> {
    check(
        event("dev.writeback.account.unlock", data),
        NOW,
        Duration::seconds(30),
    )
}

fn field(result: Result<Submission, EventError>) -> String {
    match result.unwrap_err() {
        EventError::Malformed { field, .. } => field,
        other @ EventError::UnsupportedMediaType(_) => panic!("{other}"),
    }
}

#[test]
fn unknown_members_are_ignored_and_defaults_filled_in() {
    let submission = check_unlock(unlock_data()).unwrap();
    assert_eq!(submission.operation.kind, Kind::Unlock);
    assert_eq!(submission.operation.deadline, NOW + Duration::seconds(30));
    assert_eq!(submission.operation.initiator.id.as_deref(), Some("opaque"));
    assert!(submission.operation.unlock);
    assert!(submission.seal.is_none());
    assert_eq!(submission.digest.len(), 32);
}

#[test]
fn a_misspelt_member_is_not_ignored() {
    for (pointer, name) in [
        ("", "Unlock"),
        ("", "unlok"),
        ("", "must_change_at_next_sign_in"),
        ("/user", "SourceAnchor"),
        ("/user", "domains"),
        ("/initiator", "ID"),
    ] {
        let mut data = unlock_data();
        data.pointer_mut(pointer).unwrap()[name] = json!(false);
        let named = format!("data{}.{name}", pointer.replace('/', "."));
        assert_eq!(field(check_unlock(data)), named);
    }
}

#[test]
fn a_wrong_value_is_named() {
    for (pointer, value, named) in [
        ("/user", json!("ana"), "data.user"),
        ("/user", json!(null), "data.user"),
        ("/user", json!({}), "data.user"),
        (
            "/user/userPrincipalName",
            json!(7),
            "data.user.userPrincipalName",
        ),
        (
            "/user/userPrincipalName",
            json!("ana"),
            "data.user.userPrincipalName",
        ),
        (
            "/user/userPrincipalName",
            json!("a\u{7}@b"),
            "data.user.userPrincipalName",
        ),
        ("/initiator", json!(null), "data.initiator"),
        ("/initiator/kind", json!("robot"), "data.initiator.kind"),
        ("/initiator/kind", json!(1), "data.initiator.kind"),
        ("/initiator/id", json!({}), "data.initiator.id"),
        ("/initiator/id", json!("a\nb"), "data.initiator.id"),
    ] {
        let mut data = unlock_data();
        *data.pointer_mut(pointer).unwrap() = value;
        assert_eq!(field(check_unlock(data)), named, "{pointer}");
    }
    for (name, value) in [
        ("sourceAnchor", json!("AAAA")),
        ("sourceAnchor", json!([])),
        ("securityIdentifier", json!("S-1-5-21-x")),
        ("securityIdentifier", json!("S-1-5-021-7")),
        ("userPrincipalName", json!("ana\u{2028}@corp.example.com")),
        ("domain", json!("corp example")),
    ] {
        let mut data = unlock_data();
        data["user"][name] = value;
        assert_eq!(field(check_unlock(data)), format!("data.user.{name}"));
    }
    for (name, value) in [
        ("unlock", json!("yes")),
        ("unlock", json!(false)),
        ("mustChangeAtNextSignIn", json!(0)),
        ("mustChangeAtNextSignIn", json!(true)),
        ("sealedPassword", json!("a.b.c.d.e")),
    ] {
        let mut data = unlock_data();
        data[name] = value;
        assert_eq!(field(check_unlock(data)), format!("data.{name}"));
    }
    assert_eq!(field(check_unlock(json!([]))), "data");
}

#[test]
fn filter_characters_in_a_name_are_only_characters() {
    let mut data = unlock_data();
    data["user"]["userPrincipalName"] = json!("*)(objectClass=*@corp.example.com");
    assert!(check_unlock(data).is_ok());
}

#[test]
fn a_password_operation_needs_a_seal_that_parses() {
    let reset = |data| {
        check(
            event("dev.writeback.password.reset", data),
            NOW,
            Duration::seconds(30),
        )
    };
    assert_eq!(field(reset(unlock_data())), "data.sealedPassword");
    for bad in [
        json!("not a JWE"),
        json!(7),
        json!({}),
        json!("a.b.c.d.e"),
        json!([1]),
    ] {
        let mut data = unlock_data();
        data["sealedPassword"] = bad;
        assert_eq!(field(reset(data)), "data.sealedPassword");
    }
}

#[test]
fn an_unknown_type_is_refused() {
    assert_eq!(
        field(check(event("com.example", json!({})), NOW, Duration::ZERO)),
        "type"
    );
}

#[test]
fn the_deadline_is_as_sent_and_not_too_far_ahead() {
    let with = |expiry| {
        let event = Event {
            expiry_time: Some(expiry),
            ..event("dev.writeback.account.unlock", unlock_data())
        };
        check(event, NOW, Duration::seconds(30))
    };
    let latest = NOW + LONGEST_DEADLINE;
    for expiry in [latest, NOW, NOW - Duration::DAY] {
        assert_eq!(with(expiry).unwrap().operation.deadline, expiry);
    }
    assert_eq!(field(with(latest + Duration::SECOND)), "expirytime");
}

#[test]
fn the_digest_tells_content_apart_and_knows_a_repeat() {
    let first = check_unlock(unlock_data()).unwrap();
    let again = check_unlock(unlock_data()).unwrap();
    assert_eq!(first.digest, again.digest);
    assert_ne!(first.operation.id, again.operation.id);
    let mut other = unlock_data();
    other["user"]["userPrincipalName"] = json!("bo@corp.example.com");
    assert_ne!(first.digest, check_unlock(other).unwrap().digest);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(upn in any::<String>(), anchor in any::<String>(), sid in any::<String>(), seal in any::<String>()) {
        let data = json!({
            "user": { "userPrincipalName": upn, "sourceAnchor": anchor, "securityIdentifier": sid },
            "initiator": { "kind": "user" }, "sealedPassword": seal,
        });
        let _ = check(event("dev.writeback.password.change", data), NOW, Duration::seconds(30));
    }
}
