use proto::v1::{self, Contact, ServiceKind};
use time::macros::datetime;

use super::{view::Paint, *};

fn heartbeat(
    kind: ServiceKind,
    instance: &str,
    forests: Vec<v1::ForestHealth>,
) -> v1::HeardHeartbeat {
    let at = proto::to_micros(datetime!(2026-11-21 10:00 UTC));
    v1::HeardHeartbeat {
        heartbeat: Some(v1::Heartbeat {
            kind: kind.into(),
            instance: instance.to_owned(),
            version: "0.1.0".to_owned(),
            started_at: at - 3_600_000_000,
            sent_at: at,
            interval_ms: 5_000,
            forests,
            ..v1::Heartbeat::default()
        }),
        age_ms: 1_000,
    }
}

fn forest() -> v1::ForestHealth {
    v1::ForestHealth {
        forest: "corp".to_owned(),
        domains: vec![v1::DomainHealth {
            domain: "corp.example.com".to_owned(),
            controllers: vec![v1::ControllerHealth {
                endpoint: "ldaps://dc1.corp.example.com:636".to_owned(),
                asked_age_ms: Some(1_000),
                contact: Contact::Silent.into(),
                problem: "no answer\x1b[2J".to_owned(),
                ..v1::ControllerHealth::default()
            }],
            anchors_age_ms: Some(7_000),
        }],
        keys: vec![v1::SealingKeyHealth {
            kid: "kq3Fd8aaZZ".to_owned(),
            ..v1::SealingKeyHealth::default()
        }],
        ..v1::ForestHealth::default()
    }
}

fn look() -> Look {
    let ended = |status: v1::Status, reason: &str, count| v1::EndedOperations {
        forest: "corp".to_owned(),
        status: status.into(),
        reason: reason.to_owned(),
        count,
        ..v1::EndedOperations::default()
    };
    let status = v1::StatusResponse {
        at: proto::to_micros(datetime!(2026-11-21 10:00:00.5 UTC)),
        replica: "audit-1".to_owned(),
        listening_ms: Some(60_000),
        heard: vec![
            heartbeat(ServiceKind::Intake, "intake-1", vec![forest()]),
            heartbeat(ServiceKind::Resolver, "resolver-1", vec![forest()]),
            heartbeat(ServiceKind::Audit, "audit-1", Vec::new()),
            heartbeat(ServiceKind::Writer, "writer-corp-1", vec![forest()]),
        ],
        ledger: Some(v1::LedgerHealth {
            counted_age_ms: Some(1_000),
            window_ms: 900_000,
            ended: vec![
                ended(v1::Status::Applied, "", 12),
                ended(v1::Status::Refused, "password-policy", 2),
                ended(v1::Status::Refused, "account-locked", 1),
            ],
            forests: vec![v1::ForestLedger {
                forest: "corp".to_owned(),
                last_applied_age_ms: Some(4_000),
                ..v1::ForestLedger::default()
            }],
            ..v1::LedgerHealth::default()
        }),
    };
    let report = health::judge(&status);
    Look::Seen {
        status: Box::new(status),
        report: Box::new(report),
        of: None,
    }
}

