//! The wire form of a JWE (RFC 7516): compact, General and Flattened JSON.
//!
//! A value is judged once, here: what parses has a supported algorithm and well-formed parts, so
//! that opening it can only fail for what its keys and its content say.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use crate::{
    Algorithm, ParseError,
    agreement::Point,
    content::{InitialisationVector, Tag},
    key::{coordinates, point_from_jwk},
};

/// More forests than anyone has; bounds the work one message can ask for.
pub(crate) const MAXIMUM_RECIPIENTS: usize = 64;

type Header = Map<String, Value>;

/// The content key as one recipient finds it.
#[derive(Clone)]
pub(crate) enum EncryptedKey {
    RsaOaep256 {
        encrypted: Vec<u8>,
    },
    EcdhEsA256Kw {
        ephemeral: Point,
        party_u: Vec<u8>,
        party_v: Vec<u8>,
        encrypted: Vec<u8>,
    },
}

#[derive(Clone)]
pub(crate) struct Recipient {
    pub(crate) kid: String,
    pub(crate) key: EncryptedKey,
}

impl Recipient {
    /// The header parameters of a recipient made here (no party info is ever sent).
    pub(crate) fn header(&self) -> Header {
        let mut header = Header::new();
        header.insert("kid".to_owned(), json!(self.kid));
        let algorithm = match &self.key {
            EncryptedKey::RsaOaep256 { .. } => Algorithm::RsaOaep256,
            EncryptedKey::EcdhEsA256Kw { ephemeral, .. } => {
                let (x, y) = coordinates(ephemeral);
                let epk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
                header.insert("epk".to_owned(), epk);
                Algorithm::EcdhEsA256Kw
            }
        };
        header.insert("alg".to_owned(), json!(algorithm.as_str()));
        header
    }

    pub(crate) fn encrypted(&self) -> &[u8] {
        match &self.key {
            EncryptedKey::RsaOaep256 { encrypted }
            | EncryptedKey::EcdhEsA256Kw { encrypted, .. } => encrypted,
        }
    }

    fn read(header: &Header, encrypted: Vec<u8>) -> Result<Self, ParseError> {
        for name in ["crit", "zip"] {
            if header.contains_key(name) {
                return Err(ParseError::UnsupportedHeader(name));
            }
        }
        if member(header, "enc")? != "A256GCM" {
            return Err(ParseError::UnsupportedEncryption);
        }
        let algorithm = Algorithm::named(member(header, "alg")?);
        let kid = member(header, "kid")?.to_owned();
        let party = |name| match header.get(name) {
            None => Ok(Vec::new()),
            Some(_) => decode(member(header, name)?, name),
        };
        let key = match algorithm.ok_or(ParseError::UnsupportedAlgorithm)? {
            Algorithm::RsaOaep256 => EncryptedKey::RsaOaep256 { encrypted },
            Algorithm::EcdhEsA256Kw => EncryptedKey::EcdhEsA256Kw {
                ephemeral: header
                    .get("epk")
                    .ok_or(ParseError::Missing("epk"))
                    .and_then(|epk| point_from_jwk(epk).ok_or(ParseError::Malformed("epk")))?,
                party_u: party("apu")?,
                party_v: party("apv")?,
                encrypted,
            },
        };
        Ok(Self { kid, key })
    }
}

/// A parsed JWE. Its text holds only members a JWE has: whatever else came with it is not passed on.
#[derive(Clone)]
pub struct SealedPassword {
    /// What is written to the wire.
    wire: Value,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) additional_data: Vec<u8>,
    pub(crate) iv: InitialisationVector,
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) tag: Tag,
}

impl fmt::Debug for SealedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedPassword")
            .field("key_ids", &self.key_ids())
            .finish_non_exhaustive()
    }
}

impl SealedPassword {
    /// Reads `sealedPassword` as an event carries it: a string or an object.
    pub fn parse(value: &Value) -> Result<Self, ParseError> {
        match value {
            Value::String(text) => Self::parse_compact(text),
            Value::Object(object) => Self::parse_json(object),
            _ => Err(ParseError::NotAJwe),
        }
    }

    /// The `kid` of every recipient.
    pub fn key_ids(&self) -> Vec<&str> {
        self.recipients
            .iter()
            .map(|recipient| recipient.kid.as_str())
            .collect()
    }

    /// The JSON text that [`Self::from_json_text`] reads.
    pub fn to_json_text(&self) -> String {
        self.wire.to_string()
    }

    pub fn from_json_text(text: &str) -> Result<Self, ParseError> {
        let value = serde_json::from_str(text).map_err(|_| ParseError::NotAJwe)?;
        Self::parse(&value)
    }

