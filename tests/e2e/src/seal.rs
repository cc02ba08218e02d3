//! Sealed passwords made by hand from the RFCs, so that each of their parts can be wrong.

use anyhow::{Context, anyhow};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A compact JWE (RFC 7516 7.1) in its five parts, RSA-OAEP-256 and A256GCM.
#[derive(Debug, Clone)]
pub struct HandMade {
    pub header: Value,
    pub plaintext: Vec<u8>,
    /// What is appended to the content key before it is encrypted: a wrong length.
    pub key_tail: Vec<u8>,
    jwk: Value,
}

impl HandMade {
    /// Sealed to a forest's newest RSA key, with nothing wrong yet.
    pub fn new(key_set: &Value, forest: &str, claims: &Value) -> anyhow::Result<Self> {
        let jwk = key_set
            .get("keys")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .rfind(|key| {
                let is = |member, value: &str| key.get(member).is_some_and(|held| held == value);
                is("forest", forest) && is("kty", "RSA")
            })
            .with_context(|| format!("forest {forest} has no public RSA key"))?
            .clone();
        Ok(Self {
            header: json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": jwk.get("kid") }),
            plaintext: claims.to_string().into_bytes(),
            key_tail: Vec::new(),
            jwk,
        })
    }

    /// Another header parameter, or another value for one.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        if let Some(header) = self.header.as_object_mut() {
            header.insert(name.to_owned(), value);
        }
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        if let Some(header) = self.header.as_object_mut() {
            header.remove(name);
        }
        self
    }

    /// Protected header, encrypted key, initialisation vector, ciphertext and tag.
    pub fn parts(&self) -> anyhow::Result<[String; 5]> {
        let member = |name: &str| -> anyhow::Result<Vec<u8>> {
            let text = self.jwk.get(name).and_then(Value::as_str);
            Ok(URL_SAFE_NO_PAD.decode(text.with_context(|| format!("the key has no {name}"))?)?)
        };
        let (n, e) = (member("n")?, member("e")?);
        let public = PublicKeyComponents { n, e }
            .try_into()
            .map_err(|_| anyhow!("not an RSA key"))?;
        let public = OaepPublicEncryptingKey::new(public)?;
        let mut key = vec![0; 32];
        aws_lc_rs::rand::fill(&mut key)?;
        let mut iv = [0; 12];
        aws_lc_rs::rand::fill(&mut iv)?;
        let mut encrypted = vec![0; public.ciphertext_size()];
        let tailed = [key.as_slice(), &self.key_tail].concat();
        let encrypted_key =
            public.encrypt(&OAEP_SHA256_MGF1SHA256, &tailed, &mut encrypted, None)?;
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let header = text(self.header.to_string().as_bytes());
        let mut content = self.plaintext.clone();
        let tag = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key)?)
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(iv),
                Aad::from(header.as_bytes()),
                &mut content,
            )?;
        Ok([
            header,
            text(encrypted_key),
            text(&iv),
            text(&content),
            text(tag.as_ref()),
        ])
    }

    pub fn compact(&self) -> anyhow::Result<String> {
        Ok(self.parts()?.join("."))
    }
}
