//! Entries of a search, and the texts in them.

use std::collections::HashMap;

use ldap3::SearchEntry;
use time::{Date, Month, OffsetDateTime, Time};

/// One entry. `ldap3` sorts values into texts and bytes by what they happen to look like; here every
/// value is bytes, under its attribute's name in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) dn: String,
    attributes: HashMap<String, Vec<Vec<u8>>>,
}

impl From<SearchEntry> for Entry {
    fn from(entry: SearchEntry) -> Self {
        let mut attributes: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
        for (name, values) in entry.attrs {
            attributes
                .entry(name.to_ascii_lowercase())
                .or_default()
                .extend(values.into_iter().map(String::into_bytes));
        }
        for (name, values) in entry.bin_attrs {
            attributes
                .entry(name.to_ascii_lowercase())
                .or_default()
                .extend(values);
        }
        Self {
            dn: entry.dn,
            attributes,
        }
    }
}

impl Entry {
    pub(crate) fn bytes(&self, attribute: &str) -> Option<&[u8]> {
        self.values(attribute).first().map(Vec::as_slice)
    }

    pub(crate) fn text(&self, attribute: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(attribute)?).ok()
    }

    pub(crate) fn texts(&self, attribute: &str) -> impl Iterator<Item = &str> {
        self.values(attribute)
            .iter()
            .filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// A flag word. AD sends it as a signed number (MS-ADTS 3.1.1.2.2.2.6).
    pub(crate) fn bits(&self, attribute: &str) -> Option<u32> {
        self.text(attribute)?
            .parse::<i32>()
            .ok()
            .map(i32::cast_unsigned)
    }

    pub(crate) fn values(&self, attribute: &str) -> &[Vec<u8>] {
        self.attributes
            .get(&attribute.to_ascii_lowercase())
            .map_or(&[], Vec::as_slice)
    }

    #[cfg(test)]
    pub(crate) fn for_test(dn: &str, attributes: &[(&str, Vec<Vec<u8>>)]) -> Self {
        Self {
            dn: dn.to_owned(),
            attributes: attributes
                .iter()
                .map(|(name, values)| (name.to_ascii_lowercase(), values.clone()))
                .collect(),
        }
    }
}

/// Reads a generalized time as AD writes it, such as `20261121053807.0Z` (MS-ADTS 3.1.1.2.2.2.11).
pub(crate) fn generalized_time(text: &str) -> Option<OffsetDateTime> {
    let (whole, fraction) = text.strip_suffix('Z')?.split_at_checked(14)?;
    if !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if !fraction.is_empty()
        && !fraction
            .strip_prefix('.')?
            .bytes()
            .all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let number = |from: usize, to: usize| whole.get(from..to)?.parse::<u16>().ok();
    let small = |from, to| u8::try_from(number(from, to)?).ok();
    let month = Month::try_from(small(4, 6)?).ok()?;
    let date = Date::from_calendar_date(i32::from(number(0, 4)?), month, small(6, 8)?).ok()?;
    let time = Time::from_hms(small(8, 10)?, small(10, 12)?, small(12, 14)?).ok()?;
    Some(OffsetDateTime::new_utc(date, time))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn generalized_times() {
        for (text, expected) in [
            (
                "20261121053807.0Z",
                Some(datetime!(2026-11-21 05:38:07 UTC)),
            ),
            ("20240229000000Z", Some(datetime!(2024-02-29 00:00 UTC))),
            ("20230229000000.0Z", None),
            ("20261121053807.0", None),
            ("2026112105380é.0Z", None),
            ("", None),
        ] {
            assert_eq!(generalized_time(text), expected, "{text}");
        }
    }

    #[test]
    fn flags_are_signed_on_the_wire() {
        let entry = Entry::for_test("DC=x", &[("flags", vec![b"-2147483646".to_vec()])]);
        assert_eq!(entry.bits("Flags"), Some(0x8000_0002));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = generalized_time(&text);
        }
    }
}
