//! A256GCM (RFC 7518 5.3): the content, under a key made for one message only.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    error::Unspecified,
    rand,
};
use zeroize::Zeroizing;

pub(crate) type ContentKey = Zeroizing<[u8; 32]>;
pub(crate) type InitialisationVector = [u8; 12];
pub(crate) type Tag = [u8; 16];

pub(crate) fn fresh_key() -> Result<ContentKey, Unspecified> {
    let mut key = ContentKey::default();
    rand::fill(key.as_mut_slice())?;
    Ok(key)
}

fn cipher(key: &ContentKey) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&AES_256_GCM, key.as_slice()).map(LessSafeKey::new)
}

/// Encrypts in place, so that the plaintext is gone once this returns.
pub(crate) fn encrypt(
    key: &ContentKey,
    aad: &[u8],
    content: &mut [u8],
) -> Result<(InitialisationVector, Tag), Unspecified> {
    let mut iv = InitialisationVector::default();
    rand::fill(&mut iv)?;
    let nonce = Nonce::assume_unique_for_key(iv);
    let tag = cipher(key)?.seal_in_place_separate_tag(nonce, Aad::from(aad), content)?;
    let tag = Tag::try_from(tag.as_ref()).map_err(|_| Unspecified)?;
    Ok((iv, tag))
}

pub(crate) fn decrypt(
    key: &ContentKey,
    iv: InitialisationVector,
    aad: &[u8],
    ciphertext: &[u8],
    tag: &Tag,
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
    let nonce = Nonce::assume_unique_for_key(iv);
    cipher(key)?.open_separate_gather(
        nonce,
        Aad::from(aad),
        ciphertext,
        tag,
        plaintext.as_mut_slice(),
    )?;
    Ok(plaintext)
}
