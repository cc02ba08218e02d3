//! CloudEvents 1.0 over HTTP (the HTTP binding 1.0.2): binary, structured and batched mode.

mod json;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use operation::{is_event_id, is_event_source};
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::misspelt::meant;

/// One event, its attributes checked, its data not yet looked at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) kind: String,
    pub(crate) expiry_time: Option<OffsetDateTime>,
    pub(crate) data: Value,
}

/// What one request carries.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Events {
    One(Box<Event>),
    Batch(Vec<Event>),
}

/// Why a request is not an event; the field and the remedy are in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventError {
    #[error(
        "Content-Type: {0}; send application/json with ce- headers, application/cloudevents+json or application/cloudevents-batch+json"
    )]
    UnsupportedMediaType(String),
    #[error("{field}: {problem}")]
    Malformed { field: String, problem: String },
}

impl EventError {
    pub(crate) fn malformed(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// The same, seen from the batch the event is in.
    pub(crate) fn at(self, index: usize) -> Self {
        match self {
            Self::Malformed { field, problem } => Self::Malformed {
                field: format!("[{index}].{field}"),
                problem,
            },
            other @ Self::UnsupportedMediaType(_) => other,
        }
    }
}

/// Reads a request in whichever mode its content type says.
pub(crate) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Events, EventError> {
    // RFC 9110 8.4: a coding that cannot be undone here is 415, not garbage
    let coded = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if coded {
        return Err(EventError::UnsupportedMediaType(
            "a body with a Content-Encoding is not supported; send it plain".to_owned(),
        ));
    }
    match media_type(headers)?.as_str() {
        "application/cloudevents+json" => match json(body)? {
            Value::Object(members) => structured(members).map(|event| Events::One(Box::new(event))),
            _ => Err(EventError::malformed("body", "a JSON object is expected")),
        },
        "application/cloudevents-batch+json" => match json(body)? {
            Value::Array(items) => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| match item {
                    Value::Object(members) => structured(members).map_err(|error| error.at(index)),
                    _ => Err(EventError::malformed(
                        format!("[{index}]"),
                        "a JSON object is expected",
                    )),
                })
                .collect::<Result<_, _>>()
                .map(Events::Batch),
            _ => Err(EventError::malformed(
                "body",
                "a JSON array of events is expected",
            )),
        },
        media if is_json(media) => binary(headers, body).map(|event| Events::One(Box::new(event))),
        other => Err(EventError::UnsupportedMediaType(format!(
            "{other} is not supported"
        ))),
    }
}

/// The content type in lower case, its parameters checked and dropped.
fn media_type(headers: &HeaderMap) -> Result<String, EventError> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value,
        (None, _) => return Err(EventError::UnsupportedMediaType("missing".to_owned())),
        (Some(_), Some(_)) => {
            return Err(EventError::UnsupportedMediaType("given twice".to_owned()));
        }
    };
    let text = value
        .to_str()
        .map_err(|_| EventError::UnsupportedMediaType("not a media type".to_owned()))?;
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    for parameter in parts {
        if let Some((name, charset)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("charset")
            && !charset
                .trim()
                .trim_matches('"')
                .eq_ignore_ascii_case("utf-8")
        {
            return Err(EventError::UnsupportedMediaType(
                "only charset=utf-8 is supported".to_owned(),
            ));
        }
    }
    Ok(essence)
}

/// RFC 6839 3.1: JSON, or a type with the structured suffix `+json`. The formats of CloudEvents
/// itself are not data.
fn is_json(media: &str) -> bool {
    media == "application/json"
        || (media.ends_with("+json") && !media.starts_with("application/cloudevents"))
}

fn json(body: &[u8]) -> Result<Value, EventError> {
    json::read(body).map_err(|problem| EventError::malformed("body", problem))
}

fn structured(mut members: Map<String, Value>) -> Result<Event, EventError> {
    let mut attribute = |name: &'static str| match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(EventError::malformed(name, "a string is expected")),
    };
    let attributes = Attributes {
        spec_version: attribute("specversion")?,
        id: attribute("id")?,
        source: attribute("source")?,
        kind: attribute("type")?,
        time: attribute("time")?,
        subject: attribute("subject")?,
        expiry_time: attribute("expirytime")?,
    };
    if let Some(content) = attribute("datacontenttype")? {
        let essence = content
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if !is_json(&essence) {
            return Err(EventError::malformed(
                "datacontenttype",
                "only JSON data is accepted; send application/json",
            ));
        }
    }
    let encoded = attribute("data_base64")?;
    let data = match (members.remove("data"), encoded) {
        (Some(data), None) => data,
        (None, Some(encoded)) => {
            let bytes = STANDARD
                .decode(encoded)
                .map_err(|_| EventError::malformed("data_base64", "not Base64"))?;
            json::read(&bytes).map_err(|problem| {
                EventError::malformed("data_base64", format!("what it holds is {problem}"))
            })?
        }
        (Some(_), Some(_)) => {
            return Err(EventError::malformed(
                "data_base64",
                "give either data or data_base64",
            ));
        }
        (None, None) => return Err(EventError::malformed("data", "missing")),
    };
    attributes.check_present("")?;
    members.keys().try_for_each(|name| extension(name, ""))?;
    attributes.into_event(data, "")
}

