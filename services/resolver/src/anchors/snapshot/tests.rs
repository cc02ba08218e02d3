use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn domain() -> DomainName {
    "corp.example.com".parse().unwrap()
}

fn snapshots() -> impl Strategy<Value = Snapshot> {
    let guid = || proptest::array::uniform16(any::<u8>());
    (
        proptest::collection::vec((guid(), guid()), 0..20),
        proptest::collection::vec((guid(), any::<u64>()), 0..4),
        proptest::option::of(0i64..4_000_000_000),
    )
        .prop_map(|(entries, positions, at)| Snapshot {
            domain: domain(),
            bearings: entries
                .into_iter()
                .map(|(object, anchor)| Bearing {
                    object: ObjectGuid::from_bytes(object),
                    consistency_guid: Some(SourceAnchor::from_bytes(anchor)),
                })
                .collect(),
            positions: positions
                .into_iter()
                .map(|(invocation, update_sequence_number)| Position {
                    invocation: InvocationId::from_bytes(invocation),
                    update_sequence_number,
                })
                .collect(),
            read_in_full_at: at.map(|at| OffsetDateTime::from_unix_timestamp(at).unwrap()),
        })
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("anchors-{}", Uuid::new_v4())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_stored_is_loaded() {
    let folder = Folder::new();
    let path = folder.0.join("state/anchors-corp-corp.example.com");
    assert!(load(&path, &domain()).unwrap().is_none());
    let snapshot = Snapshot {
        domain: domain(),
        bearings: vec![Bearing {
            object: ObjectGuid::from_bytes([1; 16]),
            consistency_guid: Some(SourceAnchor::from_bytes([2; 16])),
        }],
        positions: Positions::default(),
        read_in_full_at: None,
    };
    store(&path, b"damaged by a disk").unwrap();
    assert!(matches!(load(&path, &domain()), Err(SnapshotError::Format)));
    store(&path, &snapshot.encode()).unwrap();
    assert_eq!(load(&path, &domain()).unwrap().as_ref(), Some(&snapshot));
    let other = "emea.example.net".parse().unwrap();
    assert!(matches!(load(&path, &other), Err(SnapshotError::Domain)));
    assert_eq!(
        fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1,
        "nothing temporary is left"
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let folder = Folder::new();
    fs::write(&folder.0, b"a file").unwrap();
    assert!(store(&folder.0.join("state/anchors"), b"").is_err());
    fs::remove_file(&folder.0).unwrap();
}

#[test]
fn a_content_that_is_checked_and_still_wrong_is_damaged() {
    let checked = |content: Content| {
        let content = content.encode_to_vec();
        [FORMAT, digest(&SHA256, &content).as_ref(), &content].concat()
    };
    let content = Content {
        domain: domain().to_string(),
        ..Content::default()
    };
    assert!(Snapshot::decode(&checked(content.clone()), &domain()).is_ok());
    for wrong in [
        Content {
            entries: vec![0; 33],
            ..content.clone()
        },
        Content {
            entries: vec![0; 48],
            ..content.clone()
        },
        Content {
            positions: vec![StoredPosition::default()],
            ..content.clone()
        },
        Content {
            read_in_full_at: Some(i64::MAX),
            ..content.clone()
        },
    ] {
        let decoded = Snapshot::decode(&checked(wrong), &domain());
        assert!(matches!(decoded, Err(SnapshotError::Damaged)));
    }
}

proptest! {
    #[test]
    fn every_snapshot_survives(snapshot in snapshots()) {
        let decoded = Snapshot::decode(&snapshot.encode(), &domain()).unwrap();
        prop_assert_eq!(decoded, snapshot);
    }

    #[test]
    fn no_damage_goes_unnoticed(snapshot in snapshots(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = snapshot.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(Snapshot::decode(&bytes, &domain()).is_err());
    }

    #[test]
    fn no_truncation_goes_unnoticed(snapshot in snapshots(), at in any::<prop::sample::Index>()) {
        let bytes = snapshot.encode();
        let part = &bytes[..at.index(bytes.len())];
        prop_assert!(Snapshot::decode(part, &domain()).is_err());
    }

    #[test]
    fn any_file_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Snapshot::decode(&bytes, &domain());
        let _ = Snapshot::decode(&[FORMAT, &bytes].concat(), &domain());
    }
}
