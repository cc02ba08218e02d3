use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

use super::*;

/// An issuer with one key.
struct Issuer {
    private: EncodingKey,
    public: Value,
}

impl Issuer {
    fn new(kid: &str) -> Self {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        Self {
            private: EncodingKey::from_ec_der(pkcs8.as_ref()),
            public: json!({
                "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
                "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
            }),
        }
    }

    fn keys(&self) -> JwkSet {
        serde_json::from_value(json!({ "keys": [self.public] })).unwrap()
    }

    fn token(&self, key_id: Option<&str>, kind: Option<&str>, claims: &Value) -> String {
        let header = Header {
            typ: kind.map(str::to_owned),
            kid: key_id.map(str::to_owned),
            ..Header::new(Algorithm::ES256)
        };
        encode(&header, claims, &self.private).unwrap()
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://issuer.example", "aud": "writeback", "sub": "portal", "client_id": "lab",
        "exp": get_current_timestamp() + 300, "scope": "password.reset operations.read",
    })
}

fn verdict(issuer: &Issuer, token: &str) -> Result<Caller, &'static str> {
    verify(token, &issuer.keys(), "https://issuer.example", "writeback").map_err(|verdict| {
        match verdict {
            Verdict::UnknownKey => "unknown key",
            Verdict::Refused(why) => why,
        }
    })
}

#[test]
fn a_good_token_tells_who_and_what() {
    let issuer = Issuer::new("k1");
    for kind in ["at+jwt", "application/at+JWT"] {
        let caller = verdict(&issuer, &issuer.token(Some("k1"), Some(kind), &claims())).unwrap();
        assert_eq!(caller.client, "lab");
        assert_eq!(caller.subject, "portal");
        assert!(caller.require("password.reset").is_ok());
        assert_eq!(
            caller.require("account.unlock"),
            Err(AccessError::InsufficientScope("account.unlock"))
        );
    }
    assert!(verdict(&issuer, &issuer.token(None, Some("at+jwt"), &claims())).is_ok());
}

#[test]
fn every_other_token_is_turned_away() {
    let issuer = Issuer::new("k1");
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        verdict(&issuer, &issuer.token(Some("k1"), Some("at+jwt"), &claims)).unwrap_err()
    };
    assert_eq!(with("exp", json!(1_000_000)), "it has expired");
    assert_eq!(
        with("nbf", json!(get_current_timestamp() + 900)),
        "it is not valid yet"
    );
    assert_eq!(
        with("iss", json!("https://else.example")),
        "it is from another issuer"
    );
    assert_eq!(with("aud", json!(["else"])), "it is for another audience");
    let kind = |kind| verdict(&issuer, &issuer.token(Some("k1"), kind, &claims())).unwrap_err();
    assert_eq!(kind(Some("JWT")), "its typ is not at+jwt");
    assert_eq!(kind(None), "its typ is not at+jwt");
    let stranger = Issuer::new("k1").token(Some("k1"), Some("at+jwt"), &claims());
    assert_eq!(
        verdict(&issuer, &stranger).unwrap_err(),
        "its signature is wrong"
    );
    let rotated = issuer.token(Some("k2"), Some("at+jwt"), &claims());
    assert_eq!(verdict(&issuer, &rotated).unwrap_err(), "unknown key");
    let header = Header {
        typ: Some("at+jwt".to_owned()),
        kid: Some("k1".to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    let shared = encode(&header, &claims(), &EncodingKey::from_secret(b"x")).unwrap();
    assert_eq!(
        verdict(&issuer, &shared).unwrap_err(),
        "its algorithm is not accepted"
    );
    for text in ["", "a.b", "a.b.c", "e30.e30."] {
        assert_eq!(verdict(&issuer, text).unwrap_err(), "it is not a JWT");
    }
}

#[test]
fn only_a_bearer_token_is_looked_at() {
    let headers = |value: &str| HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
    assert_eq!(bearer(&headers("bearer abc")), Ok("abc"));
    assert_eq!(bearer(&HeaderMap::new()), Err(AccessError::Missing));
    assert_eq!(bearer(&headers("Basic abc")), Err(AccessError::Missing));
    let long = format!("Bearer {}", "x".repeat(LONGEST_TOKEN + 1));
    assert_eq!(
        bearer(&headers(&long)),
        Err(AccessError::Invalid("it is too long"))
    );
}
