//! Nothing that arrives makes parsing or opening panic.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use operation::Kind;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{NOW, SKEW, binding, keys, open, pair, sealed, wire};
use crate::{Algorithm, KeyPair, PublicKeys, SealedPassword, seal::encrypt_to};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(|bytes| Value::from(URL_SAFE_NO_PAD.encode(bytes))),
    ];
    let name = prop_oneof![
        Just("recipients"),
        Just("header"),
        Just("encrypted_key"),
        Just("protected"),
        Just("unprotected"),
        Just("iv"),
        Just("tag"),
        Just("ciphertext"),
        Just("aad"),
        Just("alg"),
        Just("enc"),
        Just("kid"),
        Just("epk"),
        Just("apu"),
        Just("keys"),
        Just("kty"),
        Just("crv"),
        Just("x"),
        Just("y"),
        Just("n"),
        Just("e"),
        Just("forest"),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8).prop_map(|members| {
                let members = members.into_iter().map(|(name, it)| (name.to_owned(), it));
                Value::Object(members.collect::<Map<_, _>>())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsing_never_panics(value in any_json(), text in ".*", noise in any::<Vec<u8>>()) {
        let _ = SealedPassword::parse(&value);
        let _ = SealedPassword::parse(&json!(text));
        let _ = SealedPassword::from_json_text(&text);
        let _ = PublicKeys::from_jwks(&noise);
        let _ = PublicKeys::from_jwks(json!({ "keys": [value] }).to_string().as_bytes());
        let _ = KeyPair::from_pem(&text, "corp".parse().unwrap());
    }

    #[test]
    fn what_parses_survives_its_text(value in any_json()) {
        if let Ok(parsed) = SealedPassword::parse(&value) {
            let again = SealedPassword::from_json_text(&parsed.to_json_text()).unwrap();
            prop_assert_eq!(parsed.key_ids(), again.key_ids());
        }
    }

    #[test]
    fn opening_noise_under_a_known_key_never_panics(
        ec in any::<bool>(),
        encrypted in prop::collection::vec(any::<u8>(), 0..400),
        point in prop::collection::vec(any::<u8>(), 64),
        content in any::<Vec<u8>>(),
    ) {
        let algorithm = if ec { Algorithm::EcdhEsA256Kw } else { Algorithm::RsaOaep256 };
        let public = pair(algorithm, "corp").public();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let epk = json!({ "kty": "EC", "crv": "P-256", "x": text(&point[..32]), "y": text(&point[32..]) });
        let jwe = json!({
            "header": { "alg": algorithm.as_str(), "enc": "A256GCM", "kid": public.kid(), "epk": epk },
            "encrypted_key": text(&encrypted), "iv": text(&[1; 12]), "tag": text(&[2; 16]),
            "ciphertext": text(&content),
        });
        let parsed = SealedPassword::parse(&jwe).unwrap();
        prop_assert!(open(&keys(algorithm), &parsed, Kind::Change).is_err());
    }

    #[test]
    fn opening_any_sealed_content_never_panics(value in any_json(), noise in any::<Vec<u8>>()) {
        let pair = pair(Algorithm::EcdhEsA256Kw, "corp");
        for mut content in [value.to_string().into_bytes(), noise] {
            let sealed = encrypt_to(&[&pair.public()], &mut content).unwrap();
            let opened = keys(Algorithm::EcdhEsA256Kw)
                .open(&sealed, &binding(Kind::Reset), NOW, SKEW);
            prop_assert!(opened.is_err());
        }
    }

    #[test]
    fn no_changed_character_opens(position in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let pair = pair(Algorithm::EcdhEsA256Kw, "corp");
        let sealed = sealed(Kind::Reset, &[&pair.public()]);
        let mut text = wire(&sealed).as_str().unwrap().to_owned();
        let at = position.index(text.len());
        prop_assume!(text[at..=at] != to);
        text.replace_range(at..=at, &to);
        if let Ok(parsed) = SealedPassword::parse(&json!(text)) {
            prop_assert!(open(&keys(Algorithm::EcdhEsA256Kw), &parsed, Kind::Reset).is_err());
        }
    }
}