    fn parse_compact(text: &str) -> Result<Self, ParseError> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(ParseError::NotFiveParts);
        let [protected, key, iv, ciphertext, tag] = [next()?, next()?, next()?, next()?, next()?];
        if parts.next().is_some() {
            return Err(ParseError::NotFiveParts);
        }
        let encrypted = decode(key, "encrypted_key")?;
        Ok(Self {
            wire: json!(text),
            recipients: vec![Recipient::read(&protected_header(protected)?, encrypted)?],
            additional_data: protected.as_bytes().to_vec(),
            iv: fixed(iv, "iv")?,
            ciphertext: decode(ciphertext, "ciphertext")?,
            tag: fixed(tag, "tag")?,
        })
    }

    fn parse_json(object: &Header) -> Result<Self, ParseError> {
        let protected = optional(object, "protected")?;
        let aad = optional(object, "aad")?;
        if let Some(aad) = aad {
            decode(aad, "aad")?;
        }
        let mut shared = protected
            .map(protected_header)
            .transpose()?
            .unwrap_or_default();
        merge(&mut shared, header_member(object, "unprotected")?)?;
        let listed = listed_recipients(object)?;
        let mut recipients: Vec<Recipient> = Vec::with_capacity(listed.len());
        let mut wire_recipients = Vec::with_capacity(listed.len());
        for listed in listed {
            let own = header_member(listed, "header")?;
            let encrypted = member(listed, "encrypted_key")?;
            let mut header = shared.clone();
            merge(&mut header, own)?;
            let recipient = Recipient::read(&header, decode(encrypted, "encrypted_key")?)?;
            if recipients.iter().any(|known| known.kid == recipient.kid) {
                return Err(ParseError::RecipientTwice);
            }
            recipients.push(recipient);
            wire_recipients.push(keep(listed, &["header", "encrypted_key"]));
        }
        let additional_data = match (protected.unwrap_or_default(), aad) {
            (protected, Some(aad)) => format!("{protected}.{aad}"),
            (protected, None) => protected.to_owned(),
        };
        let names = ["protected", "unprotected", "aad", "iv", "ciphertext", "tag"];
        let mut wire = keep(object, &names);
        wire.insert("recipients".to_owned(), json!(wire_recipients));
        Ok(Self {
            wire: Value::Object(wire),
            recipients,
            additional_data: additional_data.into_bytes(),
            iv: fixed(member(object, "iv")?, "iv")?,
            ciphertext: decode(member(object, "ciphertext")?, "ciphertext")?,
            tag: fixed(member(object, "tag")?, "tag")?,
        })
    }
}

/// The recipients of a General JWE; a Flattened one is its own only recipient (RFC 7516 7.2.2).
fn listed_recipients(object: &Header) -> Result<Vec<&Header>, ParseError> {
    const MALFORMED: ParseError = ParseError::Malformed("recipients");
    let Some(recipients) = object.get("recipients") else {
        return Ok(vec![object]);
    };
    if object.contains_key("encrypted_key") || object.contains_key("header") {
        return Err(MALFORMED);
    }
    let recipients = recipients.as_array().ok_or(MALFORMED)?;
    if recipients.is_empty() {
        return Err(ParseError::Missing("recipients"));
    }
    if recipients.len() > MAXIMUM_RECIPIENTS {
        return Err(ParseError::TooManyRecipients(MAXIMUM_RECIPIENTS));
    }
    recipients
        .iter()
        .map(|recipient| recipient.as_object().ok_or(MALFORMED))
        .collect()
}

fn keep(object: &Header, names: &[&str]) -> Header {
    object
        .iter()
        .filter(|(name, _)| names.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// RFC 7516 7.2.1: the names in the three places of a header must be disjoint.
fn merge(header: &mut Header, more: Option<&Header>) -> Result<(), ParseError> {
    for (name, value) in more.into_iter().flatten() {
        if header.insert(name.clone(), value.clone()).is_some() {
            return Err(ParseError::HeadersOverlap);
        }
    }
    Ok(())
}

fn protected_header(base64: &str) -> Result<Header, ParseError> {
    let json = decode(base64, "protected")?;
    serde_json::from_slice(&json).map_err(|_| ParseError::Malformed("protected"))
}

fn header_member<'a>(
    object: &'a Header,
    name: &'static str,
) -> Result<Option<&'a Header>, ParseError> {
    object
        .get(name)
        .map(|value| value.as_object().ok_or(ParseError::Malformed(name)))
        .transpose()
}

fn optional<'a>(object: &'a Header, name: &'static str) -> Result<Option<&'a str>, ParseError> {
    object
        .get(name)
        .map(|value| value.as_str().ok_or(ParseError::Malformed(name)))
        .transpose()
}

fn member<'a>(object: &'a Header, name: &'static str) -> Result<&'a str, ParseError> {
    optional(object, name)?.ok_or(ParseError::Missing(name))
}

fn decode(base64: &str, name: &'static str) -> Result<Vec<u8>, ParseError> {
    URL_SAFE_NO_PAD
        .decode(base64)
        .map_err(|_| ParseError::Malformed(name))
}

fn fixed<const N: usize>(base64: &str, name: &'static str) -> Result<[u8; N], ParseError> {
    <[u8; N]>::try_from(decode(base64, name)?).map_err(|_| ParseError::Malformed(name))
}
