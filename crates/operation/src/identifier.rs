//! Identifiers, each parsed where it enters and never a bare string afterwards.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not the identifier it should be. The message says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expected}")]
pub struct IdentifierError {
    expected: &'static str,
}

const fn expected(expected: &'static str) -> IdentifierError {
    IdentifierError { expected }
}

/// Serde through `Display` and `FromStr`, so that no identifier enters unparsed.
macro_rules! text_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// One operation's id: a UUID version 7, so that ids sort by time of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(Uuid);

impl OperationId {
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for OperationId {
    type Err = IdentifierError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| expected("an operation id is a UUID"))
    }
}

text_serde!(OperationId);

/// A forest's short id, such as `corp`: names its queue, keys and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ForestId(String);

impl ForestId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ForestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ForestId {
    type Err = IdentifierError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = (1..=32).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(expected(
                "a forest id is 1 to 32 of a-z, 0-9 and '-', and starts with a letter or digit",
            ))
        }
    }
}

text_serde!(ForestId);

/// A person's immutable id: Base64 of the 16 bytes of `mS-DS-ConsistencyGuid`, else `objectGUID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceAnchor([u8; 16]);

impl SourceAnchor {
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
    /// The anchor read as an `objectGUID`: most anchors are one.
    pub const fn as_object_guid(self) -> ObjectGuid {
        ObjectGuid(self.0)
    }
}

impl fmt::Display for SourceAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl FromStr for SourceAnchor {
    type Err = IdentifierError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
            .map(Self)
            .ok_or(expected("a source anchor is the Base64 of 16 bytes"))
    }
}

text_serde!(SourceAnchor);

/// An `objectGUID`, in the byte order the directory stores (MS-DTYP 2.3.4.2: the first three
/// fields little-endian). Displayed in the dashed form that `<GUID=…>` takes (MS-ADTS 3.1.1.3.1.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectGuid([u8; 16]);

impl ObjectGuid {
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ObjectGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes_le(self.0).hyphenated().fmt(f)
    }
}

impl FromStr for ObjectGuid {
    type Err = IdentifierError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text)
            .map(|uuid| Self(uuid.to_bytes_le()))
            .map_err(|_| expected("an object GUID is a UUID in the dashed form"))
    }
}

text_serde!(ObjectGuid);

/// A security identifier of an account, such as `S-1-5-21-…-1104` (MS-DTYP 2.4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecurityIdentifier {
    authority: u64,
    sub_authorities: Vec<u32>,
}

impl SecurityIdentifier {
    /// Reads the binary form of the `objectSid` attribute (MS-DTYP 2.4.2.2).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdentifierError> {
        const MALFORMED: IdentifierError = expected("a binary security identifier of revision 1");
        let (header, rest) = bytes.split_at_checked(8).ok_or(MALFORMED)?;
        let [1, count, authority @ ..] = header else {
            return Err(MALFORMED);
        };
        let (words, remainder) = rest.as_chunks::<4>();
        if words.len() != usize::from(*count) || !remainder.is_empty() || *count > 15 {
            return Err(MALFORMED);
        }
        Ok(Self {
            authority: authority
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            sub_authorities: words.iter().map(|word| u32::from_le_bytes(*word)).collect(),
        })
    }

    /// The binary form, as a search filter needs it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![
            1,
            u8::try_from(self.sub_authorities.len()).unwrap_or(u8::MAX),
        ];
        bytes.extend(self.authority.to_be_bytes().into_iter().skip(2));
        bytes.extend(
            self.sub_authorities
                .iter()
                .flat_map(|word| word.to_le_bytes()),
        );
        bytes
    }

    pub const fn authority(&self) -> u64 {
        self.authority
    }

    pub fn sub_authorities(&self) -> &[u32] {
        &self.sub_authorities
    }

    /// The relative identifier: the last part, which numbers the account in its domain.
    pub fn relative_identifier(&self) -> Option<u32> {
        self.sub_authorities.last().copied()
    }
}

impl fmt::Display for SecurityIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S-1-{}", self.authority)?;
        self.sub_authorities
            .iter()
            .try_for_each(|part| write!(f, "-{part}"))
    }
}

impl FromStr for SecurityIdentifier {
    type Err = IdentifierError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const MALFORMED: IdentifierError = expected(
            "a security identifier reads S-1-5-21-… with 1 to 15 numbers after the authority",
        );
        let mut parts = text.strip_prefix("S-1-").ok_or(MALFORMED)?.split('-');
        let number = |part: &str| {
            part.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| part.parse::<u64>().ok())
                .flatten()
        };
        let authority = parts
            .next()
            .and_then(number)
            .filter(|a| *a < 1 << 48)
            .ok_or(MALFORMED)?;
        let sub_authorities = parts
            .map(|part| {
                number(part)
                    .and_then(|n| u32::try_from(n).ok())
                    .ok_or(MALFORMED)
            })
            .collect::<Result<Vec<_>, _>>()?;
        if (1..=15).contains(&sub_authorities.len()) {
            Ok(Self {
                authority,
                sub_authorities,
            })
        } else {
            Err(MALFORMED)
        }
    }
}

text_serde!(SecurityIdentifier);

/// A user principal name. Compared without regard to case; kept as sent.
#[derive(Debug, Clone)]
pub struct UserPrincipalName(String);

impl UserPrincipalName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The form to compare and to index by.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl PartialEq for UserPrincipalName {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}
impl Eq for UserPrincipalName {}

impl fmt::Display for UserPrincipalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UserPrincipalName {
    type Err = IdentifierError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // MS-ADA3 2.349: rangeUpper of userPrincipalName is 1024.
        let well_formed = text.chars().count() <= 1024
            && !text.chars().any(char::is_control)
            && text
                .split_once('@')
                .is_some_and(|(name, suffix)| !name.is_empty() && !suffix.is_empty());
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(expected(
                "a user principal name reads name@suffix, at most 1024 characters, none of them a control character",
            ))
        }
    }
}

text_serde!(UserPrincipalName);

/// A domain's DNS name, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

impl DomainName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// `DC=corp,DC=example,DC=com`
    pub fn distinguished_name(&self) -> String {
        self.0
            .split('.')
            .map(|label| format!("DC={label}"))
            .collect::<Vec<_>>()
            .join(",")
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DomainName {
    type Err = IdentifierError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.to_ascii_lowercase();
        let label_is_well_formed = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if text.len() <= 255 && text.split('.').all(label_is_well_formed) {
            Ok(Self(text))
        } else {
            Err(expected("a domain is a DNS name such as corp.example.com"))
        }
    }
}

text_serde!(DomainName);

#[cfg(test)]
mod tests;
