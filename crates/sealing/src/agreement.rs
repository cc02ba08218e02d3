//! ECDH-ES+A256KW on P-256: agreement, Concat KDF (RFC 7518 4.6) and AES key wrap (RFC 3394).

use aws_lc_rs::{
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
    digest,
    error::Unspecified,
    key_wrap::{AES_256, AesKek, KeyWrap as _},
};
use zeroize::Zeroizing;

use crate::{Algorithm, content::ContentKey};

/// A point on P-256, uncompressed (SEC 1): 0x04, x, y.
pub(crate) type Point = [u8; 65];

/// A content key wrapped by AES-256 is eight bytes longer than the key.
const WRAPPED_LENGTH: usize = 40;

/// The single-step KDF of NIST SP 800-56A with SHA-256, for one block: up to 256 bits.
pub(crate) fn concat_kdf(
    shared_secret: &[u8],
    algorithm_id: &str,
    party_u: &[u8],
    party_v: &[u8],
    key_bits: u32,
) -> Result<Zeroizing<[u8; 32]>, Unspecified> {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&1_u32.to_be_bytes());
    hash.update(shared_secret);
    for info in [algorithm_id.as_bytes(), party_u, party_v] {
        let length = u32::try_from(info.len()).map_err(|_| Unspecified)?;
        hash.update(&length.to_be_bytes());
        hash.update(info);
    }
    hash.update(&key_bits.to_be_bytes());
    let block = <[u8; 32]>::try_from(hash.finish().as_ref()).map_err(|_| Unspecified)?;
    Ok(Zeroizing::new(block))
}

fn key_encryption_key(
    mine: &PrivateKey,
    theirs: &Point,
    party_u: &[u8],
    party_v: &[u8],
) -> Result<AesKek, Unspecified> {
    let peer = UnparsedPublicKey::new(&ECDH_P256, theirs.as_slice());
    let key = agree(mine, peer, Unspecified, |shared_secret| {
        let algorithm_id = Algorithm::EcdhEsA256Kw.as_str();
        concat_kdf(shared_secret, algorithm_id, party_u, party_v, 256)
    })?;
    AesKek::new(&AES_256, key.as_slice())
}

pub(crate) fn point_of(key: &PrivateKey) -> Result<Point, Unspecified> {
    let public = key.compute_public_key()?;
    Point::try_from(public.as_ref()).map_err(|_| Unspecified)
}

/// Wraps the content key for `recipient`; returns the ephemeral point and the wrapped key.
pub(crate) fn wrap(
    recipient: &Point,
    content_key: &ContentKey,
) -> Result<(Point, Vec<u8>), Unspecified> {
    let ephemeral = PrivateKey::generate(&ECDH_P256)?;
    let kek = key_encryption_key(&ephemeral, recipient, &[], &[])?;
    let mut wrapped = [0; WRAPPED_LENGTH];
    let wrapped = kek.wrap(content_key.as_slice(), &mut wrapped)?.to_vec();
    Ok((point_of(&ephemeral)?, wrapped))
}

pub(crate) fn unwrap(
    mine: &PrivateKey,
    ephemeral: &Point,
    party_u: &[u8],
    party_v: &[u8],
    wrapped: &[u8],
) -> Result<ContentKey, Unspecified> {
    if wrapped.len() != WRAPPED_LENGTH {
        return Err(Unspecified);
    }
    let kek = key_encryption_key(mine, ephemeral, party_u, party_v)?;
    let mut key = Zeroizing::new([0; WRAPPED_LENGTH]);
    let key = kek.unwrap(wrapped, key.as_mut_slice())?;
    let key = <[u8; 32]>::try_from(&*key).map_err(|_| Unspecified)?;
    Ok(Zeroizing::new(key))
}
