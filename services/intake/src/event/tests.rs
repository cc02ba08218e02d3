use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::json;
use time::macros::datetime;

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
        .collect()
}

const BINARY: [(&str, &str); 5] = [
    ("content-type", "application/json; charset=utf-8"),
    ("ce-specversion", "1.0"),
    ("ce-id", "a-1"),
    ("ce-source", "https://cloud.example/tenant"),
    ("ce-type", "dev.writeback.password.reset"),
];

fn one(headers: &HeaderMap, body: &[u8]) -> Result<Event, EventError> {
    match parse(headers, body)? {
        Events::One(event) => Ok(*event),
        Events::Batch(_) => panic!("a batch"),
    }
}

fn structured_body() -> Value {
    json!({
        "specversion": "1.0", "id": "a-1", "source": "https://cloud.example/tenant",
        "type": "dev.writeback.password.reset", "expirytime": "2026-11-21T12:00:00Z",
        "datacontenttype": "application/json", "anextension": 7, "data": {"x": 1},
    })
}

fn structured_one(body: &Value) -> Result<Event, EventError> {
    let headers = headers(&[("content-type", "application/cloudevents+json")]);
    one(&headers, body.to_string().as_bytes())
}

fn field(error: EventError) -> String {
    match error {
        EventError::Malformed { field, .. } => field,
        other @ EventError::UnsupportedMediaType(_) => panic!("{other}"),
    }
}

