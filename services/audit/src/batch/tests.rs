use operation::{InitiatorKind, Kind, Status};
use proptest::prelude::*;

use super::*;
use crate::verify;

const NOW: i64 = 1_800_000_000_000_000;

fn batch() -> Batch {
    Batch {
        now: NOW,
        tip: Tip::genesis(),
        settings: Settings::default(),
        records: HashMap::new(),
        pending: Vec::new(),
        counted: Vec::new(),
        throttle_per_hour: 2,
        service: "audit-1".to_owned(),
        entries: Vec::new(),
        changed: BTreeSet::new(),
        settings_changed: false,
    }
}

fn admission(number: u128, name: &str) -> Admission {
    Admission {
        id: OperationId::from_uuid(Uuid::from_u128(number)),
        kind: Kind::Reset,
        source_anchor: None,
        security_identifier: None,
        user_principal_name: Some(name.parse().unwrap()),
        domain: None,
        initiator: InitiatorKind::User,
        initiator_id: None,
        event_source: "cloud".to_owned(),
        event_id: number.to_string(),
        must_change_at_next_sign_in: false,
        unlock: true,
        admitted_at: 0,
        deadline: NOW + 30 * SECOND,
        content_digest: "00".repeat(32),
        caller: "portal".to_owned(),
        service: "intake-1".to_owned(),
        unthrottled: true,
        closed: std::collections::BTreeMap::new(),
    }
}

fn admit(batch: &mut Batch, admission: Admission) -> Answer {
    batch
        .decide(&Item::Admit(Box::new(admission), Vec::new()))
        .unwrap()
}

fn report(batch: &mut Batch, number: u128, reported: Reported) -> Record {
    let id = OperationId::from_uuid(Uuid::from_u128(number));
    match batch.decide(&Item::Report(id, Box::new(reported))).unwrap() {
        Answer::Recorded(record) => *record,
        other => panic!("{other:?}"),
    }
}

fn applied() -> Reported {
    Reported {
        outcome: Some(End::Applied { notes: Vec::new() }),
        ..Reported::default()
    }
}

#[test]
fn an_operation_waits_for_the_latest_pending_one_on_the_same_person() {
    let mut batch = batch();
    for number in [1, 2] {
        admit(&mut batch, admission(number, "ana@corp.example.com"));
    }
    admit(&mut batch, admission(3, "bo@corp.example.com"));
    let after = |answer| match answer {
        Answer::Admitted { after, .. } => after.map(OperationId::as_uuid),
        other => panic!("{other:?}"),
    };
    let answer = admit(&mut batch, admission(4, "ANA@corp.example.com"));
    assert_eq!(after(answer), Some(Uuid::from_u128(2)));
    report(&mut batch, 4, applied());
    let answer = admit(&mut batch, admission(5, "ana@corp.example.com"));
    assert_eq!(after(answer), Some(Uuid::from_u128(2)));
    let times: BTreeSet<i64> = batch.entries.iter().map(|entry| entry.at).collect();
    assert_eq!(times.len(), batch.entries.len(), "no two at the same time");
}

#[test]
fn a_repeat_is_published_again_only_while_nothing_is_known_of_the_first() {
    let again = |batch: &mut Batch, repeat: Admission| match admit(batch, repeat) {
        Answer::Duplicate { publish_again, .. } => publish_again,
        other => panic!("{other:?}"),
    };
    let mut batch = batch();
    let first = admission(1, "ana@corp.example.com");
    admit(&mut batch, first.clone());
    assert!(
        again(&mut batch, first.clone()),
        "the same admission, whose answer was lost: nobody has published it"
    );
    let mut repeat = first;
    repeat.id = OperationId::from_uuid(Uuid::from_u128(9));
    assert!(!again(&mut batch, repeat.clone()), "too early");
    batch.now += 3 * SECOND;
    assert!(again(&mut batch, repeat.clone()));
    let mut other = repeat.clone();
    other.content_digest = "11".repeat(32);
    assert!(!again(&mut batch, other), "other content");
    let step = Step {
        at: NOW,
        service: "resolver-1".to_owned(),
        step: "routed".to_owned(),
        detail: String::new(),
    };
    let routed = Reported {
        steps: vec![step],
        ..Reported::default()
    };
    report(&mut batch, 1, routed.clone());
    assert!(!again(&mut batch, repeat), "it is on its way");
    let entries = batch.entries.len();
    report(&mut batch, 1, routed);
    assert_eq!(batch.entries.len(), entries, "nothing new, no entry");
}

