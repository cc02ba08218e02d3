use super::*;

fn heartbeat(instance: &str, started_at: i64) -> v1::Heartbeat {
    v1::Heartbeat {
        kind: ServiceKind::Writer.into(),
        instance: instance.to_owned(),
        started_at,
        interval_ms: 5_000,
        forests: vec![v1::ForestHealth {
            forest: "corp".to_owned(),
            ..v1::ForestHealth::default()
        }],
        ..v1::Heartbeat::default()
    }
}

fn goodbye(instance: &str, started_at: i64) -> v1::Heartbeat {
    v1::Heartbeat {
        goodbye: true,
        ..heartbeat(instance, started_at)
    }
}

fn hear(roll: &mut Roll, heartbeat: &v1::Heartbeat, now: Instant) -> Result<(), Unheard> {
    roll.hear(&heartbeat.encode_to_vec(), now)
}

fn names(roll: &Roll, now: Instant) -> Vec<(String, u64)> {
    let (_, heard) = roll.told(now);
    heard
        .into_iter()
        .map(|heard| (heard.heartbeat.unwrap().instance, heard.age_ms))
        .collect()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn whoever_falls_silent_is_missed_for_a_while_and_then_forgotten() {
    let (mut roll, start) = (Roll::default(), Instant::now());
    hear(&mut roll, &heartbeat("writer-1", 1), start).unwrap();
    assert_eq!(
        names(&roll, start + SECOND),
        [("writer-1".to_owned(), 1_000)]
    );
    let missed = start + MISSED_FOR;
    assert_eq!(names(&roll, missed), [("writer-1".to_owned(), 600_000)]);
    assert!(names(&roll, missed + SECOND).is_empty());
    hear(&mut roll, &heartbeat("writer-2", 1), missed + SECOND).unwrap();
    assert_eq!(roll.heard.len(), 1, "what is forgotten takes no room");
}

#[test]
fn whoever_says_goodbye_is_not_missed() {
    let (mut roll, now) = (Roll::default(), Instant::now());
    hear(&mut roll, &heartbeat("writer-1", 1), now).unwrap();
    hear(&mut roll, &goodbye("writer-1", 1), now).unwrap();
    assert!(names(&roll, now).is_empty());
}

#[test]
fn a_late_goodbye_does_not_take_the_successor_away() {
    let (mut roll, now) = (Roll::default(), Instant::now());
    hear(&mut roll, &heartbeat("writer-1", 2), now).unwrap();
    hear(&mut roll, &goodbye("writer-1", 1), now).unwrap();
    assert_eq!(names(&roll, now).len(), 1);
}

#[test]
fn it_is_known_for_how_long_heartbeats_are_heard() {
    let (mut roll, start) = (Roll::default(), Instant::now());
    assert_eq!(roll.told(start).0, None, "nothing was ever heard");
    hear(&mut roll, &heartbeat("writer-1", 1), start).unwrap();
    hear(&mut roll, &heartbeat("writer-1", 1), start + DEAF_AFTER).unwrap();
    assert_eq!(roll.told(start + DEAF_AFTER).0, Some(DEAF_AFTER));
    let deaf = start + 2 * DEAF_AFTER + SECOND;
    assert_eq!(roll.told(deaf).0, None);
    hear(&mut roll, &heartbeat("writer-1", 1), deaf).unwrap();
    assert_eq!(roll.told(deaf).0, Some(Duration::ZERO), "from anew");
}

#[test]
fn what_is_no_heartbeat_of_ours_is_dropped() {
    let (mut roll, now) = (Roll::default(), Instant::now());
    assert!(matches!(
        roll.hear(b"\xff", now),
        Err(Unheard::Unreadable(_))
    ));
    assert_eq!(roll.hear(&vec![0; LONGEST + 1], now), Err(Unheard::TooLong));
    for instance in [String::new(), "x".repeat(LONGEST_NAME + 1)] {
        assert_eq!(
            hear(&mut roll, &heartbeat(&instance, 1), now),
            Err(Unheard::Anonymous)
        );
    }
    let unknown = v1::Heartbeat {
        kind: 77,
        ..heartbeat("x", 1)
    };
    assert_eq!(hear(&mut roll, &unknown, now), Err(Unheard::Anonymous));
    let mut misnamed = heartbeat("x", 1);
    misnamed.forests[0].forest = "no forest".to_owned();
    assert_eq!(hear(&mut roll, &misnamed, now), Err(Unheard::Forest));
    assert!(names(&roll, now).is_empty());
}

#[test]
fn there_is_room_for_so_many() {
    let (mut roll, now) = (Roll::default(), Instant::now());
    for number in 0..MOST_HEARD {
        hear(&mut roll, &heartbeat(&number.to_string(), 1), now).unwrap();
    }
    assert_eq!(
        hear(&mut roll, &heartbeat("one more", 1), now),
        Err(Unheard::TooMany)
    );
    assert_eq!(
        hear(&mut roll, &heartbeat("7", 1), now),
        Ok(()),
        "known before"
    );
}
