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
    decided_by(&EnabledInTwoForests::Refuse, user, sealed_for, answers)
}

fn prefer(forests: &[&str]) -> EnabledInTwoForests {
    let ids: Vec<ForestId> = forests
        .iter()
        .map(|id| id.parse().expect("an id"))
        .collect();
    EnabledInTwoForests::Prefer(ids.try_into().expect("an order"))
}

/// The domain is that of the first found, for a domain answers for itself.
fn decided_by(
    rule: &EnabledInTwoForests,
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
    let domains: Vec<DomainName> = answers
        .iter()
        .map(|(_, found)| match found.as_deref() {
            Ok([first, ..]) => first.domain.clone(),
            _ => "corp.example.com".parse().expect("a domain"),
        })
        .collect();
    let answers: Vec<Answer<'_>> = answers
        .into_iter()
        .zip(forests.iter().zip(&domains))
        .map(|((_, found), (forest, domain))| Answer {
            forest,
            domain,
            scope: &scope,
            found,
        })
        .collect();
    let sealed_for: Vec<ForestId> = sealed_for
        .iter()
        .map(|id| id.parse().expect("an id"))
        .collect();
    locate(user, &sealed_for, rule, &answers)
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

/// The person with anchor 1, enabled in a forest of their own each.
fn one_person_in(
    forests: &[(&'static str, u8)],
) -> Vec<(&'static str, Result<Vec<Found>, String>)> {
    forests
        .iter()
        .map(|(forest, guid)| {
            let account = Found {
                consistency_guid: Some(SourceAnchor::from_bytes([1; 16])),
                ..found(*guid, "ana@corp.example.com", ANA)
            };
            (*forest, Ok(vec![account]))
        })
        .collect()
}

#[test]
fn an_order_chooses_among_forests_and_says_so() {
    for (order, chosen, other) in [
        (["corp", "emea"], "corp", "emea"),
        (["emea", "corp"], "emea", "corp"),
    ] {
        let answers = one_person_in(&[("corp", 1), ("emea", 2)]);
        let located =
            decided_by(&prefer(&order), &by_anchor(1), &[], answers).expect("one is preferred");
        assert_eq!(located.forest.as_str(), chosen);
        assert_eq!(
            located.preferred_to,
            ["emea", "corp"]
                .map(|id| id.parse().expect("an id"))
                .into_iter()
                .filter(|id: &ForestId| id.as_str() == other)
                .collect::<Vec<_>>()
        );
    }
    let alone = one_person_in(&[("corp", 1)]);
    let located = decided_by(&prefer(&["corp", "emea"]), &by_anchor(1), &[], alone).expect("found");
    assert!(located.preferred_to.is_empty());
}

#[test]
fn an_order_is_no_guess() {
    let order = prefer(&["corp", "emea"]);
    // of a third forest it says nothing
    let three = one_person_in(&[("corp", 1), ("emea", 2), ("apac", 3)]);
    assert_eq!(
        reason(decided_by(&order, &by_anchor(1), &[], three)),
        Reason::UserAmbiguous
    );
    // one name, but perhaps two people
    let by_name = UserReference::new(None, None, "ana@corp.example.com".parse().ok(), None)
        .expect("a reference");
    let namesakes = vec![
        ("corp", Ok(vec![found(1, "ana@corp.example.com", ANA)])),
        ("emea", Ok(vec![found(2, "ana@corp.example.com", ANA)])),
    ];
    assert_eq!(
        reason(decided_by(&order, &by_name, &[], namesakes)),
        Reason::UserAmbiguous
    );
    // two in one forest, whatever is preferred
    let mut twice = one_person_in(&[("corp", 1), ("emea", 2)]);
    twice.extend(one_person_in(&[("corp", 3)]));
    assert_eq!(
        reason(decided_by(&order, &by_anchor(1), &[], twice)),
        Reason::UserAmbiguous
    );
    // the preferred one did not answer
    let mut silent = one_person_in(&[("emea", 2)]);
    silent.push(("corp", Err("no domain controller reached".to_owned())));
    assert_eq!(
        reason(decided_by(&order, &by_anchor(1), &[], silent)),
        Reason::ForestUnavailable
    );
    // the seal cannot be opened there
    let both = one_person_in(&[("corp", 1), ("emea", 2)]);
    assert_eq!(
        reason(decided_by(&order, &by_anchor(1), &["emea", "apac"], both)),
        Reason::SealInvalid
    );
}

const IN_CHILD: &str = "CN=Ana,OU=People,DC=child,DC=corp,DC=example,DC=com";

fn in_child(guid: u8) -> Found {
    Found {
        domain: "child.corp.example.com".parse().expect("a domain"),
        ..found(guid, "ana@corp.example.com", IN_CHILD)
    }
}

#[test]
fn two_domains_of_a_forest_are_no_two_forests() {
    let twins = vec![
        ("corp", Ok(vec![found(1, "ana@corp.example.com", ANA)])),
        (
            "corp",
            Ok(vec![Found {
                consistency_guid: Some(SourceAnchor::from_bytes([1; 16])),
                ..in_child(2)
            }]),
        ),
    ];
    for rule in [EnabledInTwoForests::Refuse, prefer(&["corp", "emea"])] {
        assert_eq!(
            reason(decided_by(&rule, &by_anchor(1), &[], twins.clone())),
            Reason::UserAmbiguous
        );
    }
}

#[test]
fn who_is_seen_in_two_domains_is_on_the_way() {
    let moving = vec![
        (
            "corp",
            Ok(vec![Found {
                enabled: false,
                ..found(1, "ana@corp.example.com", ANA)
            }]),
        ),
        ("corp", Ok(vec![in_child(1)])),
    ];
    let refusal = decided(&by_anchor(1), &[], moving).expect_err("a refusal");
    assert_eq!(refusal.reason, Reason::ForestUnavailable);
    assert!(refusal.detail.contains("being moved"), "{}", refusal.detail);
}

#[test]
fn a_domain_speaks_for_itself_alone() {
    // a domain controller that is a global catalog too, asked for the domain above
    let answers = vec![(
        "corp",
        Ok(vec![found(9, "bea@corp.example.com", ANA), in_child(1)]),
    )];
    assert_eq!(
        reason(decided(&by_anchor(1), &[], answers)),
        Reason::UserNotFound
    );
}
