//! What comes over the wire is hostile: nothing in it may bring the process down, and an answer that
//! cannot be read is no answer.

use directory::{BreakerState, DirectoryError};
use operation::Reason;
use scripted_directory::{Act, On};

use crate::{Forest, NEW, SHORT_TIME_OUT, refused, reset, unknown, until};

/// Bytes that are no answer to any message.
fn rubbish() -> Vec<(&'static str, Vec<u8>)> {
    let deep = {
        let mut bytes = vec![0x30, 0x84, 0, 0, 0x10, 0];
        bytes.extend([0x30, 0x80].repeat(0x800));
        bytes
    };
    vec![
        ("not BER", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("zeroes", vec![0; 64]),
        ("an empty message", vec![0x30, 0]),
        ("no operation", vec![0x30, 3, 2, 1, 3]),
        (
            "an operation nobody knows",
            vec![0x30, 7, 2, 1, 3, 0x7f, 0x63, 1, 0],
        ),
        ("an empty result", vec![0x30, 5, 2, 1, 3, 0x67, 0]),
        (
            "a result without its texts",
            vec![0x30, 8, 2, 1, 3, 0x67, 3, 10, 1, 0],
        ),
        (
            "a result code of nine bytes",
            vec![
                0x30, 18, 2, 1, 3, 0x67, 13, 10, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 0,
            ],
        ),
        (
            "a text that is not UTF-8",
            vec![
                0x30, 14, 2, 1, 3, 0x67, 9, 10, 1, 19, 4, 0, 4, 2, 0xc3, 0x28,
            ],
        ),
        (
            "a length beyond its message",
            vec![0x30, 12, 2, 1, 3, 0x67, 7, 10, 1, 0, 4, 0, 4, 99],
        ),
        (
            "a length of four gigabytes",
            vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 2, 1, 3],
        ),
        (
            "a length of many bytes",
            vec![0x30, 0x8f, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        ),
        (
            "an entry without attributes",
            vec![0x30, 7, 2, 1, 3, 0x64, 2, 4, 0],
        ),
        (
            "an entry of another shape",
            vec![0x30, 10, 2, 1, 3, 0x64, 5, 2, 1, 1, 4, 0],
        ),
        (
            "controls that are none",
            vec![
                0x30, 16, 2, 1, 3, 0x67, 7, 10, 1, 0, 4, 0, 4, 0, 0xa0, 2, 4, 0,
            ],
        ),
        ("nothing but depth", deep),
    ]
}

/// The same for every message number a fresh connection uses.
fn numbered(bytes: &[u8]) -> Vec<Vec<u8>> {
    (1..=4)
        .map(|number| {
            let mut bytes = bytes.to_vec();
            if let [0x30, _, 2, 1, id, ..] = bytes.as_mut_slice() {
                *id = number;
            }
            bytes
        })
        .collect()
}

#[tokio::test]
async fn an_answer_to_a_modify_that_cannot_be_read_is_none() {
    for (name, bytes) in rubbish() {
        let forest = Forest::new();
        let bytes = numbered(&bytes).concat();
        let script = forest.script().once(On::Modify, Act::Bytes(bytes));
        let controller = forest.start(script).await;
        let directory = forest.directory_within(&[&controller], SHORT_TIME_OUT);
        let outcome = forest.write(&directory, &reset(NEW)).await;
        assert!(
            outcome.is_err(),
            "{name}: nothing was carried out, and nobody said so"
        );
        unknown(outcome);
        assert_eq!(controller.modifies(), 1, "{name}");
        // one that left us waiting is left alone until it has answered a probe
        until("the controller is asked again", || {
            let known = directory.controllers();
            known
                .iter()
                .all(|known| known.breaker == BreakerState::Closed)
        })
        .await;
        // and the next operation finds a controller as good as ever
        let read = directory.read_account(forest.ana.guid).await;
        assert!(matches!(read, Ok(Some(_))), "{name}: {read:?}");
    }
}

#[tokio::test]
async fn nor_is_one_to_anything_before() {
    for on in [On::Connection, On::Bind, On::RootDse] {
        for (name, bytes) in rubbish() {
            let forest = Forest::new();
            let bytes = numbered(&bytes).concat();
            let script = forest.script().always(on, Act::Bytes(bytes));
            let controller = forest.start(script).await;
            let directory = forest.directory_within(&[&controller], SHORT_TIME_OUT / 2);
            let explained = refused(forest.write(&directory, &reset(NEW)).await);
            assert_eq!(
                explained.reason,
                Reason::ForestUnavailable,
                "{on:?} {name}: {explained}"
            );
            assert_eq!(controller.modifies(), 0, "{on:?} {name}");
        }
    }
}

#[tokio::test]
async fn nor_one_to_a_read() {
    for (name, bytes) in rubbish() {
        let forest = Forest::new();
        let bytes = numbered(&bytes).concat();
        let script = forest.script().always(On::Search, Act::Bytes(bytes));
        let controller = forest.start(script).await;
        let directory = forest.directory_within(&[&controller], SHORT_TIME_OUT / 2);
        let read = directory.read_account(forest.ana.guid).await;
        assert!(
            matches!(
                read,
                Err(DirectoryError::Unavailable { .. } | DirectoryError::Unexpected { .. })
            ),
            "{name}: {read:?}"
        );
    }
}
