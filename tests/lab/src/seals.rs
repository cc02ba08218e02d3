//! The sealing keys of each forest: the private one where its writers read it, the public ones where everyone does.

use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::forest::FORESTS;
use crate::place::Place;
use crate::secret::write_private;

pub(crate) fn public_keys_file(place: &Place) -> PathBuf {
    place.path("keys/jwks.json")
}

pub(crate) fn private_keys_directory(place: &Place, forest: &str) -> PathBuf {
    place.path("keys").join(forest)
}

pub(crate) fn make(place: &Place) -> anyhow::Result<()> {
    let mut keys = Vec::new();
    for forest in &FORESTS {
        let pair =
            KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow::anyhow!("no RSA key"))?;
        let public = pair.public_key();
        let exponent = URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero());
        let modulus = URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero());
        // RFC 7638: the required members in this order, without white space
        let thumbprint = format!(r#"{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, thumbprint.as_bytes()));
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| anyhow::anyhow!("no PKCS#8"))?;
        let file = private_keys_directory(place, forest.id).join(format!("{kid}.pem"));
        write_private(&file, pem(der.as_ref()).as_bytes())?;
        keys.push(json!({
            "kty": "RSA", "kid": kid, "use": "enc", "alg": "RSA-OAEP-256", "forest": forest.id,
            "n": modulus, "e": exponent,
        }));
    }
    write_private(
        &public_keys_file(place),
        serde_json::to_string_pretty(&json!({ "keys": keys }))?.as_bytes(),
    )
}

/// RFC 7468: lines of 64 characters.
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}
