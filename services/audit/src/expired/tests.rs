use bus::{DeadLetter, Fate};
use operation::{InitiatorKind, Kind};
use proto::v1;

use super::*;
use crate::{content::Admission, record::Record};

const ID: &str = "0193b0de-0000-7000-8000-000000000001";
const DEADLINE: i64 = 4_000_000_000_000_000;

fn request() -> v1::Request {
    v1::Request {
        operation: Some(v1::Operation {
            id: ID.to_owned(),
            deadline: DEADLINE,
            ..v1::Operation::default()
        }),
        sealed_password: "sealed".to_owned(),
        ..v1::Request::default()
    }
}

fn target() -> Target {
    Target {
        forest: "corp".parse().unwrap(),
        domain: "corp.example.com".parse().unwrap(),
        object_guid: "6f1cde1a-9b0c-4bd9-9a34-1a2b3c4d5e6f".parse().unwrap(),
    }
}

fn record(target: Option<Target>) -> Record {
    let admission = Admission {
        id: ID.parse().unwrap(),
        kind: Kind::Reset,
        source_anchor: None,
        security_identifier: None,
        user_principal_name: None,
        domain: None,
        initiator: InitiatorKind::User,
        initiator_id: None,
        event_source: "cloud".to_owned(),
        event_id: "1".to_owned(),
        must_change_at_next_sign_in: false,
        unlock: true,
        admitted_at: 1,
        deadline: DEADLINE,
        content_digest: String::new(),
        caller: String::new(),
        service: "intake-1".to_owned(),
        unthrottled: true,
        closed: std::collections::BTreeMap::new(),
    };
    Record {
        target,
        ..Record::admitted(admission)
    }
}

fn from_requests() -> Letter {
    Letter::read(Origin::Requests, &request().encode_to_vec()).unwrap()
}

fn from_forest(reconcile_only: bool) -> Letter {
    let work = v1::ForestWork {
        request: Some(request()),
        target: Some(target().to_wire()),
        reconcile_only,
        remembered: false,
    };
    let corp = Origin::of_queue("writeback.forest.corp").unwrap();
    Letter::read(corp, &work.encode_to_vec()).unwrap()
}

fn work(body: &[u8]) -> v1::ForestWork {
    v1::ForestWork::decode(body).unwrap()
}

#[test]
fn work_goes_back_to_its_forest_with_its_seal() {
    for reconcile in [false, true] {
        let (to, body) = address(&from_forest(false), &record(Some(target())), reconcile);
        assert_eq!(to, Destination::Forest("corp".parse().unwrap()));
        assert_eq!(work(&body).reconcile_only, reconcile);
        assert_eq!(work(&body).request.unwrap().sealed_password, "sealed");
    }
}

#[test]
fn a_request_goes_back_to_the_resolvers_while_there_is_time() {
    for known in [None, Some(target())] {
        let (to, body) = address(&from_requests(), &record(known), false);
        assert_eq!(to, Destination::Requests);
        assert_eq!(
            v1::Request::decode(body.as_slice())
                .unwrap()
                .sealed_password,
            "sealed"
        );
    }
}

#[test]
fn a_late_request_is_reconciled_where_it_is_known_to_have_gone() {
    let (to, body) = address(&from_requests(), &record(Some(target())), true);
    assert_eq!(to, Destination::Forest("corp".parse().unwrap()));
    assert!(work(&body).reconcile_only);
    let (to, _) = address(&from_requests(), &record(None), true);
    assert_eq!(to, Destination::Requests);
}

#[test]
fn reconciling_stays_reconciling() {
    for fate in [Fate::Untaken, Fate::Rejected, Fate::PerhapsTaken] {
        let death = from_forest(true).death(fate);
        assert_eq!(death.verdict(), Verdict::Reconcile);
    }
    let death = from_forest(false).death(Fate::PerhapsTaken);
    assert_eq!(death.verdict(), Verdict::GiveBack);
}

#[test]
fn what_may_have_been_handed_on_already_is_not_handed_on_unmarked() {
    let dead = |fate| DeadLetter {
        queue: "writeback.forest.corp".to_owned(),
        reason: "rejected".to_owned(),
        fate,
    };
    assert_eq!(fate(&dead(Fate::Rejected), false), Fate::Rejected);
    assert_eq!(fate(&dead(Fate::Rejected), true), Fate::PerhapsTaken);
    assert_eq!(fate(&dead(Fate::Untaken), true), Fate::Untaken);
}
