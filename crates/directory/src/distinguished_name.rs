//! Distinguished names, taken apart to be compared (RFC 4514).

use operation::DomainName;

/// A name of relative parts from the leaf to the root, in a form that compares as AD compares:
/// without regard to case or to how a character was escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DistinguishedName {
    parts: Vec<Vec<(String, String)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Part,
    Value,
    Name,
}

impl DistinguishedName {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut characters = text.chars().peekable();
        let mut parts = Vec::new();
        let mut part = Vec::new();
        loop {
            let mut attribute = String::new();
            loop {
                match characters.next()? {
                    '=' => break,
                    c if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ' ') => {
                        attribute.push(c.to_ascii_lowercase());
                    }
                    _ => return None,
                }
            }
            let attribute = attribute.trim();
            if attribute.is_empty() || attribute.contains(' ') {
                return None;
            }
            let (value, ends) = value(&mut characters)?;
            part.push((attribute.to_owned(), value));
            if ends != Ends::Value {
                part.sort();
                parts.push(std::mem::take(&mut part));
            }
            if ends == Ends::Name {
                return Some(Self { parts });
            }
        }
    }

    /// Whether this name is `ancestor` or lies below it.
    pub(crate) fn is_within(&self, ancestor: &Self) -> bool {
        self.parts.ends_with(&ancestor.parts)
    }

    /// How many parts it has: more, the deeper it lies.
    pub(crate) const fn depth(&self) -> usize {
        self.parts.len()
    }

    /// The parts from the root down, in the form that compares.
    pub(crate) fn path(&self) -> Vec<String> {
        let part = |values: &Vec<(String, String)>| {
            let values: Vec<String> = values
                .iter()
                .map(|(attribute, value)| format!("{attribute}={value}"))
                .collect();
            values.join("+")
        };
        self.parts.iter().rev().map(part).collect()
    }

    /// The domain that holds the object: the `DC` parts at the end.
    fn domain(&self) -> Option<DomainName> {
        let mut labels: Vec<&str> = self
            .parts
            .iter()
            .rev()
            .map_while(|part| match part.as_slice() {
                [(attribute, value)] if attribute == "dc" => Some(value.as_str()),
                _ => None,
            })
            .collect();
        labels.reverse();
        labels.join(".").parse().ok()
    }
}

/// The domain that a distinguished name lies in.
pub fn domain_of(distinguished_name: &str) -> Option<DomainName> {
    DistinguishedName::parse(distinguished_name)?.domain()
}

/// The name of the container that holds the object, as it was written. None above the last part.
pub(crate) fn parent_of(distinguished_name: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, c) in distinguished_name.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => return distinguished_name.get(at + 1..),
            _ => {}
        }
    }
    None
}

/// Reads one value up to the comma or plus that ends it.
fn value(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<(String, Ends)> {
    let mut bytes: Vec<u8> = Vec::new();
    // spaces at either end count only when escaped (RFC 4514 2.4, RFC 2253 4)
    let mut keep = 0;
    while characters.next_if_eq(&' ').is_some() {}
    let ends = loop {
        match characters.next() {
            None => break Ends::Name,
            Some(',') => break Ends::Part,
            Some('+') => break Ends::Value,
            Some('\\') => {
                bytes.extend(escaped(characters)?);
                keep = bytes.len();
            }
            Some('"' | ';' | '<' | '>' | '\0') => return None,
            Some(c) => {
                bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
                if c != ' ' {
                    keep = bytes.len();
                }
            }
        }
    };
    bytes.truncate(keep);
    let text = String::from_utf8(bytes).ok()?;
    if text.is_empty() {
        return None;
    }
    Some((text.to_lowercase(), ends))
}

fn escaped(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Vec<u8>> {
    let first = characters.next()?;
    match first.to_digit(16) {
        Some(high) => {
            let low = characters.next()?.to_digit(16)?;
            Some(vec![u8::try_from(high << 4 | low).ok()?])
        }
        None => Some(first.to_string().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_domain_is_the_trailing_components() {
        for (name, domain) in [
            (
                "CN=Ana,OU=People,DC=corp,DC=example,DC=com",
                Some("corp.example.com"),
            ),
            ("DC=Corp , dc = Example", Some("corp.example")),
            ("CN=Ana\\,DC=x,DC=corp", Some("corp")),
            ("CN=Ana", None),
            ("", None),
            ("CN=Ana,", None),
        ] {
            assert_eq!(
                domain_of(name).map(|d| d.to_string()).as_deref(),
                domain,
                "{name}"
            );
        }
    }

    #[test]
    fn the_parent_begins_after_the_first_comma_that_is_one() {
        assert_eq!(parent_of("CN=A\\, B,OU=x,DC=y"), Some("OU=x,DC=y"));
        assert_eq!(parent_of("CN=A\\\\,OU=x"), Some("OU=x"));
        assert_eq!(parent_of("DC=y"), None);
    }

    #[test]
    fn escapes_do_not_matter() {
        let plain = DistinguishedName::parse("OU=Größe\\, Ost,DC=corp").unwrap();
        for other in [
            "ou=GR\\C3\\B6\\C3\\9fe\\2c ost,dc=CORP",
            "OU= größe\\, ost ,DC=corp",
        ] {
            assert_eq!(DistinguishedName::parse(other).unwrap(), plain, "{other}");
        }
        assert_ne!(
            DistinguishedName::parse("OU=x\\ ,DC=corp"),
            DistinguishedName::parse("OU=x,DC=corp")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = DistinguishedName::parse(&text);
        }

        #[test]
        fn an_escaped_value_stays_one_part(value in "[^\\x00]{1,20}") {
            let escaped: String = value.bytes().map(|b| format!("\\{b:02x}")).collect::<Vec<_>>().concat();
            let name = DistinguishedName::parse(&format!("OU={escaped},DC=corp")).unwrap();
            prop_assert_eq!(name.parts.len(), 2);
            prop_assert_eq!(&name.parts[0][0].1, &value.to_lowercase());
        }
    }
}
