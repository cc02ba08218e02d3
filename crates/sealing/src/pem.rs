//! The one PEM block this crate reads and writes: an unencrypted PKCS#8 key (RFC 7468 10).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::KeyError;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
const LINE: usize = 64;

pub(crate) fn decode(pem: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (_, rest) = pem.split_once(BEGIN).ok_or(KeyError::NotPem)?;
    let (body, after) = rest.split_once(END).ok_or(KeyError::NotPem)?;
    if after.contains(BEGIN) {
        return Err(KeyError::NotPem);
    }
    let mut text = Zeroizing::new(Vec::with_capacity(body.len()));
    text.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    // Sized beforehand: a buffer that grows leaves copies of the key behind.
    let mut der = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = STANDARD
        .decode_slice(text.as_slice(), der.as_mut_slice())
        .map_err(|_| KeyError::NotPem)?;
    der.truncate(length);
    Ok(der)
}

pub(crate) fn encode(der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let lines = body.len() / LINE + 4;
    let mut pem = Zeroizing::new(String::with_capacity(
        body.len() + lines + BEGIN.len() + END.len(),
    ));
    pem.push_str(BEGIN);
    pem.push('\n');
    for (position, character) in body.chars().enumerate() {
        if position > 0 && position % LINE == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push('\n');
    pem.push_str(END);
    pem.push('\n');
    pem
}
