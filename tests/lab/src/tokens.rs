//! The lab's authorization server, reduced to what callers see: access tokens (RFC 9068) and their key set.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::place::Place;
use crate::secret::{write_for_the_caller, write_private};

pub(crate) const ISSUER: &str = "https://login.lab.example";
pub(crate) const AUDIENCE: &str = "https://writeback.lab.example";
/// What operators' tokens are for: another audience, so that no caller's token is an operator's.
pub(crate) const OPERATORS_AUDIENCE: &str = "https://audit.writeback.lab.example";
pub(crate) const OPERATOR: &str = "operator@lab.example";
pub(crate) const CLIENT: &str = "lab";
const OPERATORS_SCOPES: &str = "ledger.read settings.write keys.write";
const SCOPES: [&str; 4] = [
    "password.reset",
    "password.change",
    "account.unlock",
    "operations.read",
];
const LIFETIME: Duration = Duration::days(30);

pub(crate) struct Tokens {
    pub(crate) all: String,
    pub(crate) by_scope: BTreeMap<String, String>,
}

/// The token of the lab's operator.
pub(crate) fn operator_file(place: &Place) -> PathBuf {
    place.path("operator.token")
}

pub(crate) fn key_set_file(place: &Place) -> PathBuf {
    place.path("issuer/jwks.json")
}

pub(crate) fn make(place: &Place) -> anyhow::Result<Tokens> {
    let pair = KeyPair::generate_for(&PKCS_ED25519)?;
    write_private(
        &place.path("issuer/key.pem"),
        pair.serialize_pem().as_bytes(),
    )?;
    let key_set = json!({ "keys": [{
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "lab",
        "x": URL_SAFE_NO_PAD.encode(pair.public_key_raw()),
    }] });
    write_private(
        &key_set_file(place),
        serde_json::to_string_pretty(&key_set)?.as_bytes(),
    )?;

    let key = EncodingKey::from_ed_der(pair.serialized_der());
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some("lab".to_owned());
    let issued = OffsetDateTime::now_utc();
    let token_for = |audience: &str, subject: &str, scope: &str| {
        let claims = json!({
            "iss": ISSUER, "aud": audience, "sub": subject, "client_id": CLIENT, "scope": scope,
            "jti": uuid::Uuid::now_v7(),
            "iat": issued.unix_timestamp(), "exp": (issued + LIFETIME).unix_timestamp(),
        });
        jsonwebtoken::encode(&header, &claims, &key)
    };
    let operator = token_for(OPERATORS_AUDIENCE, OPERATOR, OPERATORS_SCOPES)?;
    write_for_the_caller(&operator_file(place), operator.as_bytes())?;
    let token = |scope: &str| token_for(AUDIENCE, CLIENT, scope);
    let mut by_scope = BTreeMap::new();
    for scope in SCOPES {
        by_scope.insert(scope.to_owned(), token(scope)?);
    }
    Ok(Tokens {
        all: token(&SCOPES.join(" "))?,
        by_scope,
    })
}
