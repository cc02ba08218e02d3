//! A record as the table `operations` holds it: every column follows from the record (pure).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

use crate::{
    content::{self, Target},
    record::Record,
};

/// A row that does not read as a record: it was not written by this program.
#[derive(Debug, thiserror::Error)]
#[error("operation {id}: the stored row cannot be read: {problem}")]
pub(crate) struct RowError {
    id: Uuid,
    problem: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) event_source: String,
    pub(crate) event_id: String,
    #[serde(serialize_with = "bytea", deserialize_with = "from_bytea")]
    pub(crate) content_digest: Vec<u8>,
    pub(crate) person_keys: Vec<String>,
    pub(crate) admitted_at: i64,
    pub(crate) deadline: i64,
    pub(crate) counted: bool,
    pub(crate) admission: String,
    pub(crate) status: String,
    pub(crate) outcome: Option<String>,
    pub(crate) completed_at: i64,
    pub(crate) forest: Option<String>,
    pub(crate) domain: Option<String>,
    #[serde(
        serialize_with = "bytea_option",
        deserialize_with = "from_bytea_option"
    )]
    pub(crate) object_guid: Option<Vec<u8>>,
    pub(crate) steps: String,
    pub(crate) step_count: i32,
    pub(crate) write: Option<String>,
}

/// PostgreSQL's own text form of bytes.
pub(crate) fn bytea<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("\\x{}", hex::encode(bytes)))
}

#[expect(clippy::ref_option, reason = "serde gives a reference to the field")]
fn bytea_option<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => bytea(bytes, serializer),
        None => serializer.serialize_none(),
    }
}

fn from_bytea<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let bytes = from_bytea_option(deserializer)?;
    bytes.ok_or_else(|| D::Error::custom("no bytes"))
}

fn from_bytea_option<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<u8>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let digits = text
        .strip_prefix("\\x")
        .ok_or_else(|| D::Error::custom("not bytes"))?;
    hex::decode(digits).map(Some).map_err(D::Error::custom)
}

impl Row {
    pub(crate) fn from_record(record: &Record) -> Result<Self, serde_json::Error> {
        let admission = &record.admission;
        let target = record.target.as_ref();
        Ok(Self {
            id: admission.id.as_uuid(),
            event_source: admission.event_source.clone(),
            event_id: admission.event_id.clone(),
            content_digest: hex::decode(&admission.content_digest).unwrap_or_default(),
            person_keys: admission.person_keys(),
            admitted_at: admission.admitted_at,
            deadline: admission.deadline,
            counted: admission.counted(),
            admission: content::to_text(admission)?,
            status: record.status().as_str().to_owned(),
            outcome: record.outcome.as_ref().map(content::to_text).transpose()?,
            completed_at: record.completed_at,
            forest: target.map(|target| target.forest.to_string()),
            domain: target.map(|target| target.domain.to_string()),
            object_guid: target.map(|target| target.object_guid.as_bytes().to_vec()),
            steps: content::to_text(&record.steps)?,
            step_count: i32::try_from(record.steps.len()).unwrap_or(i32::MAX),
            write: record.write.as_ref().map(content::to_text).transpose()?,
        })
    }

    pub(crate) fn to_record(&self) -> Result<Record, RowError> {
        let failed = |problem: String| RowError {
            id: self.id,
            problem,
        };
        let json = |error: serde_json::Error| failed(error.to_string());
        let target = match (&self.forest, &self.domain, &self.object_guid) {
            (Some(forest), Some(domain), Some(object_guid)) => {
                let wire = proto::v1::Target {
                    forest: forest.clone(),
                    domain: domain.clone(),
                    object_guid: object_guid.clone(),
                };
                Some(Target::from_wire(&wire).map_err(|error| failed(error.to_string()))?)
            }
            _ => None,
        };
        Ok(Record {
            admission: content::from_text(&self.admission).map_err(json)?,
            outcome: self
                .outcome
                .as_deref()
                .map(content::from_text)
                .transpose()
                .map_err(json)?,
            completed_at: self.completed_at,
            target,
            steps: content::from_text(&self.steps).map_err(json)?,
            write: self
                .write
                .as_deref()
                .map(content::from_text)
                .transpose()
                .map_err(json)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            id: Uuid::from_u128(1),
            event_source: "cloud".to_owned(),
            event_id: "1".to_owned(),
            content_digest: vec![0, 0xff],
            person_keys: vec!["upn:ana@corp.example.com".to_owned()],
            admitted_at: 1,
            deadline: 2,
            counted: true,
            admission: "{}".to_owned(),
            status: "pending".to_owned(),
            outcome: None,
            completed_at: 0,
            forest: Some("corp".to_owned()),
            domain: None,
            object_guid: Some(vec![1; 16]),
            steps: "[]".to_owned(),
            step_count: 0,
            write: None,
        }
    }

    #[test]
    fn what_the_database_tells_as_json_is_the_row() {
        let told = serde_json::to_value(row()).unwrap();
        // PostgreSQL 8.4.1
        assert_eq!(told["content_digest"], "\\x00ff");
        assert_eq!(serde_json::from_value::<Row>(told).unwrap(), row());
    }

    #[test]
    fn bytes_that_are_none_are_an_error() {
        for (column, value) in [
            ("content_digest", serde_json::Value::Null),
            ("content_digest", "00".into()),
            ("object_guid", "\\x0".into()),
        ] {
            let mut told = serde_json::to_value(row()).unwrap();
            told[column] = value.clone();
            assert!(
                serde_json::from_value::<Row>(told).is_err(),
                "{column} {value}"
            );
        }
    }
}