#[test]
fn the_first_outcome_stays() {
    let mut batch = batch();
    admit(&mut batch, admission(1, "ana@corp.example.com"));
    report(&mut batch, 1, applied());
    let entries = batch.entries.len();
    let record = report(&mut batch, 1, expiry(NOW, "audit-1", "late"));
    assert_eq!(record.status(), Status::Applied);
    assert_eq!(batch.entries.len(), entries);
}

#[test]
fn settings_are_obeyed_by_the_next_admission() {
    let mut batch = batch();
    let change = |writeback, unlock| SettingsChange {
        forest: None,
        writeback,
        unlock_without_reset: unlock,
        changed_by: "operator".to_owned(),
        note: String::new(),
    };
    batch
        .decide(&Item::Settings(change(None, Some(false))))
        .unwrap();
    let mut unlock = admission(1, "ana@corp.example.com");
    unlock.kind = Kind::Unlock;
    let reason = |answer| match answer {
        Answer::Ended(record) => match record.outcome {
            Some(End::Refusal { reason, .. }) => Some(reason),
            _ => None,
        },
        _ => None,
    };
    assert_eq!(
        reason(admit(&mut batch, unlock)),
        Some(Reason::UnlockDisabled)
    );
    let reset = admit(&mut batch, admission(2, "bo@corp.example.com"));
    assert!(matches!(reset, Answer::Admitted { .. }));
    batch
        .decide(&Item::Settings(change(Some(false), None)))
        .unwrap();
    let answer = admit(&mut batch, admission(3, "bo@corp.example.com"));
    assert_eq!(reason(answer), Some(Reason::WritebackDisabled));
}

#[test]
fn a_person_is_throttled_and_nothing_is_recorded() {
    let mut batch = batch();
    let throttled = |number| Admission {
        unthrottled: false,
        ..admission(number, "ana@corp.example.com")
    };
    admit(&mut batch, throttled(1));
    admit(&mut batch, throttled(2));
    let entries = batch.entries.len();
    let answer = admit(&mut batch, throttled(3));
    assert!(matches!(
        answer,
        Answer::Throttled {
            retry_after_seconds: 3600 | 3601
        }
    ));
    assert_eq!(batch.entries.len(), entries);
    let mut change = throttled(4);
    change.kind = Kind::Change;
    assert!(matches!(admit(&mut batch, change), Answer::Admitted { .. }));
    batch.now += HOUR + SECOND;
    assert!(matches!(
        admit(&mut batch, throttled(5)),
        Answer::Admitted { .. }
    ));
}

fn recorded(batch: &mut Batch, item: &Item) -> Record {
    match batch.decide(item).unwrap() {
        Answer::Recorded(record) => *record,
        other => panic!("{other:?}"),
    }
}

fn id(number: u128) -> OperationId {
    OperationId::from_uuid(Uuid::from_u128(number))
}

#[test]
fn unlocks_wait_for_nobody_and_passwords_for_the_latest_password() {
    let unlock = |number| Admission {
        kind: Kind::Unlock,
        ..admission(number, "ana@corp.example.com")
    };
    let after = |batch: &mut Batch, admission| match admit(batch, admission) {
        Answer::Admitted { after, .. } => after,
        other => panic!("{other:?}"),
    };
    let mut batch = batch();
    assert_eq!(after(&mut batch, unlock(1)), None);
    assert_eq!(after(&mut batch, unlock(2)), None);
    let first = admission(3, "ana@corp.example.com");
    assert_eq!(after(&mut batch, first), Some(id(2)));
    assert_eq!(after(&mut batch, unlock(4)), None);
    let second = admission(5, "ana@corp.example.com");
    assert_eq!(after(&mut batch, second), Some(id(3)));
}

