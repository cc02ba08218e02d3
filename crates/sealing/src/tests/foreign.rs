//! Another implementation (jwcrypto, Debian's python3-jwcrypto) opens ours, and we open its.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use operation::Kind;
use serde_json::{Value, json};

use super::{CURRENT, NEW, claims, forest, keys, open, pair, sealed, wire};
use crate::{Algorithm, KeyError, KeyPair, SealedPassword};

/// Debian's own Python, for that is where its packages are found.
fn jwcrypto(task: &Value) -> Value {
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", include_str!("foreign.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 and python3-jwcrypto are needed");
    let mut input = python.stdin.take().unwrap();
    input.write_all(task.to_string().as_bytes()).unwrap();
    drop(input);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "is python3-jwcrypto installed?");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn jwcrypto_and_this_crate_understand_each_other() {
    let pairs = Algorithm::ALL.map(|algorithm| pair(algorithm, "corp"));
    let [rsa, ec] = [
        pair(Algorithm::RsaOaep256, "corp").public(),
        pair(Algorithm::EcdhEsA256Kw, "emea").public(),
    ];
    let general = wire(&sealed(Kind::Change, &[&rsa, &ec]));
    let answer = jwcrypto(&json!({
        "private": pairs.each_ref().map(|pair| pair.private_pem().to_string()),
        "public": pairs.each_ref().map(|pair| pair.public().to_jwk()),
        "claims": claims(),
        "open": [
            { "key": 0, "sealed": wire(&sealed(Kind::Change, &[&rsa])) },
            { "key": 1, "sealed": wire(&sealed(Kind::Change, &[&ec])) },
            { "key": 0, "sealed": general },
            { "key": 1, "sealed": general },
        ],
    }));

    assert_eq!(
        answer["thumbprints"],
        json!(pairs.each_ref().map(KeyPair::kid))
    );
    let opened = answer["opened"].as_array().unwrap();
    assert_eq!(opened.len(), 4);
    for opened in opened {
        assert_eq!(opened, &claims());
    }

    let expected = Ok((NEW.to_owned(), Some(CURRENT.to_owned())));
    let [rsa, ec] = Algorithm::ALL.map(keys);
    let theirs: Vec<SealedPassword> = answer["sealed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sealed| SealedPassword::parse(sealed).unwrap())
        .collect();
    // Two compact seals for each key, the second with party information; then one for both keys.
    let [rsa_plain, rsa_party, ec_plain, ec_party, general] = theirs.as_slice() else {
        panic!("{} seals", theirs.len());
    };
    for (keys, sealed) in [
        (&rsa, rsa_plain),
        (&rsa, rsa_party),
        (&rsa, general),
        (&ec, ec_plain),
        (&ec, ec_party),
        (&ec, general),
    ] {
        assert_eq!(open(keys, sealed, Kind::Change), expected);
    }

    let generated = answer["generated"].as_array().unwrap();
    for (pem, algorithm) in generated.iter().zip(Algorithm::ALL) {
        let pair = KeyPair::from_pem(pem.as_str().unwrap(), forest("corp")).unwrap();
        assert_eq!(pair.public().algorithm(), algorithm);
    }
    for pem in answer["unusable"].as_array().unwrap() {
        let refused = KeyPair::from_pem(pem.as_str().unwrap(), forest("corp"));
        assert!(matches!(refused, Err(KeyError::UnsupportedPrivateKey)));
    }
}
