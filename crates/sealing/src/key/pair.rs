//! The private half of a key, and both halves together.

use std::fmt;

use aws_lc_rs::{
    agreement,
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    error::Unspecified,
    rsa::{
        KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
        PublicKey as RsaPublicKey,
    },
};
use operation::ForestId;
use zeroize::Zeroizing;

use super::{Algorithm, Public, PublicKey};
use crate::{
    KeyError,
    agreement::{point_of, unwrap},
    content::ContentKey,
    jwe::EncryptedKey,
    pem,
};

pub(crate) enum Private {
    Rsa(PrivateDecryptingKey),
    Ec(agreement::PrivateKey),
}

impl Private {
    pub(crate) fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let der = pem::decode(pem)?;
        PrivateDecryptingKey::from_pkcs8(&der)
            .map(Self::Rsa)
            .or_else(|_| {
                agreement::PrivateKey::from_private_key_der(&agreement::ECDH_P256, &der)
                    .map(Self::Ec)
            })
            .map_err(|_| KeyError::UnsupportedPrivateKey)
    }

    fn to_pem(&self) -> Result<Zeroizing<String>, Unspecified> {
        let der: Pkcs8V1Der<'_> = match self {
            Self::Rsa(key) => key.as_der()?,
            Self::Ec(key) => key.as_der()?,
        };
        Ok(pem::encode(der.as_ref()))
    }

    fn public(&self) -> Result<Public, Unspecified> {
        match self {
            Self::Rsa(key) => {
                let der: PublicKeyX509Der<'_> = key.public_key().as_der()?;
                let key = RsaPublicKey::from_der(der.as_ref()).map_err(|_| Unspecified)?;
                Ok(Public::Rsa {
                    n: key.modulus().big_endian_without_leading_zero().to_vec(),
                    e: key.exponent().big_endian_without_leading_zero().to_vec(),
                })
            }
            Self::Ec(key) => point_of(key).map(Public::Ec),
        }
    }

    /// The RFC 7638 thumbprint (SHA-256).
    pub(crate) fn kid(&self) -> Result<String, KeyError> {
        self.public()
            .map(|public| public.thumbprint())
            .map_err(|_| KeyError::UnsupportedPrivateKey)
    }

    /// Decrypts the content key. A failure is told apart from a wrong content key by nobody: the
    /// caller goes on with a random one (RFC 7516 11.5).
    pub(crate) fn decrypt_key(&self, encrypted: &EncryptedKey) -> Result<ContentKey, Unspecified> {
        match (self, encrypted) {
            (Self::Rsa(key), EncryptedKey::RsaOaep256 { encrypted }) => {
                let key = OaepPrivateDecryptingKey::new(key.clone())?;
                let mut buffer = Zeroizing::new(vec![0; key.min_output_size()]);
                let plain = key.decrypt(
                    &OAEP_SHA256_MGF1SHA256,
                    encrypted,
                    buffer.as_mut_slice(),
                    None,
                )?;
                <[u8; 32]>::try_from(&*plain)
                    .map(Zeroizing::new)
                    .map_err(|_| Unspecified)
            }
            (
                Self::Ec(key),
                EncryptedKey::EcdhEsA256Kw {
                    ephemeral,
                    party_u,
                    party_v,
                    encrypted,
                },
            ) => unwrap(key, ephemeral, party_u, party_v, encrypted),
            _ => Err(Unspecified),
        }
    }
}

/// A forest's key with its private half.
pub struct KeyPair {
    private: Private,
    pem: Zeroizing<String>,
    public: PublicKey,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl KeyPair {
    /// A new key: RSA of 3072 bits, or P-256.
    pub fn generate(alg: Algorithm, forest: ForestId) -> Result<Self, KeyError> {
        let private = match alg {
            Algorithm::RsaOaep256 => {
                PrivateDecryptingKey::generate(KeySize::Rsa3072).map(Private::Rsa)
            }
            Algorithm::EcdhEsA256Kw => {
                agreement::PrivateKey::generate(&agreement::ECDH_P256).map(Private::Ec)
            }
        };
        private
            .and_then(|private| Self::new(private, forest))
            .map_err(|_| KeyError::Generation)
    }

    /// The key of an unencrypted PKCS#8 PEM: RSA of 2048 bits or more, or P-256.
    pub fn from_pem(pem: &str, forest: ForestId) -> Result<Self, KeyError> {
        let private = Private::from_pem(pem)?;
        Self::new(private, forest).map_err(|_| KeyError::UnsupportedPrivateKey)
    }

    fn new(private: Private, forest: ForestId) -> Result<Self, Unspecified> {
        let public = PublicKey::new(private.public()?, forest);
        let pem = private.to_pem()?;
        Ok(Self {
            private,
            pem,
            public,
        })
    }

    /// The RFC 7638 thumbprint (SHA-256).
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// The private key as an unencrypted PKCS#8 PEM.
    pub fn private_pem(&self) -> Zeroizing<String> {
        self.pem.clone()
    }

    pub fn public(&self) -> PublicKey {
        self.public.clone()
    }

    pub(crate) fn into_private(self) -> (String, Private) {
        (self.public.kid, self.private)
    }
}
