//! The head's signature: who holds the key wrote the last entry, and none was cut off.

use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use chain::{Tip, signature_is_valid, signed_bytes};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};

#[derive(Debug, thiserror::Error)]
#[error("the ledger's signing key {path}: {problem}")]
pub(crate) struct SigningKeyError {
    path: String,
    problem: String,
}

/// The Ed25519 key that signs heads.
pub(crate) struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Reads PKCS#8 in PEM (RFC 8410), as `openssl genpkey -algorithm ed25519` writes it.
    pub(crate) fn from_file(path: &Path) -> Result<Self, SigningKeyError> {
        let failed = |problem: String| SigningKeyError {
            path: path.display().to_string(),
            problem,
        };
        let der = PrivatePkcs8KeyDer::from_pem_file(path)
            .map_err(|error| failed(format!("{error}; a PKCS#8 PEM file is expected")))?;
        Self::from_der(der.secret_pkcs8_der()).map_err(failed)
    }

    fn from_der(der: &[u8]) -> Result<Self, String> {
        // version 1 of PKCS#8 holds no public key to check against; OpenSSL writes version 1
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
            .map(Self)
            .map_err(|error| format!("not an Ed25519 key: {error}"))
    }

    pub(crate) fn public_key(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    pub(crate) fn sign(&self, tip: &Tip) -> Vec<u8> {
        self.0.sign(&signed_bytes(tip)).as_ref().to_vec()
    }

    pub(crate) fn verifies(&self, tip: &Tip, signature: &[u8]) -> bool {
        signature_is_valid(self.0.public_key().as_ref(), tip, signature)
    }
}

#[cfg(test)]
impl SigningKey {
    pub(crate) fn generate() -> Self {
        let der = Ed25519KeyPair::generate_pkcs8v1(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
        Self::from_der(der.as_ref()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_fits_one_head_and_one_key() {
        let (key, other) = (SigningKey::generate(), SigningKey::generate());
        let mut tip = Tip::genesis();
        tip.append(1, "settings", None, "{}".to_owned());
        let signature = key.sign(&tip);
        assert!(key.verifies(&tip, &signature));
        assert!(!other.verifies(&tip, &signature));
        assert!(!key.verifies(&Tip::genesis(), &signature));
    }
}
