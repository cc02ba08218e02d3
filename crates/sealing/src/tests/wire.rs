//! Both algorithms, both serialisations, and every part that can be touched.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use operation::Kind;
use serde_json::{Value, json};

use super::{CURRENT, NEW, binding, contents, forest, keys, open, pair, sealed, wire};
use crate::{Algorithm, KeyPair, OpenError, ParseError, PrivateKeys, SealedPassword};

fn both() -> (SealedPassword, [PrivateKeys; 2]) {
    let [rsa, ec] = [
        pair(Algorithm::RsaOaep256, "corp"),
        pair(Algorithm::EcdhEsA256Kw, "emea"),
    ];
    let sealed = sealed(Kind::Change, &[&rsa.public(), &ec.public()]);
    (sealed, Algorithm::ALL.map(keys))
}

#[test]
fn compact_opens_with_both_algorithms() {
    for algorithm in Algorithm::ALL {
        let public = pair(algorithm, "corp").public();
        let change = sealed(Kind::Change, &[&public]);
        assert!(wire(&change).is_string());
        assert_eq!(change.key_ids(), [public.kid()]);
        let again = SealedPassword::from_json_text(&change.to_json_text()).unwrap();
        assert_eq!(
            open(&keys(algorithm), &again, Kind::Change),
            Ok((NEW.to_owned(), Some(CURRENT.to_owned())))
        );
        let reset = sealed(Kind::Reset, &[&public]);
        assert_eq!(
            open(&keys(algorithm), &reset, Kind::Reset),
            Ok((NEW.to_owned(), None))
        );
    }
}

#[test]
fn general_json_opens_in_every_forest() {
    let (sealed, writers) = both();
    assert_eq!(sealed.key_ids().len(), 2);
    let again = SealedPassword::from_json_text(&sealed.to_json_text()).unwrap();
    for writer in &writers {
        assert_eq!(open(writer, &again, Kind::Change).unwrap().0, NEW);
    }
}

#[test]
fn flattened_json_and_additional_data_are_read() {
    let (sealed, [rsa, _]) = both();
    let mut object = wire(&sealed);
    let first = object["recipients"][0].clone();
    object.as_object_mut().unwrap().remove("recipients");
    object["header"] = first["header"].clone();
    object["encrypted_key"] = first["encrypted_key"].clone();
    let flattened = SealedPassword::parse(&object).unwrap();
    assert_eq!(open(&rsa, &flattened, Kind::Change).unwrap().0, NEW);
    let again = SealedPassword::from_json_text(&flattened.to_json_text()).unwrap();
    assert_eq!(open(&rsa, &again, Kind::Change).unwrap().0, NEW);

    object["aad"] = json!("AAAA");
    let other_data = SealedPassword::parse(&object).unwrap();
    assert_eq!(
        open(&rsa, &other_data, Kind::Change),
        Err(OpenError::Tampered)
    );
}

#[test]
fn nothing_else_is_passed_on() {
    let (sealed, _) = both();
    let mut object = wire(&sealed);
    object["newPassword"] = json!("in the clear");
    object["recipients"][0]["newPassword"] = json!("in the clear");
    let text = SealedPassword::parse(&object).unwrap().to_json_text();
    assert!(!text.contains("clear"), "{text}");
}

/// Flips a bit in the middle of a Base64url part.
fn altered(part: &str) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn every_altered_part_of_a_compact_seal_is_noticed() {
    for algorithm in Algorithm::ALL {
        let public = pair(algorithm, "corp").public();
        let sealed = sealed(Kind::Change, &[&public]);
        let text = wire(&sealed).as_str().unwrap().to_owned();
        for part in 1..5 {
            let mut parts: Vec<String> = text.split('.').map(str::to_owned).collect();
            parts[part] = altered(&parts[part]);
            let touched = SealedPassword::parse(&json!(parts.join("."))).unwrap();
            assert_eq!(
                open(&keys(algorithm), &touched, Kind::Change),
                Err(OpenError::Tampered),
                "{algorithm} part {part}"
            );
        }
        // The header stays readable but is no longer the one that was sealed.
        let mut parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        let header = URL_SAFE_NO_PAD.decode(&parts[0]).unwrap();
        let mut header: Value = serde_json::from_slice(&header).unwrap();
        header["typ"] = json!("JWE");
        parts[0] = URL_SAFE_NO_PAD.encode(header.to_string());
        let touched = SealedPassword::parse(&json!(parts.join("."))).unwrap();
        assert_eq!(
            open(&keys(algorithm), &touched, Kind::Change),
            Err(OpenError::Tampered)
        );
    }
}

