//! The head's signature: who holds the key wrote the last entry, and none was cut off (pure).

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

use crate::Tip;

const SEPARATOR: &[u8] = b"writeback.ledger.head.v1\0";

/// What is signed of the end of a chain.
pub fn signed_bytes(tip: &Tip) -> Vec<u8> {
    [
        SEPARATOR,
        &tip.sequence.to_be_bytes(),
        &tip.at.to_be_bytes(),
        &tip.hash,
    ]
    .concat()
}

/// Whether this Ed25519 key signed this end.
pub fn signature_is_valid(public_key: &[u8], tip: &Tip, signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key)
        .verify(&signed_bytes(tip), signature)
        .is_ok()
}
