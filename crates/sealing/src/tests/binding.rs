//! A sealed password opens only for what it was sealed for.

use std::time::Duration;

use operation::Kind;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{NEW, NOW, SKEW, binding, claims, contents, forest, keys, open, pair, sealed};
use crate::{
    Algorithm, Binding, Claim, Contents, KeyPair, OpenError, SealError, SealedPassword, seal,
    seal::encrypt_to,
};

const ALGORITHM: Algorithm = Algorithm::EcdhEsA256Kw;

/// Seals whatever JSON a sender may come up with.
fn sealed_json(claims: &Value) -> SealedPassword {
    let mut content = claims.to_string().into_bytes();
    encrypt_to(&[&pair(ALGORITHM, "corp").public()], &mut content).unwrap()
}

fn open_json(claims: &Value) -> Result<(String, Option<String>), OpenError> {
    open(&keys(ALGORITHM), &sealed_json(claims), Kind::Change)
}

#[test]
fn every_claim_must_match_the_operation() {
    let sealed = sealed(Kind::Change, &[&pair(ALGORITHM, "corp").public()]);
    let same = || binding(Kind::Change);
    let cases = [
        (
            Claim::Issuer,
            Binding {
                issuer: "x".into(),
                ..same()
            },
        ),
        (
            Claim::EventId,
            Binding {
                event_id: "x".into(),
                ..same()
            },
        ),
        (
            Claim::Subject,
            Binding {
                subject: "x".into(),
                ..same()
            },
        ),
        (Claim::Purpose, binding(Kind::Reset)),
        (Claim::Purpose, binding(Kind::Unlock)),
    ];
    let keys = keys(ALGORITHM);
    assert!(keys.open(&sealed, &same(), NOW, SKEW).is_ok());
    for (claim, other) in cases {
        let error = keys.open(&sealed, &other, NOW, SKEW).unwrap_err();
        assert_eq!(error, OpenError::NotBound(claim));
        assert!(error.to_string().contains(claim.as_str()));
    }
    let mut unlock = claims();
    unlock["purpose"] = json!("unlock");
    assert_eq!(
        open(&keys, &sealed_json(&unlock), Kind::Unlock),
        Err(OpenError::NotBound(Claim::Purpose))
    );
}

#[test]
fn time_is_kept_to_the_second_with_the_skew_allowed() {
    let sealed = sealed(Kind::Change, &[&pair(ALGORITHM, "corp").public()]);
    let keys = keys(ALGORITHM);
    let at = |seconds: i64| {
        let now = NOW + time::Duration::seconds(seconds);
        keys.open(&sealed, &binding(Kind::Change), now, SKEW)
            .map(drop)
    };
    assert_eq!(at(-61), Err(OpenError::NotBound(Claim::IssuedAt)));
    assert_eq!(at(-60), Ok(()));
    assert_eq!(at(359), Ok(()));
    assert_eq!(at(360), Err(OpenError::NotBound(Claim::Expires)));
    let no_skew = keys.open(
        &sealed,
        &binding(Kind::Change),
        NOW + Duration::from_mins(5),
        Duration::ZERO,
    );
    assert_eq!(no_skew.unwrap_err(), OpenError::NotBound(Claim::Expires));
}

#[test]
fn every_claim_must_be_there_and_of_its_type() {
    assert!(open_json(&claims()).is_ok());
    for name in ["iss", "jti", "sub", "purpose", "iat", "exp", "newPassword"] {
        let mut missing = claims();
        missing.as_object_mut().unwrap().remove(name);
        assert_eq!(open_json(&missing), Err(OpenError::Malformed), "{name}");
        let mut wrong = claims();
        wrong[name] = json!([]);
        assert_eq!(open_json(&wrong), Err(OpenError::Malformed), "{name}");
    }
    assert_eq!(open_json(&json!("text")), Err(OpenError::Malformed));
    let mut fraction = claims();
    fraction["iat"] = json!(1.5);
    fraction["exp"] = json!(1e300);
    fraction["more"] = json!({ "is": "ignored" });
    assert!(open_json(&fraction).is_ok());
}

#[test]
fn passwords_have_one_to_256_characters() {
    let password = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        open_json(&claims).map(drop)
    };
    // two UTF-16 code units each
    let (longest, longer) = ("😀".repeat(128), "😀".repeat(129));
    assert_eq!(password("newPassword", json!(longest)), Ok(()));
    assert_eq!(
        password("newPassword", json!(longer)),
        Err(OpenError::PasswordTooLong)
    );
    assert_eq!(
        password("newPassword", json!("a\u{0}b")),
        Err(OpenError::PasswordHasNul)
    );
    let (longest, longer) = ("ψ".repeat(256), "ψ".repeat(257));
    assert_eq!(
        password("newPassword", json!("")),
        Err(OpenError::PasswordEmpty)
    );
    assert_eq!(password("newPassword", json!(longest)), Ok(()));
    assert_eq!(
        password("newPassword", json!(longer)),
        Err(OpenError::PasswordTooLong)
    );
    assert_eq!(
        password("currentPassword", json!(longer)),
        Err(OpenError::PasswordTooLong)
    );
    for missing in [json!(null), json!("")] {
        assert_eq!(
            password("currentPassword", missing),
            Err(OpenError::CurrentPasswordMissing)
        );
    }
    let mut reset = claims();
    reset["purpose"] = json!("reset");
    assert_eq!(
        open(&keys(ALGORITHM), &sealed_json(&reset), Kind::Reset),
        Ok((NEW.to_owned(), None))
    );
}

#[test]
fn what_could_not_be_opened_is_not_sealed() {
    let public = pair(ALGORITHM, "corp").public();
    let second = KeyPair::generate(ALGORITHM, forest("corp"))
        .unwrap()
        .public();
    let later = NOW + Duration::from_mins(5);
    let try_seal = |kind, contents: &Contents, keys: &[_]| {
        seal(&binding(kind), contents, NOW, later, keys).map(drop)
    };
    let of = |new: &str, current: Option<&str>| Contents {
        new_password: SecretString::from(new),
        current_password: current.map(SecretString::from),
    };
    let (good, long) = (contents(), "x".repeat(257));
    let cases = [
        (try_seal(Kind::Change, &good, &[]), SealError::NoKeys),
        (
            try_seal(Kind::Change, &good, &[&public, &second]),
            SealError::ForestTwice(forest("corp")),
        ),
        (
            try_seal(Kind::Unlock, &good, &[&public]),
            SealError::NothingToSeal,
        ),
        (
            try_seal(Kind::Reset, &of("", None), &[&public]),
            SealError::PasswordEmpty,
        ),
        (
            try_seal(Kind::Reset, &of(&long, None), &[&public]),
            SealError::PasswordTooLong,
        ),
        (
            try_seal(Kind::Change, &of("x", Some(&long)), &[&public]),
            SealError::PasswordTooLong,
        ),
        (
            try_seal(Kind::Change, &of("x", None), &[&public]),
            SealError::CurrentPasswordMissing,
        ),
        (
            try_seal(Kind::Change, &of("x", Some("")), &[&public]),
            SealError::CurrentPasswordMissing,
        ),
        (
            seal(&binding(Kind::Reset), &good, NOW, NOW, &[&public]).map(drop),
            SealError::ExpiresBeforeIssued,
        ),
    ];
    for (result, expected) in cases {
        assert_eq!(result, Err(expected));
    }
}
