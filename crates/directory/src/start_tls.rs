//! StartTLS (RFC 4511 4.14), the one exchange in the clear: nothing else is sent before TLS.
//!
//! It is read here and not by `ldap3`: whoever answers is not known yet, and `ldap3` sets no bound to
//! how long or how deep an answer may be. Not a byte after the answer is read, so what somebody put
//! there in the clear reaches the TLS handshake and breaks it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::error::ConnectError;

/// Message 1: an ExtendedRequest `[APPLICATION 23]` with the name `[0]` of StartTLS, in BER.
const REQUEST: &[u8; 31] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// A real answer has some forty bytes, a long text included some hundred.
const LONGEST: usize = 4096;

const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0a;
const SEQUENCE: u8 = 0x30;
/// `[APPLICATION 24]`
const EXTENDED_RESPONSE: u8 = 0x78;

/// Asks for TLS. After `Ok` the handshake is next.
pub(crate) async fn start_tls(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<(), ConnectError> {
    let unreachable = |error: io::Error| ConnectError::Unreachable(error.to_string());
    stream.write_all(REQUEST).await.map_err(unreachable)?;
    stream.flush().await.map_err(unreachable)?;
    let message = read_message(stream).await.map_err(unreachable)?;
    match answer(&message) {
        Some((1, 0)) => Ok(()),
        // Windows without a usable certificate says unavailable, as it does when it is going down
        Some((_, result @ (51 | 52))) => Err(ConnectError::Unreachable(format!(
            "it cannot start TLS: it has no certificate, is busy or going down (LDAP result {result})"
        ))),
        Some((_, result @ 1..)) => Err(ConnectError::Untrusted(format!(
            "it refuses StartTLS (LDAP result {result}), and nothing is said in the clear: \
             give it a certificate, or name its ldaps:// port"
        ))),
        Some((_, 0)) | None => Err(ConnectError::Unreachable(
            "it answers StartTLS with something else".to_owned(),
        )),
    }
}

/// The content of one LDAPMessage.
async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "it does not speak LDAP");
    if stream.read_u8().await? != SEQUENCE {
        return Err(malformed());
    }
    let length = match stream.read_u8().await? {
        short @ 0..=0x7f => usize::from(short),
        // Active Directory writes every length with four bytes
        long @ 0x81..=0x84 => {
            let mut length = 0_usize;
            for _ in 0..(long & 0x7f) {
                length = (length << 8) | usize::from(stream.read_u8().await?);
            }
            length
        }
        _ => return Err(malformed()),
    };
    if length > LONGEST {
        return Err(malformed());
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// The message's number and the result code, if it is an ExtendedResponse; number 0 is the notice of
/// disconnection (RFC 4511 4.4.1). Its text is anybody's and not repeated.
fn answer(message: &[u8]) -> Option<(u8, u8)> {
    let (number, rest) = element(message, INTEGER)?;
    let (response, _) = element(rest, EXTENDED_RESPONSE)?;
    let (result, _) = element(response, ENUMERATED)?;
    match (number, result) {
        ([number], [result]) => Some((*number, *result)),
        _ => None,
    }
}

/// The content of the first element, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        short @ 0..=0x7f => (usize::from(*short), rest),
        long @ 0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = digits
                .iter()
                .fold(0_usize, |length, digit| (length << 8) | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    (*found == tag)
        .then(|| rest.split_at_checked(length))
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::duplex;

    use super::*;

    async fn answered(with: &[u8]) -> (Result<(), ConnectError>, Vec<u8>) {
        let (mut ours, mut theirs) = duplex(1 << 16);
        theirs.write_all(with).await.unwrap();
        let outcome = start_tls(&mut ours).await;
        let mut left = Vec::new();
        theirs.shutdown().await.unwrap();
        ours.read_to_end(&mut left).await.unwrap();
        (outcome, left)
    }

    #[tokio::test]
    async fn goes_on_after_success_alone() {
        // as Windows writes it, with lengths of four bytes
        let windows = b"\x30\x84\x00\x00\x00\x28\x02\x01\x01\x78\x84\x00\x00\x00\x1f\x0a\x01\x00\
            \x04\x00\x04\x00\x8a\x161.3.6.1.4.1.1466.20037";
        let short = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
        for success in [&windows[..], short] {
            let more = [success, b"and more"].concat();
            let (outcome, left) = answered(&more).await;
            outcome.unwrap();
            assert_eq!(left, b"and more", "not a byte too many is read");
        }
    }

    #[tokio::test]
    async fn a_refusal_and_what_is_no_answer_are_told_apart() {
        let response = |number: u8, result: u8| {
            [
                &b"\x30\x0c\x02\x01"[..],
                &[number],
                b"\x78\x07\x0a\x01",
                &[result],
                b"\x04\x00\x04\x00",
            ]
            .concat()
        };
        for (number, result) in [(1, 2), (1, 53), (0, 2)] {
            let (outcome, _) = answered(&response(number, result)).await;
            let Err(ConnectError::Untrusted(cause)) = outcome else {
                panic!("{outcome:?}");
            };
            assert!(cause.contains("refuses StartTLS"), "{cause}");
        }
        for bytes in [
            response(1, 52),
            response(0, 52),
            response(0, 0),
            response(2, 0),
            b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00".to_vec(),
            b"\x30\x84\x7f\xff\xff\xff\x02".to_vec(),
            b"\x30\x80\x02\x01\x01".to_vec(),
            b"HTTP/1.1 400 Bad Request\r\n".to_vec(),
        ] {
            let (outcome, _) = answered(&bytes).await;
            assert!(
                matches!(outcome, Err(ConnectError::Unreachable(_))),
                "{bytes:?}: {outcome:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = answer(&bytes);
        }
    }
}