#[test]
fn the_picture_says_what_is_wrong_and_what_to_do() {
    let picture = view::lines(&look(), Paint::PLAIN).join("\n");
    let expected = "\
Writeback is down   2026-11-21T10:00:00Z, as audit-1 sees it

  broker     healthy
  ledger     healthy
  outcomes   healthy
  intake     healthy  1 of 1   intake-1 0.1.0 up 60 min
  resolver   healthy  1 of 1   resolver-1 0.1.0 up 60 min
  audit      healthy  1 of 1   audit-1 0.1.0 up 60 min

FOREST corp   down
    ! corp.example.com cannot be worked with
      -> see the domain below
  writers    1 of 1   writer-corp-1 0.1.0 up 60 min
  work       queue ?, under way 0, pending 0; last success 4 s ago
  15 min     applied 12; refused 3 (password-policy 2, account-locked 1)
  keys       1 published, the newest kq3Fd8aa…
  corp.example.com down     anchors read 7 s ago
    ! none of its domain controllers can be worked with
      -> see each below
    ldaps://dc1.corp.example.com:636 down     bound by 0 of 2
      ! it answers nobody: no answer\u{fffd}[2J
        -> see that it runs, and that its LDAPS port can be reached from them: `writebackctl reason forest-unavailable`";
    assert_eq!(picture, expected);
}

/// Of the same, changed.
fn picture(
    change: impl Fn(&mut v1::StatusResponse),
    of: Option<&str>,
) -> (String, serde_json::Value) {
    let Look::Seen { mut status, .. } = look() else {
        unreachable!()
    };
    change(&mut status);
    let of = of.map(|forest| forest.parse::<ForestId>().unwrap());
    let report = health::judge(&status);
    let report = match &of {
        Some(forest) => report.of_forest(forest.as_str()).unwrap(),
        None => report,
    };
    let look = Look::Seen {
        status,
        report: Box::new(report),
        of,
    };
    (view::lines(&look, Paint::PLAIN).join("\n"), json::of(&look))
}

#[test]
fn of_one_forest_the_headline_is_that_forests() {
    let writers_stopped = |status: &mut v1::StatusResponse| {
        status
            .heard
            .retain(|heard| heard.heartbeat.as_ref().unwrap().kind() != ServiceKind::Writer);
    };
    let (text, json) = picture(writers_stopped, Some("corp"));
    assert!(text.starts_with("Forest corp is down   2026"), "{text}");
    assert_eq!(json["forest"], "corp");
    assert!(text.contains("\n  writers    none is heard\n"), "{text}");
}

#[test]
fn keys_that_nobody_tells_of_are_not_shown() {
    let deaf = |status: &mut v1::StatusResponse| {
        status.listening_ms = None;
        status
            .heard
            .iter_mut()
            .for_each(|heard| heard.age_ms = 300_000);
    };
    let (text, json) = picture(deaf, None);
    assert!(
        text.contains("FOREST corp") && !text.contains("  keys "),
        "{text}"
    );
    assert!(json["forests"][0]["keys"].is_null());
}

#[test]
fn what_ended_without_a_forest_is_shown_for_the_whole() {
    let silent = |status: &mut v1::StatusResponse| {
        let ledger = status.ledger.as_mut().unwrap();
        ledger.ended.push(v1::EndedOperations {
            status: v1::Status::Failed.into(),
            reason: "forest-unavailable".to_owned(),
            count: 24,
            last_age_ms: 1_000,
            ..v1::EndedOperations::default()
        });
    };
    let (text, json) = picture(silent, None);
    let expected = "  outcomes   degraded 15 min, without a forest: failed 24 (forest-unavailable 24)\n    ! 24 operations";
    assert!(text.contains(expected), "{text}");
    let outcomes = &json["outcomes"];
    assert_eq!(outcomes["withoutForest"][0]["count"], 24);
    assert_eq!(outcomes["level"], "degraded");
}

#[test]
fn machines_are_told_the_same() {
    let value = json::of(&look());
    assert_eq!(value["level"], "down");
    assert_eq!(value["replica"], "audit-1");
    let forest = &value["forests"][0];
    assert_eq!(
        (&forest["id"], &forest["level"]),
        (&"corp".into(), &"down".into())
    );
    assert_eq!(forest["writers"]["instances"][0]["name"], "writer-corp-1");
    assert_eq!(forest["writers"]["instances"][0]["version"], "0.1.0");
    assert_eq!(forest["ended"][1]["reason"], "password-policy");
    let controller = &forest["domains"][0]["controllers"][0];
    assert_eq!(controller["contact"], "silent");
    assert!(controller["policyHints"].is_null(), "not known");
    assert_eq!(controller["findings"][0]["level"], "down");
}

#[test]
fn audit_away_is_down() {
    let look = Look::Away {
        at: datetime!(2026-11-21 10:00 UTC),
        why: "https://audit-1:9500: refused".to_owned(),
    };
    assert_eq!(look.ending(), Ending::Down);
    let picture = view::lines(&look, Paint::PLAIN).join("\n");
    assert!(
        picture.contains("audit cannot be asked: https://audit-1:9500: refused"),
        "{picture}"
    );
    assert_eq!(json::of(&look)["level"], "down");
}

#[test]
fn the_exit_codes_are_those_of_the_design() {
    use std::process::ExitCode;
    for (ending, code) in [(Ending::Done, 0), (Ending::Degraded, 1), (Ending::Down, 2)] {
        assert_eq!(ExitCode::from(ending), ExitCode::from(code));
    }
}
