use proptest::prelude::*;
use serde_json::json;

use super::*;

fn chain(contents: &[String]) -> (Vec<Entry>, Tip) {
    let mut tip = Tip::genesis();
    let entries = contents
        .iter()
        .zip(1_i64..)
        .map(|(content, at)| {
            let id = (at % 3 != 0).then(|| Uuid::from_u128(u128::from(at.unsigned_abs())));
            tip.append(at, "reported", id, content.clone())
        })
        .collect();
    (entries, tip)
}

/// Whether the entries are the whole chain up to this tip.
fn intact(entries: &[Entry], head: &Tip) -> bool {
    let mut tip = Tip::genesis();
    let sound = entries.iter().all(|entry| tip.follow(entry).is_empty());
    sound && tip == *head
}

fn contents() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(".{0,12}", 2..20)
}

proptest! {
    #[test]
    fn an_untouched_chain_is_intact(contents in contents()) {
        let (entries, head) = chain(&contents);
        prop_assert!(intact(&entries, &head));
    }

    #[test]
    fn any_change_is_found(contents in contents(), which in any::<prop::sample::Index>(), field in 0..7_u8, byte in any::<prop::sample::Index>()) {
        let (mut entries, head) = chain(&contents);
        let position = which.index(entries.len());
        let entry = &mut entries[position];
        match field {
            0 => entry.sequence += 1,
            1 => entry.at += 1,
            2 => entry.kind.push('x'),
            3 => entry.operation_id = Some(Uuid::from_u128(999)),
            4 => entry.content.push('x'),
            5 => { let at = byte.index(32); entry.previous[at] ^= 1; }
            _ => { let at = byte.index(32); entry.hash[at] ^= 1; }
        }
        prop_assert!(!intact(&entries, &head));
    }

    #[test]
    fn a_change_with_its_hash_made_to_fit_is_found(contents in contents(), which in any::<prop::sample::Index>()) {
        let (mut entries, head) = chain(&contents);
        let position = which.index(entries.len());
        entries[position].content.push('x');
        entries[position].hash = entries[position].expected_hash().to_vec();
        prop_assert!(!intact(&entries, &head));
    }

    #[test]
    fn any_removal_is_found(contents in contents(), which in any::<prop::sample::Index>()) {
        let (mut entries, head) = chain(&contents);
        entries.remove(which.index(entries.len()));
        prop_assert!(!intact(&entries, &head));
    }

    #[test]
    fn any_reordering_is_found(contents in contents(), one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
        let (mut entries, head) = chain(&contents);
        let (one, other) = (one.index(entries.len()), other.index(entries.len()));
        prop_assume!(one != other);
        entries.swap(one, other);
        prop_assert!(!intact(&entries, &head));
    }
}

#[test]
fn no_byte_moves_between_fields_unnoticed() {
    let mut tip = Tip::genesis();
    let one = tip.append(1, "ab", None, "c".to_owned());
    let mut other = one.clone();
    other.kind = "a".to_owned();
    other.content = "bc".to_owned();
    assert_ne!(one.expected_hash(), other.expected_hash());
}

#[test]
fn canonical_json_sorts_names_and_keeps_text() {
    let value = json!({"b": [1, true, null], "a": {"z": "ä\u{0}\n\"", "y": -5}});
    assert_eq!(
        canonical_json(&value),
        r#"{"a":{"y":-5,"z":"ä\u0000\n\""},"b":[1,true,null]}"#
    );
}