fn binary(headers: &HeaderMap, body: &[u8]) -> Result<Event, EventError> {
    let attributes = Attributes {
        spec_version: header(headers, "ce-specversion")?,
        id: header(headers, "ce-id")?,
        source: header(headers, "ce-source")?,
        kind: header(headers, "ce-type")?,
        time: header(headers, "ce-time")?,
        subject: header(headers, "ce-subject")?,
        expiry_time: header(headers, "ce-expirytime")?,
    };
    // The attributes first: a plain JSON document sent by mistake lacks them, and that is the news.
    attributes.check_present("ce-")?;
    headers
        .keys()
        .filter_map(|name| name.as_str().strip_prefix("ce-"))
        .try_for_each(|name| extension(name, "ce-"))?;
    attributes.into_event(json(body)?, "ce-")
}

/// What an attribute that says nothing to us may be called (CloudEvents 1.0, 3.1), lest a deadline that was meant be
/// overlooked.
fn extension(name: &str, prefix: &str) -> Result<(), EventError> {
    if let Some(ours) = meant(name, &["expirytime"]) {
        return Err(EventError::malformed(
            format!("{prefix}{name}"),
            format!("unknown; write {prefix}{ours}"),
        ));
    }
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if name.is_empty() || !name.bytes().all(is_name) {
        // one that can be shown
        let shown =
            (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        return Err(EventError::malformed(
            if shown {
                format!("{prefix}{name}")
            } else {
                "body".to_owned()
            },
            "an attribute's name has lower-case letters and digits only (CloudEvents 1.0, 3.1); write it so or leave it out",
        ));
    }
    Ok(())
}

/// One attribute from its header: quoted strings unescaped, then one round of percent-decoding
/// (HTTP binding 3.1.3.2).
fn header(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, EventError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(EventError::malformed(name, "given twice"));
    }
    let unquoted = unquote(value.as_bytes())
        .ok_or_else(|| EventError::malformed(name, "the quoted string does not end"))?;
    let decoded = percent_decode(&unquoted)
        .ok_or_else(|| EventError::malformed(name, "a % is not followed by two hex digits"))?;
    String::from_utf8(decoded)
        .map(Some)
        .map_err(|_| EventError::malformed(name, "not UTF-8 once percent-decoded"))
}

fn unquote(value: &[u8]) -> Option<Vec<u8>> {
    let [b'"', inner @ ..] = value else {
        return Some(value.to_vec());
    };
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    loop {
        match bytes.next()? {
            b'\\' => text.push(bytes.next()?),
            b'"' => return bytes.next().is_none().then_some(text),
            byte => text.push(byte),
        }
    }
}

fn percent_decode(value: &[u8]) -> Option<Vec<u8>> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let mut text = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let code = hex(bytes.next()?)? * 16 + hex(bytes.next()?)?;
            text.push(u8::try_from(code).ok()?);
        } else {
            text.push(byte);
        }
    }
    Some(text)
}

#[derive(Default)]
struct Attributes {
    spec_version: Option<String>,
    id: Option<String>,
    source: Option<String>,
    kind: Option<String>,
    time: Option<String>,
    subject: Option<String>,
    expiry_time: Option<String>,
}

impl Attributes {
    fn check_present(&self, prefix: &str) -> Result<(), EventError> {
        for (name, value) in [
            ("specversion", &self.spec_version),
            ("id", &self.id),
            ("source", &self.source),
            ("type", &self.kind),
        ] {
            if value.as_deref().unwrap_or_default().is_empty() {
                return Err(EventError::malformed(
                    format!("{prefix}{name}"),
                    "missing or empty",
                ));
            }
        }
        Ok(())
    }

    fn into_event(self, data: Value, prefix: &str) -> Result<Event, EventError> {
        self.check_present(prefix)?;
        let malformed = |name: &str, problem: &str| {
            Err(EventError::malformed(format!("{prefix}{name}"), problem))
        };
        if self.spec_version.as_deref() != Some("1.0") {
            return malformed("specversion", "only 1.0 is supported");
        }
        let id = self.id.unwrap_or_default();
        let source = self.source.unwrap_or_default();
        let kind = self.kind.unwrap_or_default();
        if !is_event_id(&id) {
            return malformed("id", "at most 512 bytes, none of them a control character");
        }
        if !is_event_source(&source) {
            return malformed(
                "source",
                "a URI reference of at most 1024 bytes, without spaces and control characters",
            );
        }
        if self.subject.is_some_and(|subject| subject.is_empty()) {
            return malformed("subject", "leave it out or give a text");
        }
        let moment = |name: &str, text: Option<String>| {
            text.map(|text| OffsetDateTime::parse(&text, &Rfc3339))
                .transpose()
                .map_err(|_| {
                    EventError::malformed(
                        format!("{prefix}{name}"),
                        "an RFC 3339 time such as 2026-11-21T12:00:00Z is expected",
                    )
                })
        };
        moment("time", self.time)?;
        let expiry_time = moment("expirytime", self.expiry_time)?;
        Ok(Event {
            id,
            source,
            kind,
            expiry_time,
            data,
        })
    }
}

#[cfg(test)]
mod tests;
