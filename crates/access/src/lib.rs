//! Who is calling and what they may do: bearer access tokens (RFC 6750) that are JWTs (RFC 9068).
//!
//! One room for every door that people and programs outside come to with a token. It knows the
//! issuer's keys and what a token says; it must not know the doors, nor what a scope opens.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use http::{HeaderMap, header::AUTHORIZATION};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    errors::ErrorKind,
    jwk::{JwkSet, PublicKeyUse},
};
use serde::Deserialize;
use tokio::sync::Mutex;

/// A token whose key is not known makes us read the key set again, but no more often than this:
/// or anybody could make us flood the issuer.
const REFRESH_AT_MOST_EVERY: Duration = Duration::from_secs(5);
const FETCH_TIME_OUT: Duration = Duration::from_secs(5);
/// A key set is a few kilobytes.
const LARGEST_KEY_SET: usize = 1 << 20;
const LONGEST_TOKEN: usize = 16 * 1024;

/// Signature algorithms of RFC 7518 and RFC 8037 with a public key. Never `none`, never a shared secret.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Where the issuer's keys are.
#[derive(Debug, Clone)]
pub enum KeySource {
    File(PathBuf),
    Url(String),
}

/// Why nobody can be let in yet.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    #[error("the token issuer's key set {place} cannot be read: {cause}")]
    Unreadable { place: String, cause: String },
    #[error("the token issuer's key set {place} is not a JWK set: {cause}")]
    Malformed { place: String, cause: String },
    #[error("the token issuer's key set: give either jwks_file or jwks_url")]
    NoPlace,
}

/// Why a caller is turned away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    #[error("send an access token: Authorization: Bearer …")]
    Missing,
    #[error("the access token is not accepted: {0}")]
    Invalid(&'static str),
    #[error("the access token lacks the scope {0}")]
    InsufficientScope(&'static str),
}

/// A caller whose token was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The client's id, where the token names one; else its subject.
    pub client: String,
    /// On whose behalf (`sub`): the person, where a person has signed in.
    pub subject: String,
    scopes: Vec<String>,
}

impl Caller {
    pub fn require(&self, scope: &'static str) -> Result<(), AccessError> {
        if self.scopes.iter().any(|given| given == scope) {
            Ok(())
        } else {
            Err(AccessError::InsufficientScope(scope))
        }
    }
}

/// RFC 9068 2.2: what an access token says.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    client_id: Option<String>,
    #[serde(default)]
    scope: String,
}

/// Checks tokens against one issuer.
pub struct Gatekeeper {
    issuer: String,
    audience: String,
    source: KeySource,
    client: reqwest::Client,
    keys: ArcSwap<JwkSet>,
    refreshed: Mutex<Instant>,
}

impl Gatekeeper {
    /// Reads the key set, so that a wrong address is news at the start and not at the first caller.
    pub async fn new(
        issuer: String,
        audience: String,
        source: KeySource,
    ) -> Result<Self, KeySetError> {
        let client = reqwest::Client::builder()
            .timeout(FETCH_TIME_OUT)
            .build()
            .map_err(|error| KeySetError::Unreadable {
                place: source.place(),
                cause: error.to_string(),
            })?;
        let keys = source.read(&client).await?;
        Ok(Self {
            issuer,
            audience,
            source,
            client,
            keys: ArcSwap::from_pointee(keys),
            refreshed: Mutex::new(Instant::now()),
        })
    }

    /// The caller of a request.
    pub async fn admit(&self, headers: &HeaderMap) -> Result<Caller, AccessError> {
        let token = bearer(headers)?;
        match verify(token, &self.keys.load(), &self.issuer, &self.audience) {
            Err(Verdict::UnknownKey) => {
                self.refresh().await;
                verify(token, &self.keys.load(), &self.issuer, &self.audience)
            }
            verdict => verdict,
        }
        .map_err(|verdict| match verdict {
            Verdict::UnknownKey => {
                AccessError::Invalid("it is signed with a key that is not in the issuer's key set")
            }
            Verdict::Refused(why) => AccessError::Invalid(why),
        })
    }

    /// One caller at a time reads the key set again; those that waited find it fresh.
    async fn refresh(&self) {
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.elapsed() < REFRESH_AT_MOST_EVERY {
            return;
        }
        // Counted from the attempt: an issuer that is down is not asked more often either.
        *refreshed = Instant::now();
        match self.source.read(&self.client).await {
            Ok(keys) => self.keys.store(Arc::new(keys)),
            Err(error) => tracing::warn!(%error, "the token keys stay as they were"),
        }
    }
}

