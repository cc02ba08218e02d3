use super::*;

fn found(guid: u8, upn: &str, dn: &str) -> Found {
    Found {
        guid: ObjectGuid::from_bytes([guid; 16]),
        sid: format!("S-1-5-21-1-2-3-{guid}").parse().ok(),
        upn: upn.parse().ok(),
        dn: dn.to_owned(),
        domain: "corp.example.com".parse().expect("a domain"),
        enabled: true,
        is_person: true,
        consistency_guid: None,
    }
}

fn by_anchor(guid: u8) -> UserReference {
    UserReference::new(Some(SourceAnchor::from_bytes([guid; 16])), None, None, None)
        .expect("an anchor")
}

const ANA: &str = "CN=Ana,OU=People,DC=corp,DC=example,DC=com";

fn decided(
    user: &UserReference,
    sealed_for: &[&str],
    answers: Vec<(&str, Result<Vec<Found>, String>)>,
) -> Result<Located, Refusal> {
    let scope = Scope::new(
        &["DC=corp,DC=example,DC=com".to_owned()],
        &["OU=Contractors,DC=corp,DC=example,DC=com".to_owned()],
    )
    .expect("a scope");
    let forests: Vec<ForestId> = answers
        .iter()
        .map(|(id, _)| id.parse().expect("an id"))
        .collect();
    let answers: Vec<Answer<'_>> = answers
        .into_iter()
        .zip(&forests)
        .map(|((_, found), forest)| Answer {
            forest,
            scope: &scope,
            found,
        })
        .collect();
    let sealed_for: Vec<ForestId> = sealed_for
        .iter()
        .map(|id| id.parse().expect("an id"))
        .collect();
    locate(user, &sealed_for, &answers)
}

fn reason(result: Result<Located, Refusal>) -> Reason {
    result.expect_err("a refusal").reason
}

#[test]
fn one_enabled_account_is_the_one() {
    let located = decided(
        &by_anchor(1),
        &["corp", "emea"],
        vec![
            ("corp", Ok(vec![found(1, "ana@corp.example.com", ANA)])),
            ("emea", Ok(vec![])),
        ],
    )
    .expect("found");
    assert_eq!(located.forest.as_str(), "corp");
    assert_eq!(located.object_guid, ObjectGuid::from_bytes([1; 16]));
}

#[test]
fn two_enabled_accounts_are_ambiguous_and_a_disabled_one_does_not_count() {
    let ana = found(1, "ana@corp.example.com", ANA);
    let twin = Found {
        guid: ObjectGuid::from_bytes([2; 16]),
        consistency_guid: Some(SourceAnchor::from_bytes([1; 16])),
        ..ana.clone()
    };
    let both = vec![
        ("corp", Ok(vec![ana.clone()])),
        ("emea", Ok(vec![twin.clone()])),
    ];
    assert_eq!(
        reason(decided(&by_anchor(1), &[], both)),
        Reason::UserAmbiguous
    );
    let disabled = Found {
        enabled: false,
        ..twin
    };
    let one = vec![
        ("corp", Ok(vec![ana])),
        ("emea", Ok(vec![disabled.clone()])),
    ];
    assert!(decided(&by_anchor(1), &[], one).is_ok());
    let none = vec![("emea", Ok(vec![disabled]))];
    assert_eq!(
        reason(decided(&by_anchor(1), &[], none)),
        Reason::AccountDisabled
    );
}

#[test]
fn a_forest_that_did_not_answer_leaves_the_person_unknown() {
    let answers = vec![
        ("corp", Ok(vec![found(1, "ana@corp.example.com", ANA)])),
        ("emea", Err("no domain controller reached".to_owned())),
    ];
    assert_eq!(
        reason(decided(&by_anchor(1), &[], answers)),
        Reason::ForestUnavailable
    );
}

#[test]
fn identifiers_that_disagree_name_the_field() {
    let user = UserReference::new(
        Some(SourceAnchor::from_bytes([1; 16])),
        None,
        "bea@corp.example.com".parse().ok(),
        None,
    )
    .expect("a reference");
    let refusal = decided(
        &user,
        &[],
        vec![("corp", Ok(vec![found(1, "ana@corp.example.com", ANA)]))],
    )
    .expect_err("a refusal");
    assert_eq!(refusal.reason, Reason::UserNotFound);
    assert!(
        refusal.detail.contains("userPrincipalName"),
        "{}",
        refusal.detail
    );
}

#[test]
fn computers_are_nobody_and_excluded_units_are_out_of_scope() {
    let computer = Found {
        is_person: false,
        ..found(1, "pc@corp.example.com", ANA)
    };
    assert_eq!(
        reason(decided(
            &by_anchor(1),
            &[],
            vec![("corp", Ok(vec![computer]))]
        )),
        Reason::UserNotFound
    );
    let outside = found(
        1,
        "otto@corp.example.com",
        "CN=Otto,OU=Contractors,DC=corp,DC=example,DC=com",
    );
    assert_eq!(
        reason(decided(
            &by_anchor(1),
            &[],
            vec![("corp", Ok(vec![outside]))]
        )),
        Reason::OutOfScope
    );
}

#[test]
fn an_object_guid_is_no_anchor_once_a_consistency_guid_differs() {
    let moved = Found {
        consistency_guid: Some(SourceAnchor::from_bytes([9; 16])),
        ..found(1, "ana@corp.example.com", ANA)
    };
    assert_eq!(
        reason(decided(&by_anchor(1), &[], vec![("corp", Ok(vec![moved]))])),
        Reason::UserNotFound
    );
}

#[test]
fn a_seal_without_the_forests_key_is_refused() {
    let answers = vec![
        ("corp", Ok(vec![found(1, "ana@corp.example.com", ANA)])),
        ("emea", Ok(vec![])),
    ];
    assert_eq!(
        reason(decided(&by_anchor(1), &["emea", "apac"], answers)),
        Reason::SealInvalid
    );
}
