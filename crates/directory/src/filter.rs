//! Search filters, with every value escaped (RFC 4515 3).

use std::fmt::Write as _;

use operation::DomainName;

use crate::Identifier;

/// Escapes every byte that is not a plain letter or digit: nothing can then end the value.
pub(crate) fn escape(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "\\{byte:02x}");
        }
        text
    })
}

/// The filter that finds the object with this identifier.
pub(crate) fn by(identifier: &Identifier) -> String {
    match identifier {
        Identifier::ObjectGuid(guid) => format!("(objectGUID={})", escape(guid.as_bytes())),
        Identifier::ConsistencyGuid(anchor) => {
            format!("(mS-DS-ConsistencyGuid={})", escape(anchor.as_bytes()))
        }
        Identifier::SecurityIdentifier(sid) => format!("(objectSid={})", escape(&sid.to_bytes())),
        Identifier::UserPrincipalName(upn) => {
            format!("(userPrincipalName={})", escape(upn.as_str().as_bytes()))
        }
    }
}

/// The naming context of a domain, as a search base.
pub(crate) fn base(domain: &DomainName) -> String {
    domain.distinguished_name()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_end_the_filter() {
        let upn = "a*)(cn=\\@corp".parse().unwrap();
        assert_eq!(
            by(&Identifier::UserPrincipalName(upn)),
            r"(userPrincipalName=a\2a\29\28cn\3d\5c\40corp)"
        );
        let guid = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
        assert_eq!(
            by(&Identifier::ObjectGuid(guid)),
            r"(objectGUID=3\22\11\00UDwf\88\99\aa\bb\cc\dd\ee\ff)"
        );
    }
}
