//! The index on disk: a hint for the next start, worth nothing if it cannot be trusted.
//!
//! The format's name and version, the SHA-256 of the rest, the rest as protobuf. GUIDs alone: no
//! name, no secret.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use directory::{Bearing, InvocationId, Position};
use operation::{DomainName, ObjectGuid, SourceAnchor};
use prost::Message as _;
use time::OffsetDateTime;
use uuid::Uuid;

use super::index::Positions;

const FORMAT: &[u8] = b"writeback anchors 1\n";
const ENTRY: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) domain: DomainName,
    pub(crate) bearings: Vec<Bearing>,
    pub(crate) positions: Positions,
    pub(crate) read_in_full_at: Option<OffsetDateTime>,
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("it is not of this format and version")]
    Format,
    #[error("it is damaged")]
    Damaged,
    #[error("it belongs to another domain")]
    Domain,
    #[error("{0}")]
    Io(#[from] io::Error),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Content {
    #[prost(string, tag = "1")]
    domain: String,
    /// For each person 16 bytes `objectGUID` and 16 bytes anchor.
    #[prost(bytes = "vec", tag = "2")]
    entries: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    positions: Vec<StoredPosition>,
    /// Seconds since 1970.
    #[prost(int64, optional, tag = "4")]
    read_in_full_at: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredPosition {
    #[prost(bytes = "vec", tag = "1")]
    invocation: Vec<u8>,
    #[prost(uint64, tag = "2")]
    update_sequence_number: u64,
}

impl Snapshot {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut entries = Vec::with_capacity(self.bearings.len().saturating_mul(ENTRY));
        for bearing in &self.bearings {
            if let Some(anchor) = bearing.consistency_guid {
                entries.extend(bearing.object.as_bytes());
                entries.extend(anchor.as_bytes());
            }
        }
        let content = Content {
            domain: self.domain.to_string(),
            entries,
            positions: self
                .positions
                .iter()
                .map(|position| StoredPosition {
                    invocation: position.invocation.as_bytes().to_vec(),
                    update_sequence_number: position.update_sequence_number,
                })
                .collect(),
            read_in_full_at: self.read_in_full_at.map(OffsetDateTime::unix_timestamp),
        }
        .encode_to_vec();
        [FORMAT, digest(&SHA256, &content).as_ref(), &content].concat()
    }

    pub(crate) fn decode(bytes: &[u8], domain: &DomainName) -> Result<Self, SnapshotError> {
        let rest = bytes.strip_prefix(FORMAT).ok_or(SnapshotError::Format)?;
        let (sum, content) = rest
            .split_at_checked(SHA256_OUTPUT_LEN)
            .ok_or(SnapshotError::Damaged)?;
        if digest(&SHA256, content).as_ref() != sum {
            return Err(SnapshotError::Damaged);
        }
        let content = Content::decode(content).map_err(|_| SnapshotError::Damaged)?;
        if content.domain != domain.as_str() {
            return Err(SnapshotError::Domain);
        }
        let (guids, remainder) = content.entries.as_chunks::<16>();
        let (entries, odd) = guids.as_chunks::<2>();
        if !remainder.is_empty() || !odd.is_empty() {
            return Err(SnapshotError::Damaged);
        }
        let positions = content
            .positions
            .iter()
            .map(|stored| {
                let invocation = <[u8; 16]>::try_from(stored.invocation.as_slice()).ok()?;
                Some(Position {
                    invocation: InvocationId::from_bytes(invocation),
                    update_sequence_number: stored.update_sequence_number,
                })
            })
            .collect::<Option<Positions>>()
            .ok_or(SnapshotError::Damaged)?;
        let read_in_full_at = content
            .read_in_full_at
            .map(OffsetDateTime::from_unix_timestamp)
            .transpose()
            .map_err(|_| SnapshotError::Damaged)?;
        Ok(Self {
            domain: domain.clone(),
            bearings: entries
                .iter()
                .map(|[object, anchor]| Bearing {
                    object: ObjectGuid::from_bytes(*object),
                    consistency_guid: Some(SourceAnchor::from_bytes(*anchor)),
                })
                .collect(),
            positions,
            read_in_full_at,
        })
    }
}

/// None if there is none.
pub(crate) fn load(path: &Path, domain: &DomainName) -> Result<Option<Snapshot>, SnapshotError> {
    match fs::read(path) {
        Ok(bytes) => Snapshot::decode(&bytes, domain).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Written whole or not at all, whenever the power fails; replicas may share the folder.
pub(crate) fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let temporary = path.with_added_extension(Uuid::new_v4().simple().to_string());
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // what is left of it would only take up room
        let _ = fs::remove_file(&temporary);
    }
    written?;
    // the new name is not safe before its folder is
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
