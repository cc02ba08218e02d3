//! Key sets, key files, names.

use std::{fs, path::PathBuf};

use serde_json::json;

use super::{forest, pair};
use crate::{Algorithm, KeyError, KeyPair, PrivateKeys, PublicKeys};

/// A directory of its own, gone when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sealing-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.0.join(name), content).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_key_set_survives_its_json() {
    let mut keys = PublicKeys::default();
    let (old, new) = (
        pair(Algorithm::RsaOaep256, "corp").public(),
        pair(Algorithm::EcdhEsA256Kw, "corp").public(),
    );
    let emea = KeyPair::generate(Algorithm::EcdhEsA256Kw, forest("emea")).unwrap();
    for key in [&old, &emea.public(), &new] {
        keys.add(key.clone());
    }
    let jwks = keys.to_jwks();
    for jwk in jwks["keys"].as_array().unwrap() {
        assert_eq!(jwk["use"], "enc");
        assert!(jwk["alg"].is_string() && jwk["kid"].is_string() && jwk["forest"].is_string());
    }
    let again = PublicKeys::from_jwks(jwks.to_string().as_bytes()).unwrap();
    assert_eq!(again.to_jwks(), jwks);
    assert_eq!(again.for_forest(&forest("corp")), Some(&new));
    assert_eq!(again.forest_of(old.kid()), Some(&forest("corp")));
    assert_eq!(again.forest_of(emea.kid()), Some(&forest("emea")));
    assert_eq!(again.forest_of("another"), None);
    assert_eq!(again.for_forest(&forest("apac")), None);
}

#[test]
fn an_unusable_key_set_says_which_key_and_why() {
    let ec = pair(Algorithm::EcdhEsA256Kw, "corp").public().to_jwk();
    let rsa = pair(Algorithm::RsaOaep256, "corp").public().to_jwk();
    let with = |jwk: &serde_json::Value, name: &str, value: serde_json::Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        json!({ "keys": [jwk] })
    };
    let cases = [
        (json!([]), "no array `keys`"),
        (
            json!({ "keys": [ec, ec] }),
            "key 1 of the key set: the same key",
        ),
        (with(&ec, "d", json!("AAAA")), "private"),
        (with(&ec, "use", json!("sig")), "`use`"),
        (with(&ec, "forest", json!(null)), "`forest` is missing"),
        (with(&ec, "forest", json!("Not One")), "`forest` is not"),
        (with(&ec, "kid", json!("mine")), "thumbprint"),
        (with(&ec, "alg", json!("RSA-OAEP-256")), "`alg`"),
        (with(&ec, "kty", json!("OKP")), "`kty`"),
        (with(&ec, "crv", json!("P-384")), "P-256"),
        (with(&ec, "x", ec["y"].clone()), "not on P-256"),
        (with(&rsa, "n", json!("AQAB")), "2048"),
        (with(&rsa, "e", json!("=")), "`e`"),
    ];
    for (jwks, expected) in cases {
        let error = PublicKeys::from_jwks(jwks.to_string().as_bytes()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}: {expected}");
    }
    assert!(PublicKeys::from_jwks(b"{").is_err());
}

#[test]
fn a_directory_gives_every_pem_in_it() {
    let directory = Directory::new("every-pem");
    for algorithm in Algorithm::ALL {
        let pair = pair(algorithm, "corp");
        directory.write(&format!("{}.pem", pair.kid()), &pair.private_pem());
    }
    directory.write("README", "not a key");
    let keys = PrivateKeys::from_directory(&directory.0).unwrap();
    let mut expected = Algorithm::ALL.map(|algorithm| pair(algorithm, "corp").kid().to_owned());
    expected.sort();
    assert!(keys.key_ids().eq(expected));
}

#[test]
fn a_directory_that_gives_less_is_an_error() {
    let directory = Directory::new("less");
    let load = || PrivateKeys::from_directory(&directory.0).unwrap_err();
    assert!(matches!(load(), KeyError::NoKeys { .. }));
    directory.write(
        "broken.pem",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    );
    let error = load().to_string();
    assert!(
        error.contains("broken.pem") && error.contains("PKCS#8"),
        "{error}"
    );
    directory.write("broken.pem", "-----BEGIN RSA PRIVATE KEY-----");
    assert!(load().to_string().contains("PRIVATE KEY"));
    let missing = PrivateKeys::from_directory(&directory.0.join("missing")).unwrap_err();
    assert!(matches!(missing, KeyError::Unreadable { .. }));
}

#[test]
fn a_key_keeps_its_name_through_its_pem() {
    for algorithm in Algorithm::ALL {
        let made = pair(algorithm, "corp");
        let again = KeyPair::from_pem(&made.private_pem(), forest("corp")).unwrap();
        assert_eq!(again.public(), made.public());
        assert_eq!(again.public().algorithm(), algorithm);
        assert!(made.private_pem().lines().all(|line| line.len() <= 64));
    }
}