#[test]
fn binary_and_structured_mode_tell_the_same() {
    let mut headers = headers(&BINARY);
    headers.insert(
        "ce-expirytime",
        HeaderValue::from_static("2026-11-21T12:00:00Z"),
    );
    let binary = one(&headers, br#"{"x": 1}"#).unwrap();
    assert_eq!(binary, structured_one(&structured_body()).unwrap());
    assert_eq!(binary.expiry_time, Some(datetime!(2026-11-21 12:00 UTC)));
}

#[test]
fn header_values_are_unquoted_and_percent_decoded_once() {
    for (sent, read) in [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("\"a \\\"b\\\" %41\"", "a \"b\" A"),
        ("%2541", "%41"),
        ("%c3%a9", "é"),
    ] {
        let mut headers = headers(&BINARY);
        headers.insert("ce-id", sent.parse().unwrap());
        assert_eq!(one(&headers, b"{}").unwrap().id, read);
    }
    for sent in [
        "%",
        "%4",
        "%zz",
        "%C3%28",
        "%E2%82",
        "\"open",
        "\"a\"b",
        "%00",
        "%0A",
        "%E2%80%A8",
    ] {
        let mut headers = headers(&BINARY);
        headers.insert("ce-id", sent.parse().unwrap());
        assert_eq!(field(one(&headers, b"{}").unwrap_err()), "ce-id", "{sent}");
    }
}

#[test]
fn a_missing_or_doubled_header_is_named() {
    for name in ["ce-specversion", "ce-id", "ce-source", "ce-type"] {
        let mut headers = headers(&BINARY);
        headers.remove(name);
        assert_eq!(field(one(&headers, b"{}").unwrap_err()), name);
        headers.insert(name, HeaderValue::from_static(""));
        assert_eq!(field(one(&headers, b"{}").unwrap_err()), name);
        headers.append(name, HeaderValue::from_static("1.0"));
        assert_eq!(field(one(&headers, b"{}").unwrap_err()), name);
    }
}

#[test]
fn a_wrong_attribute_is_named() {
    for (name, value) in [
        ("specversion", json!("0.3")),
        ("specversion", json!(1.0)),
        ("id", json!("")),
        ("id", json!(7)),
        ("id", json!("a\u{0}b")),
        ("id", json!("x".repeat(513))),
        ("source", json!("two words")),
        ("source", json!("x".repeat(1025))),
        ("source", json!(null)),
        ("type", json!(["dev.writeback.password.reset"])),
        ("time", json!("yesterday")),
        ("expirytime", json!("2026-11-21")),
        ("expirytime", json!(1_763_726_400)),
        ("subject", json!("")),
        ("datacontenttype", json!("application/xml")),
        ("data_base64", json!("e30=")),
    ] {
        let mut body = structured_body();
        body[name] = value;
        assert_eq!(field(structured_one(&body).unwrap_err()), name);
    }
    let mut body = structured_body();
    body.as_object_mut().unwrap().remove("data");
    assert_eq!(field(structured_one(&body).unwrap_err()), "data");
    body["data_base64"] = json!("eyJ4IjogMX0=");
    assert_eq!(structured_one(&body).unwrap().data, json!({"x": 1}));
    for bad in ["%", "eyJ4"] {
        body["data_base64"] = json!(bad);
        assert_eq!(field(structured_one(&body).unwrap_err()), "data_base64");
    }
}

#[test]
fn an_attribute_nobody_knows_is_ignored_if_it_is_one() {
    for (name, named) in [
        ("expiryTime", "expiryTime"),
        ("expirytim", "expirytim"),
        ("expiry_time", "expiry_time"),
        ("Tenant", "Tenant"),
        ("data-schema", "data-schema"),
        ("", "body"),
        ("two words", "body"),
    ] {
        let mut body = structured_body();
        body[name] = json!("2026-11-21T12:00:00Z");
        assert_eq!(field(structured_one(&body).unwrap_err()), named);
    }
    for (name, named) in [
        ("ce-expirytimes", Some("ce-expirytimes")),
        ("ce-expiry-time", Some("ce-expiry-time")),
        ("ce-a-b", Some("ce-a-b")),
        ("ce-tenant", None),
        ("x-expirytimes", None),
    ] {
        let mut sent = headers(&BINARY);
        sent.insert(name, HeaderValue::from_static("2026-11-21T12:00:00Z"));
        assert_eq!(one(&sent, b"{}").err().map(field).as_deref(), named);
    }
}

#[test]
fn an_optional_attribute_that_is_null_is_left_out() {
    let mut body = structured_body();
    for name in [
        "time",
        "subject",
        "expirytime",
        "datacontenttype",
        "data_base64",
    ] {
        body[name] = json!(null);
    }
    assert_eq!(structured_one(&body).unwrap().expiry_time, None);
}

#[test]
fn a_batch_names_the_event() {
    let headers = headers(&[(
        "content-type",
        "Application/CloudEvents-Batch+JSON; charset=UTF-8",
    )]);
    let batch = |items: &Value| parse(&headers, items.to_string().as_bytes());
    let Ok(Events::Batch(events)) = batch(&json!([structured_body(), structured_body()])) else {
        panic!("not a batch");
    };
    assert_eq!(events.len(), 2);
    assert_eq!(batch(&json!([])).unwrap(), Events::Batch(Vec::new()));
    let mut bad = structured_body();
    bad["id"] = json!(null);
    assert_eq!(
        field(batch(&json!([structured_body(), bad])).unwrap_err()),
        "[1].id"
    );
    assert_eq!(field(batch(&json!([7])).unwrap_err()), "[0]");
    assert_eq!(field(batch(&json!({})).unwrap_err()), "body");
}

#[test]
fn other_content_types_are_not_supported() {
    for content in [
        "text/plain",
        "application/xml",
        "application/cloudevents+avro",
        "application/cloudevents-batch+protobuf",
        "application/cloudevents+json; charset=utf-16",
        "",
    ] {
        let error = parse(&headers(&[("content-type", content)]), b"{}").unwrap_err();
        assert!(
            matches!(error, EventError::UnsupportedMediaType(_)),
            "{content}"
        );
    }
    let mut coded = headers(&BINARY);
    coded.insert("content-encoding", HeaderValue::from_static("identity"));
    assert!(parse(&coded, b"{}").is_ok());
    coded.insert("content-encoding", HeaderValue::from_static("gzip"));
    let error = parse(&coded, b"{}").unwrap_err();
    assert!(matches!(error, EventError::UnsupportedMediaType(_)));
    let error = parse(&HeaderMap::new(), b"{}").unwrap_err();
    assert!(matches!(error, EventError::UnsupportedMediaType(_)));
}

#[test]
fn malformed_json_is_told_without_repeating_it() {
    for body in [&b"{"[..], b"", b"\"secret", b"\xff", b"{\"a\": secret}"] {
        let error = one(&headers(&BINARY), body).unwrap_err();
        assert!(!error.to_string().contains("secret"));
        assert_eq!(field(error), "body");
    }
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    assert_eq!(field(one(&headers(&BINARY), &deep).unwrap_err()), "body");
}

proptest! {
    #[test]
    fn nothing_that_is_sent_makes_it_panic(
        body in prop::collection::vec(any::<u8>(), 0..300),
        id in prop::collection::vec(any::<u8>(), 0..40),
        source in ".{0,40}",
        content in prop::sample::select(vec![
            "application/json", "application/cloudevents+json", "application/cloudevents-batch+json", ";;", "a/b;charset=",
        ]),
    ) {
        let mut sent = headers(&BINARY);
        sent.insert("content-type", HeaderValue::from_static(content));
        if let Ok(value) = HeaderValue::from_bytes(&id) {
            sent.insert("ce-id", value);
        }
        if let Ok(value) = HeaderValue::from_str(&source) {
            sent.insert("ce-source", value);
        }
        let _ = parse(&sent, &body);
    }

    #[test]
    fn any_text_survives_percent_encoding(text in "[^\\p{Cc}]{1,40}") {
        use std::fmt::Write as _;
        let encoded = text.bytes().fold(String::new(), |mut all, byte| {
            let _ = write!(all, "%{byte:02X}");
            all
        });
        let mut sent = headers(&BINARY);
        sent.insert("ce-id", encoded.parse().unwrap());
        prop_assert_eq!(one(&sent, b"{}").unwrap().id, text);
    }
}
