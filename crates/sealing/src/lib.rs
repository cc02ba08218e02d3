//! Sealed passwords: seal a password to the writers of a forest, and open it as one of them.
//!
//! A sealed password is a JWE (RFC 7516) that binds the password to one event, one person, one
//! purpose and a span of time. This crate holds the keyring, the wire form and the binding checks,
//! over the primitives of the one cryptographic provider. The rest of the product sees [`seal`] and
//! [`PrivateKeys::open`] only. It must not know a queue, a directory, a clock or a service: time
//! and binding are arguments, and the only thing it reads is a directory of keys.

mod agreement;
mod claims;
mod content;
mod error;
mod jwe;
mod key;
mod keyring;
mod pem;
mod seal;
#[cfg(test)]
mod tests;

pub use error::{Claim, KeyError, OpenError, ParseError, SealError};
pub use jwe::SealedPassword;
pub use key::{Algorithm, KeyPair, PublicKey, Times};
pub use keyring::{PrivateKeys, PublicKeys};
pub use seal::{Binding, Contents, seal};
