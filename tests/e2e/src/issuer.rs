//! The lab's authorization server, for tokens it would not give to everybody.

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

pub struct Issuer {
    key: EncodingKey,
    public: String,
    claims: Value,
}

impl Issuer {
    /// Signs as the lab's issuer does; `token` is one of its own, whose claims are taken over.
    pub fn of_the_lab(token: &str) -> anyhow::Result<Self> {
        let directory = lab::Place::of_this_repository()?.directory().join("issuer");
        let pem = std::fs::read(directory.join("key.pem"))?;
        let set: Value = serde_json::from_slice(&std::fs::read(directory.join("jwks.json"))?)?;
        let payload = token.split('.').nth(1).context("not a JWT")?;
        Ok(Self {
            key: EncodingKey::from_ed_pem(&pem)?,
            public: set
                .pointer("/keys/0/x")
                .and_then(Value::as_str)
                .context("the key set has no key")?
                .to_owned(),
            claims: serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?,
        })
    }

    fn claims_with(&self, changes: &Value) -> Value {
        let mut claims = self.claims.clone();
        if let (Some(claims), Some(changes)) = (claims.as_object_mut(), changes.as_object()) {
            for (name, value) in changes {
                if value.is_null() {
                    claims.remove(name);
                } else {
                    claims.insert(name.clone(), value.clone());
                }
            }
        }
        claims
    }

    fn header(kind: &str) -> Header {
        Header {
            typ: Some(kind.to_owned()),
            kid: Some("lab".to_owned()),
            ..Header::new(Algorithm::EdDSA)
        }
    }

    /// A token with these claims changed, or removed where they are null.
    pub fn token(&self, changes: &Value) -> anyhow::Result<String> {
        self.token_of_type("at+jwt", changes)
    }

    pub fn token_of_type(&self, kind: &str, changes: &Value) -> anyhow::Result<String> {
        let claims = self.claims_with(changes);
        Ok(jsonwebtoken::encode(
            &Self::header(kind),
            &claims,
            &self.key,
        )?)
    }

    /// A token that expired this long ago.
    pub fn expired(&self, ago: Duration) -> anyhow::Result<String> {
        let at = (OffsetDateTime::now_utc() - ago).unix_timestamp();
        self.token(&json!({ "exp": at }))
    }

    /// `alg: none` (RFC 7515 A.5): claims that nobody signed.
    pub fn unsigned(&self) -> String {
        let header = json!({ "alg": "none", "typ": "at+jwt", "kid": "lab" });
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", text(&header), text(&self.claims))
    }

    /// Signed with the public key as if it were a shared secret (RFC 8725 2.1).
    pub fn signed_with_the_public_key(&self) -> anyhow::Result<String> {
        let header = Header {
            alg: Algorithm::HS256,
            ..Self::header("at+jwt")
        };
        let secret = EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(&self.public)?);
        Ok(jsonwebtoken::encode(&header, &self.claims, &secret)?)
    }

    /// As this issuer would sign, by somebody else's key.
    pub fn forged(&self) -> anyhow::Result<String> {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
        let key = EncodingKey::from_ed_der(pair.serialized_der());
        Ok(jsonwebtoken::encode(
            &Self::header("at+jwt"),
            &self.claims,
            &key,
        )?)
    }
}