impl KeySource {
    /// As a configuration gives it.
    ///
    /// # Errors
    /// Unless exactly one of the two is given.
    pub fn new(file: Option<PathBuf>, url: Option<String>) -> Result<Self, KeySetError> {
        match (file, url) {
            (Some(path), None) => Ok(Self::File(path)),
            (None, Some(url)) => Ok(Self::Url(url)),
            _ => Err(KeySetError::NoPlace),
        }
    }

    fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Url(url) => url.clone(),
        }
    }

    async fn read(&self, client: &reqwest::Client) -> Result<JwkSet, KeySetError> {
        let unreadable = |cause: String| KeySetError::Unreadable {
            place: self.place(),
            cause,
        };
        let bytes = match self {
            Self::File(path) => tokio::fs::read(path)
                .await
                .map_err(|error| unreadable(error.to_string()))?,
            Self::Url(url) => {
                let response = client
                    .get(url)
                    .send()
                    .await
                    .and_then(reqwest::Response::error_for_status);
                let mut response = response.map_err(|error| unreadable(error.to_string()))?;
                let mut bytes = Vec::new();
                while let Some(chunk) = response
                    .chunk()
                    .await
                    .map_err(|error| unreadable(error.to_string()))?
                {
                    if bytes.len() + chunk.len() > LARGEST_KEY_SET {
                        return Err(unreadable("larger than 1 MiB".to_owned()));
                    }
                    bytes.extend_from_slice(&chunk);
                }
                bytes
            }
        };
        serde_json::from_slice(&bytes).map_err(|error| KeySetError::Malformed {
            place: self.place(),
            cause: error.to_string(),
        })
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, AccessError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(AccessError::Missing)?;
    if values.next().is_some() {
        return Err(AccessError::Invalid(
            "the Authorization header is given twice",
        ));
    }
    let text = value
        .to_str()
        .map_err(|_| AccessError::Invalid("it is not printable ASCII"))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            if token.len() > LONGEST_TOKEN {
                return Err(AccessError::Invalid("it is too long"));
            }
            Ok(token.trim())
        }
        _ => Err(AccessError::Missing),
    }
}

enum Verdict {
    UnknownKey,
    Refused(&'static str),
}

fn verify(token: &str, keys: &JwkSet, issuer: &str, audience: &str) -> Result<Caller, Verdict> {
    let header = decode_header(token).map_err(|_| Verdict::Refused("it is not a JWT"))?;
    // RFC 9068 4: anything but an access token, an ID token for one, is refused by its type.
    let kind = header.typ.as_deref().unwrap_or_default();
    if !kind.eq_ignore_ascii_case("at+jwt") && !kind.eq_ignore_ascii_case("application/at+jwt") {
        return Err(Verdict::Refused("its typ is not at+jwt"));
    }
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Verdict::Refused("its algorithm is not accepted"));
    }
    if header.crit.is_some() {
        return Err(Verdict::Refused("it has critical extensions"));
    }
    let usable = |key: &&jsonwebtoken::jwk::Jwk| {
        let for_signatures = !matches!(
            key.common.public_key_use,
            Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_))
        );
        let this_algorithm = key
            .common
            .key_algorithm
            .is_none_or(|algorithm| algorithm.to_string() == format!("{:?}", header.alg));
        for_signatures && this_algorithm
    };
    let key = match header.kid.as_deref() {
        Some(key_id) => keys
            .keys
            .iter()
            .filter(usable)
            .find(|key| key.common.key_id.as_deref() == Some(key_id)),
        // Without a key id only a key set of one leaves no doubt.
        None => match keys.keys.as_slice() {
            [only] => Some(only).filter(usable),
            _ => return Err(Verdict::Refused("it names no key (kid)")),
        },
    }
    .ok_or(Verdict::UnknownKey)?;
    let key = DecodingKey::from_jwk(key)
        .map_err(|_| Verdict::Refused("its key is of a kind that is not supported"))?;
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    let claims = decode::<Claims>(token, &key, &validation)
        .map_err(|error| Verdict::Refused(explain(error.kind())))?
        .claims;
    Ok(Caller {
        client: claims.client_id.unwrap_or_else(|| claims.sub.clone()),
        subject: claims.sub,
        scopes: claims
            .scope
            .split(' ')
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

fn explain(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidIssuer => "it is from another issuer",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::MissingRequiredClaim(_) => "one of exp, iss, aud and sub is missing",
        _ => "it is malformed",
    }
}

#[cfg(test)]
mod tests;