#[test]
fn only_what_nothing_was_heard_of_for_long_is_overtaken() {
    let mut batch = batch();
    admit(&mut batch, admission(1, "ana@corp.example.com"));
    admit(&mut batch, admission(2, "bo@corp.example.com"));
    let overtake = |number| Item::Overtake(id(number), "writer-corp-1".to_owned());
    batch.now += 14 * SECOND;
    assert!(!recorded(&mut batch, &overtake(1)).is_overtaken());
    let step = Step {
        at: batch.now,
        service: "resolver-1".to_owned(),
        step: "routed".to_owned(),
        detail: String::new(),
    };
    let routed = Reported {
        steps: vec![step],
        ..Reported::default()
    };
    report(&mut batch, 2, routed);
    batch.now += 2 * SECOND;
    assert!(!recorded(&mut batch, &overtake(2)).is_overtaken());
    let overtaken = recorded(&mut batch, &overtake(1));
    assert!(overtaken.is_overtaken() && overtaken.is_pending());
    let entries = batch.entries.len();
    assert_eq!(recorded(&mut batch, &overtake(1)), overtaken);
    assert_eq!(batch.entries.len(), entries, "it is said once");
    // nobody has it still, so it is swept like any other
    batch.now += 100 * SECOND;
    let swept = recorded(&mut batch, &Item::Overdue(id(1)));
    assert_eq!(swept.status(), Status::Expired);
}

/// Whichever of the two comes first keeps the other from it.
#[test]
fn what_is_taken_up_is_not_overtaken_and_what_is_overtaken_is_not_taken_up() {
    let mut batch = batch();
    for number in [1, 2] {
        admit(&mut batch, admission(number, "ana@corp.example.com"));
    }
    batch.now += 20 * SECOND;
    let overtake = |number| Item::Overtake(id(number), "writer-corp-1".to_owned());
    let take_up = |number| Item::TakeUp(id(number), "writer-corp-2".to_owned());
    assert!(recorded(&mut batch, &take_up(1)).is_taken_up());
    assert!(!recorded(&mut batch, &overtake(1)).is_overtaken());
    assert!(recorded(&mut batch, &overtake(2)).is_overtaken());
    let late = recorded(&mut batch, &take_up(2));
    assert!(late.is_overtaken() && !late.is_taken_up());
}

#[test]
fn only_what_nobody_took_up_is_swept() {
    let mut batch = batch();
    admit(&mut batch, admission(1, "ana@corp.example.com"));
    let overdue = Item::Overdue(OperationId::from_uuid(Uuid::from_u128(1)));
    let status = |batch: &mut Batch| match batch.decide(&overdue).unwrap() {
        Answer::Recorded(record) => record.status(),
        other => panic!("{other:?}"),
    };
    batch.now += 89 * SECOND;
    assert_eq!(status(&mut batch), Status::Pending);
    batch.now += 2 * SECOND;
    assert_eq!(status(&mut batch), Status::Expired);
}

/// What may be handed to either replica.
#[derive(Debug, Clone)]
enum Act {
    Admit { number: u128, person: u8 },
    Step { number: u128, at: i64 },
    End { number: u128 },
    Set { writeback: bool },
}

fn act() -> impl Strategy<Value = Act> {
    let number = 1..12_u128;
    prop_oneof![
        3 => (number.clone(), 0..3_u8).prop_map(|(number, person)| Act::Admit { number, person }),
        2 => (number.clone(), 0..5_i64).prop_map(|(number, at)| Act::Step { number, at }),
        2 => number.prop_map(|number| Act::End { number }),
        1 => any::<bool>().prop_map(|writeback| Act::Set { writeback }),
    ]
}

fn item(act: &Act) -> Item {
    let id = |number: u128| OperationId::from_uuid(Uuid::from_u128(number));
    match act {
        Act::Admit { number, person } => {
            let name = format!("person.{person}@corp.example.com");
            Item::Admit(Box::new(admission(*number, &name)), Vec::new())
        }
        Act::Step { number, at } => {
            let step = Step {
                at: NOW + at,
                service: "resolver-1".to_owned(),
                step: "routed".to_owned(),
                detail: String::new(),
            };
            let reported = Reported {
                steps: vec![step],
                ..Reported::default()
            };
            Item::Report(id(*number), Box::new(reported))
        }
        Act::End { number } => Item::Report(id(*number), Box::new(applied())),
        Act::Set { writeback } => Item::Settings(SettingsChange {
            forest: None,
            writeback: Some(*writeback),
            unlock_without_reset: None,
            changed_by: "ana".to_owned(),
            note: String::new(),
        }),
    }
}

