use std::collections::HashMap;

use directory::InvocationId;
use proptest::prelude::*;

use super::*;

fn object(number: u8) -> ObjectGuid {
    ObjectGuid::from_bytes([number; 16])
}

fn anchor(number: u8) -> SourceAnchor {
    SourceAnchor::from_bytes([number; 16])
}

fn bearing(of: u8, with: Option<u8>) -> Bearing {
    Bearing {
        object: object(of),
        consistency_guid: with.map(anchor),
    }
}

fn position(invocation: u8, number: u64) -> Position {
    Position {
        invocation: InvocationId::from_bytes([invocation; 16]),
        update_sequence_number: number,
    }
}

#[test]
fn only_those_whose_guids_differ_need_an_entry() {
    let mut index = Index::default();
    assert!(!index.apply(bearing(1, None)));
    assert!(!index.apply(bearing(2, Some(2))));
    assert_eq!(index.len(), 0);
    assert!(index.apply(bearing(3, Some(9))));
    assert!(!index.apply(bearing(3, Some(9))), "no news twice");
    assert_eq!(index.bearers(anchor(9)), [object(3)]);
    assert!(index.bearers(anchor(3)).is_empty());
}

#[test]
fn a_changed_anchor_drops_the_old_entry() {
    let mut index = Index::default();
    index.apply(bearing(1, Some(9)));
    assert!(index.apply(bearing(1, Some(8))));
    assert!(index.bearers(anchor(9)).is_empty());
    assert_eq!(index.bearers(anchor(8)), [object(1)]);
}

#[test]
fn a_cleared_anchor_drops_its_entry() {
    for cleared in [bearing(1, None), bearing(1, Some(1))] {
        let mut index = Index::default();
        index.apply(bearing(1, Some(9)));
        assert!(index.apply(cleared));
        assert!(index.bearers(anchor(9)).is_empty());
        assert_eq!(index, Index::default());
    }
}

#[test]
fn all_bearers_of_one_anchor_are_seen() {
    let mut index = Index::default();
    for number in [0, 7, u8::MAX] {
        index.apply(bearing(number, Some(9)));
    }
    index.apply(bearing(5, Some(10)));
    let all = [object(0), object(7), object(u8::MAX)];
    assert_eq!(index.bearers(anchor(9)), all);
    index.apply(bearing(7, None));
    assert_eq!(index.bearers(anchor(9)), [object(0), object(u8::MAX)]);
}

#[test]
fn a_domain_controller_is_resumed_where_it_was_left() {
    let mut positions = Positions::default();
    assert_eq!(positions.resume(position(1, 50)), None, "never read");
    positions.only(position(1, 50));
    assert_eq!(positions.resume(position(1, 50)), Some(50));
    assert_eq!(positions.resume(position(1, 70)), Some(50));
    assert_eq!(positions.resume(position(2, 70)), None, "another one");
    positions.only(position(2, 70));
    assert_eq!(
        positions.resume(position(1, 80)),
        None,
        "what it had told is no longer there"
    );
    positions.reached(position(2, 75));
    assert_eq!(positions.resume(position(2, 90)), Some(75));
}

#[test]
fn numbers_that_went_back_are_not_resumed() {
    let positions = Positions::from_iter([position(1, 50)]);
    assert_eq!(positions.resume(position(1, 49)), None);
}

#[test]
fn positions_do_not_grow_without_end() {
    let all: Positions = (0..u8::MAX).map(|n| position(n, 1)).collect();
    assert_eq!(all.iter().count(), MOST_POSITIONS);
    assert_eq!(all.resume(position(u8::MAX - 1, 1)), Some(1), "the newest");
    assert_eq!(all.resume(position(0, 1)), None, "the oldest");
}

#[test]
fn doubts_are_bounded_and_taken_once() {
    let mut doubted = Doubted::default();
    for number in 0..=u16::MAX {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        doubted.add(ObjectGuid::from_bytes(bytes));
    }
    assert_eq!(doubted.take().len(), MOST_DOUBTED);
    assert!(doubted.take().is_empty());
}

proptest! {
    /// Whatever was applied, in whatever order: the index is what the last word on each person says.
    #[test]
    fn the_last_word_holds(words in proptest::collection::vec((0u8..12, proptest::option::of(0u8..12)), 0..200)) {
        let mut index = Index::default();
        let mut last = HashMap::new();
        for (of, with) in words {
            index.apply(bearing(of, with));
            last.insert(of, with);
        }
        for number in 0..12 {
            let mut expected: Vec<ObjectGuid> = last
                .iter()
                .filter(|(of, with)| **with == Some(number) && **of != number)
                .map(|(of, _)| object(*of))
                .collect();
            expected.sort();
            prop_assert_eq!(index.bearers(anchor(number)), expected);
        }
        let mut again = Index::default();
        for entry in index.entries() {
            again.apply(entry);
        }
        prop_assert_eq!(&again, &index);
        for number in 0..12 {
            index.remove(object(number));
        }
        prop_assert_eq!(index, Index::default());
    }
}
