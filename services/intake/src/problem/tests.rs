use super::*;

#[test]
fn every_reason_has_the_status_the_callers_rely_on() {
    for reason in Reason::ALL {
        let expected = match reason.code() {
            "writeback-disabled" | "unlock-disabled" => 403,
            "user-not-found" => 404,
            "user-ambiguous" | "superseded" => 409,
            "directory-error" | "directory-misconfigured" => 502,
            "forest-unavailable" => 503,
            "deadline-exceeded" => 504,
            _ => 422,
        };
        assert_eq!(status_of(*reason).as_u16(), expected, "{reason}");
    }
}

#[test]
fn a_refusal_tells_why_who_and_which() {
    let refusal = Refusal {
        violations: vec![Violation {
            rule: "length".to_owned(),
            message: "At least 8 characters.".to_owned(),
        }],
        ..Refusal::new(Reason::PasswordPolicy, "too short")
    };
    let id: OperationId = "0193b0de-0000-7000-8000-000000000001".parse().unwrap();
    assert_eq!(
        Problem::refusal(&refusal, Some(id)).to_json(),
        json!({
            "type": "urn:writeback:reason:password-policy",
            "title": "The password does not meet the domain's policy",
            "status": 422, "detail": "too short", "reason": "password-policy", "eventId": "33008",
            "actor": "person", "operationId": "0193b0de-0000-7000-8000-000000000001",
            "violations": [{"rule": "length", "message": "At least 8 characters."}],
        })
    );
}

#[test]
fn a_malformed_event_names_the_field() {
    let problem = Problem::from(EventError::malformed("data.user", "missing")).at(2);
    let body = problem.to_json();
    assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
    assert_eq!(body["field"], "[2].data.user");
    assert_eq!(body["detail"], "[2].data.user: missing");
    assert_eq!(body["type"], "about:blank");
    let throttled = Problem::too_many("slow down", 3).at(1).to_json();
    assert_eq!(throttled["field"], "[1]");
    assert_eq!(throttled["detail"], "[1]: slow down");
}

#[test]
fn the_headers_that_go_with_a_status() {
    let headers = |problem: Problem| problem.into_response().headers().clone();
    let challenge = |error: AccessError| {
        headers(error.into())[WWW_AUTHENTICATE]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        challenge(AccessError::Missing),
        "Bearer realm=\"writeback\""
    );
    assert!(challenge(AccessError::Invalid("it has expired")).contains("error=\"invalid_token\""));
    let insufficient = challenge(AccessError::InsufficientScope("password.reset"));
    assert!(insufficient.contains("error=\"insufficient_scope\", scope=\"password.reset\""));
    assert!(headers(Problem::ledger_unavailable()).contains_key(RETRY_AFTER));
    assert_eq!(headers(Problem::too_many("slow", 0))[RETRY_AFTER], "1");
    let unavailable = Refusal::new(Reason::ForestUnavailable, "corp");
    assert!(headers(Problem::refusal(&unavailable, None)).contains_key(RETRY_AFTER));
    assert_eq!(
        headers(Problem::method_not_allowed("POST"))[CONTENT_TYPE],
        "application/problem+json"
    );
}