#[test]
fn an_admission_says_for_ever_where_it_must_not_be_carried_out() {
    let mut batch = batch();
    let corp: ForestId = "corp".parse().unwrap();
    let set = |writeback| {
        Item::Settings(SettingsChange {
            forest: Some(corp.clone()),
            writeback: Some(writeback),
            unlock_without_reset: None,
            changed_by: "ana".to_owned(),
            note: String::new(),
        })
    };
    let closed = |answer| match answer {
        Answer::Admitted { admission, .. } => admission.closed.len(),
        Answer::Duplicate { record, .. } => record.admission.closed.len(),
        _ => usize::MAX,
    };
    assert_eq!(
        closed(admit(&mut batch, admission(1, "a@corp.example.com"))),
        0
    );
    batch.decide(&set(false)).unwrap();
    assert_eq!(
        closed(admit(&mut batch, admission(2, "b@corp.example.com"))),
        1
    );
    batch.decide(&set(true)).unwrap();
    // what was said of each stays, also when the same event comes again
    assert_eq!(
        closed(admit(&mut batch, admission(1, "a@corp.example.com"))),
        0
    );
    assert_eq!(
        closed(admit(&mut batch, admission(2, "b@corp.example.com"))),
        1
    );
    assert_eq!(
        closed(admit(&mut batch, admission(3, "c@corp.example.com"))),
        0
    );
    batch.decide(&set(false)).unwrap();
    let sealed = Item::Admit(
        Box::new(admission(4, "d@corp.example.com")),
        vec![corp.clone()],
    );
    let Answer::Ended(record) = batch.decide(&sealed).unwrap() else {
        panic!("its one forest is turned off, and it was admitted");
    };
    assert_eq!(record.status(), Status::Refused);
}

#[test]
fn a_key_act_is_an_entry_with_its_time() {
    let mut batch = batch();
    let act = KeyAct {
        act: crate::key_act::Act::Rotated,
        forest: "corp".parse().unwrap(),
        keys: vec!["k".to_owned()],
        at: 0,
        by: "ana".to_owned(),
    };
    let answer = batch.decide(&Item::KeyAct(Box::new(act))).unwrap();
    let Answer::KeyAct { sequence, act } = answer else {
        panic!("{answer:?}");
    };
    let entry = batch.entries.last().unwrap();
    assert_eq!(
        (entry.sequence, entry.at, entry.kind.as_str()),
        (sequence, act.at, KEYS)
    );
    assert_eq!(content::from_text::<KeyAct>(&entry.content).unwrap(), *act);
}

proptest! {
    /// Replicas take turns under the head's lock: each finds the chain as the other left it.
    #[test]
    fn two_replicas_write_one_chain_and_what_is_shown_follows_from_it(
        batches in prop::collection::vec(prop::collection::vec(act(), 1..6), 1..12),
        backwards in any::<bool>(),
    ) {
        let mut last = batch();
        let mut entries: Vec<Entry> = Vec::new();
        for (turn, acts) in (0_i64..).zip(&batches) {
            let mut next = batch();
            // the clock of a database that was moved may even go back
            next.now = if backwards { NOW - turn } else { NOW + turn };
            next.service = format!("audit-{}", turn % 2 + 1);
            next.tip = last.tip;
            next.settings = last.settings;
            next.records = last.records;
            for act in acts {
                next.decide(&item(act)).unwrap();
            }
            entries.append(&mut next.entries);
            last = next;
        }
        let mut tip = Tip::genesis();
        for entry in &entries {
            prop_assert_eq!(tip.follow(entry), Vec::<String>::new());
        }
        prop_assert_eq!(&tip, &last.tip);
        let settings = entries.iter().rfind(|entry| entry.kind == SETTINGS);
        let told = settings.map_or_else(Settings::default, |entry| content::from_text(&entry.content).unwrap());
        prop_assert_eq!(told, last.settings);
        for (id, record) in &last.records {
            let own: Vec<Entry> = { entries.iter() }
                .filter(|entry| entry.operation_id == Some(*id))
                .cloned()
                .collect();
            let told = verify::fold(&own);
            prop_assert_eq!(told.as_ref(), Some(record));
        }
    }
}
