//! What can go wrong, in terms the caller can act on. No message repeats anything secret.

use std::{fmt, path::PathBuf};

use operation::ForestId;

/// Why a key or a set of keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{}: {cause}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("{}: {cause}", path.display())]
    File {
        path: PathBuf,
        #[source]
        cause: Box<KeyError>,
    },
    #[error("{}: holds no *.pem file", path.display())]
    NoKeys { path: PathBuf },
    #[error("not one PEM block labelled PRIVATE KEY (unencrypted PKCS#8)")]
    NotPem,
    #[error("neither a PKCS#8 RSA key of 2048 to 8192 bits nor a PKCS#8 key on P-256")]
    UnsupportedPrivateKey,
    #[error("not a JSON Web Key Set: {0}")]
    NotAKeySet(&'static str),
    #[error("key {index} of the key set: {problem}")]
    UnusableJwk { index: usize, problem: &'static str },
    #[error("the cryptographic provider could not make a key")]
    Generation,
}

/// Why a value is not a sealed password. Nobody's key is needed to tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("a sealed password is a JSON string (compact JWE) or a JSON object (JWE JSON)")]
    NotAJwe,
    #[error("a compact JWE has five parts separated by dots")]
    NotFiveParts,
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` is malformed")]
    Malformed(&'static str),
    #[error("a header parameter appears twice among `protected`, `unprotected` and `header`")]
    HeadersOverlap,
    #[error("`alg` must be RSA-OAEP-256 or ECDH-ES+A256KW")]
    UnsupportedAlgorithm,
    #[error("`enc` must be A256GCM")]
    UnsupportedEncryption,
    #[error("`{0}` is not supported")]
    UnsupportedHeader(&'static str),
    #[error("two recipients name the same `kid`")]
    RecipientTwice,
    #[error("more than {0} recipients")]
    TooManyRecipients(usize),
}

/// Why a password was not sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("there is no key to seal to")]
    NoKeys,
    #[error("two keys of forest {0}: a sealed password has one recipient per forest")]
    ForestTwice(ForestId),
    #[error("more than {0} keys")]
    TooManyKeys(usize),
    #[error("an unlock carries no password")]
    NothingToSeal,
    #[error("the new password is empty")]
    PasswordEmpty,
    #[error("the password is longer than 256 characters, counted in UTF-16 as the directory does")]
    PasswordTooLong,
    #[error("the password holds a NUL character")]
    PasswordHasNul,
    #[error("a change needs the current password")]
    CurrentPasswordMissing,
    #[error("the seal must expire after it is issued")]
    ExpiresBeforeIssued,
    #[error("the cryptographic provider refused to seal")]
    Cryptography,
}

/// A claim that ties a sealed password to its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Claim {
    Issuer,
    EventId,
    Subject,
    Purpose,
    IssuedAt,
    Expires,
}

impl Claim {
    /// The claim's name in the sealed JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issuer => "iss",
            Self::EventId => "jti",
            Self::Subject => "sub",
            Self::Purpose => "purpose",
            Self::IssuedAt => "iat",
            Self::Expires => "exp",
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a sealed password was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("sealed to no key of this forest (unknown `kid`)")]
    UnknownKey,
    #[error("altered, or not sealed to the key it names")]
    Tampered,
    #[error("the sealed content is not the expected JSON")]
    Malformed,
    /// `iat`: issued in the future; `exp`: expired; the others name another operation.
    #[error("the sealed `{0}` does not bind to this operation at this time")]
    NotBound(Claim),
    #[error("the sealed `newPassword` is empty")]
    PasswordEmpty,
    #[error(
        "a sealed password is longer than 256 characters, counted in UTF-16 as the directory does"
    )]
    PasswordTooLong,
    #[error("a sealed password holds a NUL character")]
    PasswordHasNul,
    #[error("a change needs `currentPassword` in the seal")]
    CurrentPasswordMissing,
}