#[test]
fn every_altered_part_of_a_general_seal_is_noticed() {
    let (sealed, writers) = both();
    for pointer in [
        "/iv",
        "/ciphertext",
        "/tag",
        "/recipients/0/encrypted_key",
        "/recipients/1/encrypted_key",
    ] {
        let mut object = wire(&sealed);
        let part = object.pointer_mut(pointer).unwrap();
        *part = json!(altered(part.as_str().unwrap()));
        let touched = SealedPassword::parse(&object).unwrap();
        let refused = writers
            .iter()
            .filter(|writer| open(writer, &touched, Kind::Change) == Err(OpenError::Tampered))
            .count();
        // A recipient's own part harms that recipient alone.
        let expected = if pointer.starts_with("/recipients") {
            1
        } else {
            2
        };
        assert_eq!(refused, expected, "{pointer}");
    }
    let mut object = wire(&sealed);
    object["protected"] = json!(URL_SAFE_NO_PAD.encode(r#"{"enc":"A256GCM","typ":"JWE"}"#));
    let touched = SealedPassword::parse(&object).unwrap();
    for writer in &writers {
        assert_eq!(
            open(writer, &touched, Kind::Change),
            Err(OpenError::Tampered)
        );
    }
    // Each recipient's header names a key of the other kind.
    let mut object = wire(&sealed);
    let kid = |index: usize| object["recipients"][index]["header"]["kid"].clone();
    let (first, second) = (kid(0), kid(1));
    object["recipients"][0]["header"]["kid"] = second;
    object["recipients"][1]["header"]["kid"] = first;
    let swapped = SealedPassword::parse(&object).unwrap();
    for writer in &writers {
        assert_eq!(
            open(writer, &swapped, Kind::Change),
            Err(OpenError::Tampered)
        );
    }
}

#[test]
fn an_ephemeral_point_off_the_curve_is_refused() {
    let (sealed, [_, ec]) = both();
    let mut object = wire(&sealed);
    object["recipients"][1]["header"]["epk"]["y"] = json!(URL_SAFE_NO_PAD.encode([7; 32]));
    let touched = SealedPassword::parse(&object).unwrap();
    assert_eq!(open(&ec, &touched, Kind::Change), Err(OpenError::Tampered));
}

#[test]
fn sealed_to_others_is_an_unknown_key() {
    let other = KeyPair::generate(Algorithm::EcdhEsA256Kw, forest("corp")).unwrap();
    let sealed = sealed(Kind::Change, &[&other.public()]);
    assert_eq!(
        open(&keys(Algorithm::EcdhEsA256Kw), &sealed, Kind::Change),
        Err(OpenError::UnknownKey)
    );
}

fn compact(header: &Value) -> Value {
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let iv = URL_SAFE_NO_PAD.encode([0; 12]);
    let tag = URL_SAFE_NO_PAD.encode([0; 16]);
    json!(format!("{header}.AAAA.{iv}.AAAA.{tag}"))
}

#[test]
fn what_is_no_sealed_password_says_why() {
    let good = json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "k" });
    assert!(SealedPassword::parse(&compact(&good)).is_ok());
    let with = |name: &str, value: Value| {
        let mut header = good.clone();
        header[name] = value;
        compact(&header)
    };
    let without = |name: &str| {
        let mut header = good.clone();
        header.as_object_mut().unwrap().remove(name);
        compact(&header)
    };
    let recipient = json!({ "header": good, "encrypted_key": "AAAA" });
    let general = |recipients: Value| {
        json!({ "recipients": recipients, "iv": "AAAAAAAAAAAAAAAA", "ciphertext": "AAAA",
            "tag": "AAAAAAAAAAAAAAAAAAAAAA" })
    };
    assert!(SealedPassword::parse(&general(json!([recipient]))).is_ok());
    let mut overlapping = general(json!([recipient]));
    overlapping["unprotected"] = json!({ "kid": "k" });
    let mut mixed = general(json!([recipient]));
    mixed["encrypted_key"] = json!("AAAA");
    let mut short_tag = general(json!([recipient]));
    short_tag["tag"] = json!("AAAA");
    let ecdh = json!({ "alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": "k" });
    let cases = [
        (json!(1), ParseError::NotAJwe),
        (json!("a.b.c.d"), ParseError::NotFiveParts),
        (json!("a.b.c.d.e.f"), ParseError::NotFiveParts),
        (json!("....."), ParseError::NotFiveParts),
        (json!("...."), ParseError::Malformed("protected")),
        (
            with("alg", json!("RSA1_5")),
            ParseError::UnsupportedAlgorithm,
        ),
        (with("alg", json!("dir")), ParseError::UnsupportedAlgorithm),
        (
            with("enc", json!("A128GCM")),
            ParseError::UnsupportedEncryption,
        ),
        (
            with("zip", json!("DEF")),
            ParseError::UnsupportedHeader("zip"),
        ),
        (
            with("crit", json!(["x"])),
            ParseError::UnsupportedHeader("crit"),
        ),
        (with("kid", json!(1)), ParseError::Malformed("kid")),
        (without("kid"), ParseError::Missing("kid")),
        (without("alg"), ParseError::Missing("alg")),
        (without("enc"), ParseError::Missing("enc")),
        (compact(&ecdh), ParseError::Missing("epk")),
        (json!({}), ParseError::Missing("encrypted_key")),
        (general(json!([])), ParseError::Missing("recipients")),
        (general(json!({})), ParseError::Malformed("recipients")),
        (
            general(json!([recipient, recipient])),
            ParseError::RecipientTwice,
        ),
        (
            general(json!(vec![recipient; 65])),
            ParseError::TooManyRecipients(64),
        ),
        (overlapping, ParseError::HeadersOverlap),
        (mixed, ParseError::Malformed("recipients")),
        (short_tag, ParseError::Malformed("tag")),
    ];
    for (value, expected) in cases {
        assert_eq!(
            SealedPassword::parse(&value).unwrap_err(),
            expected,
            "{value}"
        );
    }
}

#[test]
fn debug_shows_nothing_secret() {
    let (sealed, [keys, _]) = both();
    let pair = pair(Algorithm::EcdhEsA256Kw, "corp");
    let opened = keys
        .open(&sealed, &binding(Kind::Change), super::NOW, super::SKEW)
        .unwrap();
    let shown = format!("{sealed:?} {keys:?} {pair:?} {opened:?} {:?}", contents());
    let object = wire(&sealed);
    for secret in [
        "quoted",
        CURRENT,
        "BEGIN",
        object["ciphertext"].as_str().unwrap(),
        object["recipients"][0]["encrypted_key"].as_str().unwrap(),
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains(pair.kid()));
}
