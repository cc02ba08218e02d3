//! JSON in which no member is given twice. RFC 8259 (4) leaves open which of two counts: who checks a message and who
//! carries it out could take it differently.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

const TWICE: &str = "a member is given twice";
/// What serde says is not passed on, for it may quote what was sent; by these its words begin, and this is said instead.
const SAID: [(&str, &str); 3] = [
    (TWICE, TWICE),
    ("recursion limit exceeded", "more than 127 values nested"),
    ("number out of range", "a number is out of range"),
];

struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unambiguous(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Unambiguous(value))) = entries.next_entry::<String, _>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(Value::Object(members))
    }
}

/// # Errors
/// In words: where the text stops to be JSON without ambiguity, by line and column only.
pub(super) fn read(text: &[u8]) -> Result<Value, String> {
    let read: Result<Unambiguous, _> = serde_json::from_slice(text);
    read.map(|Unambiguous(value)| value).map_err(|error| {
        let problem = error.to_string();
        let what = SAID
            .iter()
            .find(|(serde, _)| problem.starts_with(serde))
            .map_or("not valid JSON", |(_, said)| said);
        format!("{what} at line {}, column {}", error.line(), error.column())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_is_what_serde_reads() {
        for text in [
            r#"{"a": [1, -2, 3.5, 1e300, true, null, "é\u0000", {}], "b": {"a": 18446744073709551615}}"#,
            "[]",
            "\"text\"",
        ] {
            let expected: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read(text.as_bytes()), Ok(expected));
        }
        assert_eq!(read(b"{\"a\": 1}"), Ok(json!({ "a": 1 })));
    }

    #[test]
    fn a_member_given_twice_is_refused_wherever_it_is() {
        for text in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": [{"b": 1, "c": 2, "b": 3}]}"#,
            r#"{"a": 1, "\u0061": 2}"#,
        ] {
            let problem = read(text.as_bytes()).unwrap_err();
            assert!(
                problem.starts_with("a member is given twice at line 1, column "),
                "{problem}"
            );
        }
    }

    #[test]
    fn what_is_json_but_too_much_is_not_called_none() {
        let nested = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(read(nested(127).as_bytes()).is_ok());
        let problem = read(nested(128).as_bytes()).unwrap_err();
        assert!(
            problem.starts_with("more than 127 values nested at line 1"),
            "{problem}"
        );
        let problem = read(b"[1e999]").unwrap_err();
        assert!(
            problem.starts_with("a number is out of range at line 1"),
            "{problem}"
        );
        assert!(read(b"[x]").unwrap_err().starts_with("not valid JSON"));
    }

    #[test]
    fn no_problem_quotes_what_was_sent() {
        for text in [
            "{\"secret\": secret}",
            "{\"secret\": 1, \"secret\": 2}",
            "{\"secret\"",
        ] {
            let problem = read(text.as_bytes()).unwrap_err();
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
