//! What a password may look like where it must not be.

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// In characters. What is shorter may be words that somebody also wrote elsewhere.
const SHORTEST_SECRET: usize = 20;

pub(crate) struct Encoded {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// Every encoding of a password that is long enough for a find to mean something.
pub(crate) fn all(password: &str) -> Vec<Encoded> {
    if password.chars().count() < SHORTEST_SECRET {
        return Vec::new();
    }
    let utf8 = password.as_bytes().to_vec();
    // the quoted form that LDAP carries (MS-ADTS 3.1.1.3.1.5) holds the unquoted one
    let utf16: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16_be: Vec<u8> = password.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mut found = vec![
        encoded("UTF-8", utf8.clone()),
        encoded("UTF-16LE", utf16.clone()),
        encoded("UTF-16BE", utf16_be),
    ];
    for bytes in [&utf8, &utf16] {
        for alignment in 0..3 {
            found.push(encoded(
                "Base64",
                inner_base64(&STANDARD_NO_PAD, bytes, alignment),
            ));
            found.push(encoded(
                "Base64url",
                inner_base64(&URL_SAFE_NO_PAD, bytes, alignment),
            ));
        }
        let hex = each(bytes, |byte| format!("{byte:02x}"));
        found.push(encoded(
            "upper-case hexadecimal",
            hex.to_uppercase().into_bytes(),
        ));
        found.push(encoded("hexadecimal", hex.into_bytes()));
        found.push(encoded(
            "numbers, as Debug shows them",
            joined(bytes, ", ").into_bytes(),
        ));
        found.push(encoded(
            "numbers, as Erlang shows them",
            joined(bytes, ",").into_bytes(),
        ));
        found.push(encoded(
            "octal",
            each(bytes, |byte| format!("\\{byte:03o}")).into_bytes(),
        ));
    }
    let json = serde_json::Value::from(password).to_string();
    found.push(encoded("JSON", unquoted(&json)));
    let escaped: Vec<String> = password
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect();
    let escaped = escaped.concat();
    found.push(encoded(
        "JSON, upper-case escapes",
        escaped.to_uppercase().replace("\\U", "\\u").into_bytes(),
    ));
    found.push(encoded("JSON, all escaped", escaped.into_bytes()));
    found.push(encoded("Debug", unquoted(&format!("{password:?}"))));
    let percent = |keep: fn(u8) -> bool| {
        each(&utf8, |byte| match byte {
            byte if keep(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
    };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    found.push(encoded("percent", percent(unreserved).into_bytes()));
    found.push(encoded("percent, all", percent(|_| false).into_bytes()));
    found.push(encoded(
        "percent, lower-case",
        percent(unreserved).to_lowercase().into_bytes(),
    ));
    found.push(encoded(
        "form",
        percent(unreserved).replace("%20", "+").into_bytes(),
    ));

    // an encoding that changes nothing is the same one again
    let mut seen = std::collections::HashSet::new();
    found.retain(|encoded| seen.insert(encoded.bytes.clone()));
    found
}

fn encoded(name: &'static str, bytes: Vec<u8>) -> Encoded {
    Encoded { name, bytes }
}

/// Without the quotes around it; those within it stay.
fn unquoted(text: &str) -> Vec<u8> {
    let text = text.strip_prefix('"').unwrap_or(text);
    text.strip_suffix('"').unwrap_or(text).as_bytes().to_vec()
}

fn each(bytes: &[u8], show: impl Fn(u8) -> String) -> String {
    let shown: Vec<String> = bytes.iter().map(|byte| show(*byte)).collect();
    shown.concat()
}

fn joined(bytes: &[u8], separator: &str) -> String {
    let numbers: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    numbers.join(separator)
}

/// The characters that do not depend on what stands before and after, after this many bytes (modulo three).
fn inner_base64(engine: &GeneralPurpose, bytes: &[u8], alignment: usize) -> Vec<u8> {
    let text = engine.encode([&vec![0; alignment], bytes].concat());
    let first = (alignment * 8).div_ceil(6);
    let last = (alignment + bytes.len()) * 8 / 6;
    text.as_bytes()
        .get(first..last)
        .unwrap_or_default()
        .to_vec()
}

#[test]
fn base64_is_found_wherever_it_begins_and_whatever_follows() {
    let password = "Neu-ä\"ß%+ 7q and more of it";
    for before in 0..7 {
        for after in 0..7 {
            let text = [
                &vec![b'{'; before][..],
                password.as_bytes(),
                &vec![b'}'; after],
            ]
            .concat();
            let text = STANDARD_NO_PAD.encode(text);
            let found = all(password).iter().any(|encoded| {
                encoded.name == "Base64"
                    && text
                        .as_bytes()
                        .windows(encoded.bytes.len())
                        .any(|part| part == encoded.bytes)
            });
            assert!(found, "{before} {after}");
        }
    }
}
