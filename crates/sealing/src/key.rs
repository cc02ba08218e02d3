//! One key: its algorithm, its JWK, its RFC 7638 name, and what it does to a content key.

mod pair;

use std::fmt;

use aws_lc_rs::{
    agreement, digest,
    error::Unspecified,
    rsa::{
        OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use operation::ForestId;
use serde_json::{Value, json};

pub use pair::KeyPair;
pub(crate) use pair::Private;

use crate::{
    agreement::{Point, wrap},
    content::ContentKey,
    jwe::{EncryptedKey, Recipient},
};

/// How the content key reaches a recipient (`alg`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    RsaOaep256,
    EcdhEsA256Kw,
}

impl Algorithm {
    pub const ALL: [Self; 2] = [Self::RsaOaep256, Self::EcdhEsA256Kw];

    /// The name registered by RFC 7518 4.1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, PartialEq, Eq)]
enum Public {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ec(Point),
}

impl Public {
    /// RFC 7638 3: the required members alone, in lexicographic order, without white space.
    fn thumbprint(&self) -> String {
        // Every value is Base64url, which JSON never escapes.
        let canonical = match self {
            Self::Rsa { n, e } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(e), text(n))
            }
            Self::Ec(point) => {
                let (x, y) = coordinates(point);
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
        };
        text(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
    }
}

/// The public half of a forest's key: what a password is sealed to.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kid: String,
    forest: ForestId,
    public: Public,
    times: Times,
}

/// What its keepers know of a key's life, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    pub made: Option<i64>,
    /// Set once a newer key is there: until then what is sealed to this one is still opened.
    pub retires: Option<i64>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("kid", &self.kid)
            .field("forest", &self.forest)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The x and y of an uncompressed point.
pub(crate) fn coordinates(point: &Point) -> (String, String) {
    let (_, rest) = point.split_at(1);
    let (x, y) = rest.split_at(32);
    (text(x), text(y))
}

/// The point that `crv`, `x` and `y` of an EC JWK name; whether it is on the curve is checked by
/// the provider, when it is used.
pub(crate) fn point_from_jwk(jwk: &Value) -> Option<Point> {
    let member = |name| jwk.get(name).and_then(Value::as_str);
    if member("kty") != Some("EC") || member("crv") != Some("P-256") {
        return None;
    }
    let mut point = vec![4];
    for name in ["x", "y"] {
        let coordinate = URL_SAFE_NO_PAD.decode(member(name)?).ok()?;
        point.extend(<[u8; 32]>::try_from(coordinate).ok()?);
    }
    Point::try_from(point).ok()
}

impl PublicKey {
    fn new(public: Public, forest: ForestId) -> Self {
        Self {
            kid: public.thumbprint(),
            forest,
            public,
            times: Times::default(),
        }
    }

    /// The RFC 7638 thumbprint (SHA-256).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub const fn forest(&self) -> &ForestId {
        &self.forest
    }

    pub const fn times(&self) -> Times {
        self.times
    }

    #[must_use]
    pub const fn with_times(mut self, times: Times) -> Self {
        self.times = times;
        self
    }

    pub const fn algorithm(&self) -> Algorithm {
        match self.public {
            Public::Rsa { .. } => Algorithm::RsaOaep256,
            Public::Ec(_) => Algorithm::EcdhEsA256Kw,
        }
    }

    /// The key as a member of a JSON Web Key Set.
    pub fn to_jwk(&self) -> Value {
        let (kid, alg, forest) = (&self.kid, self.algorithm().as_str(), &self.forest);
        match &self.public {
            Public::Rsa { n, e } => json!({
                "kty": "RSA", "use": "enc", "alg": alg, "kid": kid, "forest": forest,
                "n": text(n), "e": text(e),
            }),
            Public::Ec(point) => {
                let (x, y) = coordinates(point);
                json!({
                    "kty": "EC", "use": "enc", "alg": alg, "kid": kid, "forest": forest,
                    "crv": "P-256", "x": x, "y": y,
                })
            }
        }
    }

    /// The key as its keepers' file has it: with its times, which are nobody else's business.
    pub(crate) fn to_file(&self) -> Value {
        let mut jwk = self.to_jwk();
        if let Some(members) = jwk.as_object_mut() {
            for (name, time) in [("iat", self.times.made), ("exp", self.times.retires)] {
                if let Some(time) = time {
                    members.insert(name.to_owned(), time.into());
                }
            }
        }
        jwk
    }

    pub(crate) fn from_jwk(jwk: &Value) -> Result<Self, &'static str> {
        let member = |name| jwk.get(name).and_then(Value::as_str);
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
            .iter()
            .any(|private| jwk.get(private).is_some())
        {
            return Err("holds private material; a key set is public");
        }
        if jwk.get("use").is_some() && member("use") != Some("enc") {
            return Err("`use` must be enc");
        }
        let forest = member("forest")
            .ok_or("`forest` is missing")?
            .parse()
            .map_err(|_| "`forest` is not a forest id")?;
        let public = match member("kty") {
            Some("RSA") => {
                let bytes = |name| member(name).and_then(|b64| URL_SAFE_NO_PAD.decode(b64).ok());
                let n = bytes("n").ok_or("`n` is missing or malformed")?;
                let e = bytes("e").ok_or("`e` is missing or malformed")?;
                rsa(&n, &e).map_err(|_| "not an RSA key of 2048 to 8192 bits")?;
                Public::Rsa { n, e }
            }
            Some("EC") => {
                let point = point_from_jwk(jwk).ok_or("not a key on P-256")?;
                agreement::ParsedPublicKey::try_from(agreement::UnparsedPublicKey::new(
                    &agreement::ECDH_P256,
                    point.as_slice(),
                ))
                .map_err(|_| "the point is not on P-256")?;
                Public::Ec(point)
            }
            _ => return Err("`kty` must be RSA or EC"),
        };
        let time = |name| match jwk.get(name) {
            None => Ok(None),
            Some(time) => time.as_i64().map(Some).ok_or(()),
        };
        let times = Times {
            made: time("iat").map_err(|()| "`iat` is not a number of seconds")?,
            retires: time("exp").map_err(|()| "`exp` is not a number of seconds")?,
        };
        let key = Self::new(public, forest).with_times(times);
        if jwk.get("alg").is_some() && member("alg") != Some(key.algorithm().as_str()) {
            return Err("`alg` must be RSA-OAEP-256 for RSA and ECDH-ES+A256KW for EC");
        }
        // A writer names its keys by thumbprint: any other name would never be opened.
        if jwk.get("kid").is_some() && member("kid") != Some(key.kid()) {
            return Err("`kid` is not the key's RFC 7638 thumbprint");
        }
        Ok(key)
    }

    /// Encrypts the content key to this key.
    pub(crate) fn encrypt_key(&self, content_key: &ContentKey) -> Result<Recipient, Unspecified> {
        let encrypted = match &self.public {
            Public::Rsa { n, e } => {
                let key = OaepPublicEncryptingKey::new(rsa(n, e)?)?;
                let mut encrypted = vec![0; key.ciphertext_size()];
                let length = key
                    .encrypt(
                        &OAEP_SHA256_MGF1SHA256,
                        content_key.as_slice(),
                        &mut encrypted,
                        None,
                    )?
                    .len();
                encrypted.truncate(length);
                EncryptedKey::RsaOaep256 { encrypted }
            }
            Public::Ec(point) => {
                let (ephemeral, encrypted) = wrap(point, content_key)?;
                EncryptedKey::EcdhEsA256Kw {
                    ephemeral,
                    party_u: Vec::new(),
                    party_v: Vec::new(),
                    encrypted,
                }
            }
        };
        Ok(Recipient {
            kid: self.kid.clone(),
            key: encrypted,
        })
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Result<PublicEncryptingKey, Unspecified> {
    PublicKeyComponents { n, e }
        .try_into()
        .map_err(|_| Unspecified)
}
