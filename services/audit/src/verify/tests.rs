use uuid::Uuid;

use super::*;
use crate::content::{End, Reported};

fn story() -> Vec<Entry> {
    let id = Uuid::from_u128(1);
    let admission = format!(
        r#"{{"id":"{id}","kind":"unlock","sourceAnchor":null,"securityIdentifier":null,"userPrincipalName":"ana@corp.example.com","domain":null,"initiator":"user","initiatorId":null,"eventSource":"cloud","eventId":"1","mustChangeAtNextSignIn":false,"unlock":true,"admittedAt":1,"deadline":9,"contentDigest":"00","caller":"portal","service":"intake-1","unthrottled":false}}"#
    );
    let end = Reported {
        outcome: Some(End::Applied { notes: Vec::new() }),
        ..Reported::default()
    };
    let mut tip = Tip::genesis();
    vec![
        tip.append(1, ADMITTED, Some(id), admission),
        tip.append(2, REPORTED, Some(id), content::to_text(&end).unwrap()),
    ]
}

#[test]
fn a_row_is_held_against_its_entries() {
    let entries = story();
    let row = Row::from_record(&fold(&entries).unwrap()).unwrap();
    assert_eq!(row.to_record().unwrap(), fold(&entries).unwrap());
    assert_eq!(compare(&row, &entries), None);
    for changed in [
        Row {
            status: "refused".to_owned(),
            ..row.clone()
        },
        Row {
            deadline: 10,
            ..row.clone()
        },
        Row {
            person_keys: Vec::new(),
            ..row.clone()
        },
        Row {
            outcome: None,
            ..row.clone()
        },
    ] {
        assert!(compare(&changed, &entries).is_some());
    }
    assert!(compare(&row, &entries[..1]).is_some());
    assert!(compare(&row, &[]).is_some());
}

#[test]
fn what_rests_on_the_callers_word_alone_is_kept_for_nobody() {
    let (key, other) = (SigningKey::generate(), SigningKey::generate());
    let mut tip = Tip::genesis();
    tip.append(1, ADMITTED, None, String::new());
    let given = |signature: Vec<u8>| {
        let given = v1::Checkpoint {
            sequence: tip.sequence,
            hash: tip.hash.clone(),
            at: tip.at,
            signature,
        };
        Checkpoint::given(&given, &key)
    };
    let signed = given(key.sign(&tip));
    assert_eq!(signed.whose, Whose::Signed);
    let claimed = [given(Vec::new()), given(other.sign(&tip))];
    assert_eq!(claimed.each_ref().map(|one| one.whose), [Whose::Caller; 2]);

    let intact = Verification::default();
    assert!(intact.verdict().is_some());
    let mut verification = Verification::default();
    verification.missed(&claimed[0], "cut off".to_owned());
    assert_eq!(verification.verdict(), None, "neither clean nor a finding");
    // what is wrong all the same counts, and that alone
    verification.found("changed".to_owned());
    let kept = |verification: &Verification| {
        let verdict = verification.verdict().unwrap();
        (verdict.own, verdict.missed)
    };
    assert_eq!(kept(&verification), (1, 0));
    verification.missed(&signed, "cut off".to_owned());
    assert_eq!(kept(&verification), (1, 1));
}
