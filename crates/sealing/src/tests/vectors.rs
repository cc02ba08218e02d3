//! The examples the RFCs print.

use aws_lc_rs::{
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
    key_wrap::{AES_256, AesKek, KeyWrap as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    PublicKeys,
    agreement::{concat_kdf, point_of, unwrap, wrap},
    content::decrypt,
    key::point_from_jwk,
};

fn bytes(base64: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(base64).unwrap()
}

#[test]
fn rfc_7518_appendix_c() {
    let alice = "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo";
    let bob = "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw";
    let private = |d| PrivateKey::from_private_key(&ECDH_P256, &bytes(d)).unwrap();
    let (alice, bob) = (private(alice), private(bob));
    let alice_point = point_from_jwk(&json!({ "kty": "EC", "crv": "P-256",
        "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
        "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps" }))
    .unwrap();
    let bob_point = point_from_jwk(&json!({ "kty": "EC", "crv": "P-256",
        "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
        "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck" }))
    .unwrap();
    assert_eq!(point_of(&alice).unwrap(), alice_point);
    assert_eq!(point_of(&bob).unwrap(), bob_point);
    for (mine, theirs) in [(&alice, &bob_point), (&bob, &alice_point)] {
        let peer = UnparsedPublicKey::new(&ECDH_P256, theirs.as_slice());
        let derived = agree(mine, peer, aws_lc_rs::error::Unspecified, |z| {
            assert_eq!(
                z[..8],
                [158, 86, 217, 29, 129, 113, 53, 211],
                "the Z the appendix prints"
            );
            concat_kdf(z, "A128GCM", b"Alice", b"Bob", 128)
        })
        .unwrap();
        assert_eq!(derived[..16], bytes("VqqN6vgjbSBcIijNcacQGg"));
    }
}

#[test]
fn rfc_3394_section_4_6() {
    let kek = hex::decode("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F");
    let key = hex::decode("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F");
    let expected =
        "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21";
    let (kek, key) = (kek.unwrap(), key.unwrap());
    let mut wrapped = [0; 40];
    let wrapped = AesKek::new(&AES_256, &kek)
        .unwrap()
        .wrap(&key, &mut wrapped)
        .unwrap();
    assert_eq!(hex::encode(&*wrapped), expected);
}

#[test]
fn party_information_reaches_the_derivation() {
    let bob = PrivateKey::generate(&ECDH_P256).unwrap();
    let key = Zeroizing::new([7; 32]);
    let (ephemeral, wrapped) = wrap(&point_of(&bob).unwrap(), &key).unwrap();
    assert_eq!(unwrap(&bob, &ephemeral, b"", b"", &wrapped).unwrap(), key);
    assert!(unwrap(&bob, &ephemeral, b"Alice", b"Bob", &wrapped).is_err());
}

/// RFC 7516 A.1: its key encryption is SHA-1's OAEP, which is not offered; its content is A256GCM.
#[test]
fn rfc_7516_appendix_a_1_content() {
    let key = Zeroizing::new([
        177, 161, 244, 128, 84, 143, 225, 115, 63, 180, 3, 255, 107, 154, 212, 246, 138, 7, 110,
        91, 112, 46, 34, 105, 47, 130, 203, 46, 122, 234, 64, 252,
    ]);
    let plain = decrypt(
        &key,
        bytes("48V1_ALb6US04U3b").try_into().unwrap(),
        b"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ",
        &bytes(
            "5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A",
        ),
        &bytes("XFBoMYUZodetZdvTiFvSkQ").try_into().unwrap(),
    )
    .unwrap();
    assert_eq!(
        plain.as_slice(),
        b"The true sign of intelligence is not knowledge but imagination."
    );
}

#[test]
fn rfc_7638_section_3_1() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let jwks = json!({ "keys": [{ "kty": "RSA", "n": n, "e": "AQAB", "forest": "corp" }] });
    let keys = PublicKeys::from_jwks(jwks.to_string().as_bytes()).unwrap();
    let key = keys.iter().next().unwrap();
    assert_eq!(key.kid(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}
