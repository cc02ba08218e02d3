//! LDAP messages on a stream (RFC 4511 5.1: one BER value after the other).

use std::io;

use rasn_ldap::{LdapMessage, LdapResult, ProtocolOp, ResultCode, SearchResultEntry};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::script::Answer;

/// Nothing that a test sends is longer.
const LONGEST: usize = 1 << 20;

/// None when the client closes the connection between two messages.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<LdapMessage>> {
    let mut message = vec![0; 2];
    match stream.read_exact(&mut message).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let length = match message.as_slice() {
        [0x30, short @ ..=0x7f] => usize::from(*short),
        [0x30, long @ 0x81..=0x84] => {
            let mut digits = vec![0; usize::from(long & 0x7f)];
            stream.read_exact(&mut digits).await?;
            message.extend(&digits);
            digits
                .iter()
                .fold(0, |length, digit| length << 8 | usize::from(*digit))
        }
        _ => return Err(invalid("it is no LDAPMessage".to_owned())),
    };
    if length > LONGEST {
        return Err(invalid("it is too long".to_owned()));
    }
    let begins = message.len();
    message.resize(begins + length, 0);
    if let Some(body) = message.get_mut(begins..) {
        stream.read_exact(body).await?;
    }
    rasn::ber::decode(&message)
        .map(Some)
        .map_err(|error| invalid(error.to_string()))
}

pub(crate) fn encode(messages: &[LdapMessage]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for message in messages {
        let message = rasn::ber::encode(message)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        bytes.extend(message);
    }
    Ok(bytes)
}

pub(crate) fn result(answer: &Answer) -> LdapResult {
    let mut result = LdapResult::new(
        answer.result,
        String::new().into(),
        answer.text.clone().into(),
    );
    if !answer.referral.is_empty() {
        let targets = answer.referral.iter();
        result.referral = Some(targets.map(|url| url.clone().into()).collect());
    }
    result
}

/// An entry, with the attributes in the order given.
pub(crate) fn entry(dn: &str, attributes: Vec<(String, Vec<Vec<u8>>)>) -> ProtocolOp {
    let attributes = attributes.into_iter().map(|(name, values)| {
        let values: Vec<rasn::types::OctetString> = values.into_iter().map(Into::into).collect();
        rasn_ldap::PartialAttribute::new(name.into(), values.into())
    });
    ProtocolOp::SearchResEntry(SearchResultEntry::new(dn.into(), attributes.collect()))
}

pub(crate) fn is_success(answer: &Answer) -> bool {
    answer.result == ResultCode::Success
}
