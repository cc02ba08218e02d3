use directory::rules::is_expired_at_once;
use operation::{EventIdentity, Initiator, ObjectGuid, OperationId, SourceAnchor, UserReference};
use time::macros::datetime;

use super::*;

const ADMITTED: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);
const RULES: Rules = Rules {
    users_reach_protected: false,
    administrators_reach_protected: false,
    clock_skew: Duration::milliseconds(500),
    users_hints: PolicyHints::WhenAvailable,
    administrators_hints: PolicyHints::Never,
};

fn operation(kind: Kind) -> Operation {
    let anchor = SourceAnchor::from_bytes([1; 16]);
    Operation {
        id: OperationId::from_uuid(uuid::Uuid::from_u128(1)),
        kind,
        user: UserReference::new(Some(anchor), None, None, None).expect("an anchor"),
        initiator: Initiator {
            kind: InitiatorKind::User,
            id: None,
        },
        event: EventIdentity {
            source: "/portal".to_owned(),
            id: "1".to_owned(),
        },
        must_change_at_next_sign_in: false,
        unlock: true,
        admitted_at: ADMITTED,
        deadline: ADMITTED + Duration::seconds(30),
    }
}

fn account() -> Account {
    Account {
        guid: ObjectGuid::from_bytes([1; 16]),
        sid: "S-1-5-21-1-2-3-1104".parse().ok(),
        upn: "ana@corp.example.com".parse().ok(),
        anchor: SourceAnchor::from_bytes([1; 16]),
        dn: "CN=Ana,OU=People,DC=corp,DC=example,DC=com".to_owned(),
        sam_account_name: None,
        display_name: None,
        enabled: true,
        locked: false,
        admin_count: false,
        membership: Membership::Ordinary,
        is_krbtgt: false,
        pwd_last_set: PwdLastSet::At(ADMITTED - Duration::days(3)),
        expires: None,
        password_never_expires: false,
        smart_card_required: false,
        not_delegated: false,
        is_person: true,
        domain_controller: "ldaps://127.0.0.11:636".to_owned(),
    }
}

/// A clock that agrees with ours to a few milliseconds.
fn clock() -> ControllerClock {
    let mut clock = ControllerClock::default();
    for millisecond in [998, 999, 1000, 1001] {
        let sent = ADMITTED + Duration::milliseconds(millisecond);
        let shown = ADMITTED + Duration::seconds(millisecond / 1000);
        clock.observe(sent, sent + Duration::milliseconds(1), shown);
    }
    clock
}

fn permitted(operation: &Operation, account: &Account) -> Result<(), Reason> {
    let scope = Scope::new(
        &[],
        &["OU=Contractors,DC=corp,DC=example,DC=com".to_owned()],
    )
    .expect("a scope");
    permit(operation, account, &scope, RULES).map_err(|refusal| refusal.reason)
}

#[test]
fn an_ordinary_account_may_be_written() {
    for kind in Kind::ALL {
        assert_eq!(permitted(&operation(kind), &account()), Ok(()));
    }
}

#[test]
fn what_may_not_be_written_says_why() {
    let reset = operation(Kind::Reset);
    let refused = |account: Account| permitted(&reset, &account).expect_err("refused");
    assert_eq!(
        refused(Account {
            enabled: false,
            ..account()
        }),
        Reason::AccountDisabled
    );
    assert_eq!(
        refused(Account {
            admin_count: true,
            ..account()
        }),
        Reason::ProtectedAccount
    );
    assert_eq!(
        refused(Account {
            is_person: false,
            ..account()
        }),
        Reason::UserNotFound
    );
    let other = Account {
        anchor: SourceAnchor::from_bytes([2; 16]),
        ..account()
    };
    assert_eq!(refused(other), Reason::UserNotFound);
    let outside = Account {
        dn: "CN=Ana,OU=Contractors,DC=corp,DC=example,DC=com".to_owned(),
        ..account()
    };
    assert_eq!(refused(outside), Reason::OutOfScope);
}

#[test]
fn a_lockout_is_only_cleared_when_asked() {
    let locked = Account {
        locked: true,
        ..account()
    };
    assert_eq!(permitted(&operation(Kind::Reset), &locked), Ok(()));
    assert_eq!(permitted(&operation(Kind::Unlock), &locked), Ok(()));
    let keeping = Operation {
        unlock: false,
        ..operation(Kind::Reset)
    };
    assert_eq!(permitted(&keeping, &locked), Err(Reason::AccountLocked));
    assert_eq!(
        permitted(&operation(Kind::Change), &locked),
        Err(Reason::AccountLocked)
    );
}

#[test]
fn a_password_set_since_admission_supersedes_unless_an_older_operation_set_it() {
    let at = ADMITTED + Duration::seconds(5);
    let set = Account {
        pwd_last_set: PwdLastSet::At(at),
        ..account()
    };
    let since = set_since_admission(&operation(Kind::Reset), &set, &clock(), RULES);
    assert_eq!(since, Comparison::Later);
    let is_superseded = |since, precedents: &[Precedent]| {
        let overtaken = superseded(&set, since, precedents);
        matches!(overtaken, Overtaken::ByANewer(refusal) if refusal.reason == Reason::Superseded)
    };
    assert!(is_superseded(since, &[]));
    let older = Precedent {
        admitted_later: false,
        kind: Kind::Reset,
        status: Status::Applied,
        written: Some((at - Duration::SECOND, at + Duration::SECOND)),
    };
    assert_eq!(superseded(&set, since, &[older]), Overtaken::No);
    let elsewhere = Precedent {
        written: Some((ADMITTED, ADMITTED)),
        ..older
    };
    assert!(is_superseded(since, &[elsewhere]));
    let newer = Precedent {
        admitted_later: true,
        ..older
    };
    for since in [Comparison::Earlier, Comparison::Unsure, Comparison::Later] {
        assert!(is_superseded(since, &[newer]));
    }
    // an older one that has not ended may have set it
    let not_ended = Precedent {
        status: Status::Pending,
        written: None,
        ..older
    };
    assert!(matches!(
        superseded(&set, since, &[not_ended]),
        Overtaken::Perhaps(_)
    ));
    assert!(is_superseded(since, &[not_ended, newer]));
    for since in [Comparison::Earlier, Comparison::Unsure] {
        assert_eq!(superseded(&set, since, &[not_ended]), Overtaken::No);
    }
    let must_change = Account {
        pwd_last_set: PwdLastSet::MustChange,
        ..account()
    };
    let since = set_since_admission(&operation(Kind::Reset), &must_change, &clock(), RULES);
    assert_eq!(since, Comparison::Unsure, "the ledger is asked");
    assert_eq!(superseded(&must_change, since, &[]), Overtaken::No);
    let never_since = set_since_admission(&operation(Kind::Reset), &account(), &clock(), RULES);
    assert_eq!(never_since, Comparison::Earlier);
}

#[test]
fn a_lost_write_happened_only_if_the_new_password_opens_an_account_set_since() {
    let reset = operation(Kind::Reset);
    let set = Account {
        pwd_last_set: PwdLastSet::At(ADMITTED + Duration::seconds(2)),
        ..account()
    };
    assert!(happened(&reset, &set, Some(Opens::Yes), &clock(), RULES));
    assert!(!happened(&reset, &set, Some(Opens::No), &clock(), RULES));
    assert!(!happened(
        &reset,
        &account(),
        Some(Opens::Yes),
        &clock(),
        RULES
    ));
    assert!(happened(
        &operation(Kind::Unlock),
        &account(),
        None,
        &clock(),
        RULES
    ));
}

#[test]
fn a_reset_says_whether_history_was_checked() {
    const CONTROL: &str = "1.2.840.113556.1.4.2239";
    let by = |kind| {
        let mut operation = operation(Kind::Reset);
        operation.initiator.kind = kind;
        operation
    };
    let (user, administrator) = (by(InitiatorKind::User), by(InitiatorKind::Administrator));
    assert_eq!(RULES.policy_hints(&user), PolicyHints::WhenAvailable);
    assert_eq!(RULES.policy_hints(&administrator), PolicyHints::Never);
    for (operation, sent, said) in [
        (
            &user,
            Sent::ByUs(Some(CONTROL)),
            "was checked: the reset was sent with policy hints (1.2.840.113556.1.4.2239)",
        ),
        (
            &user,
            Sent::ByUs(None),
            "was not checked: the domain controller does not know policy hints",
        ),
        (
            &administrator,
            Sent::ByUs(None),
            "was not checked: resets by administrators are sent without",
        ),
        (&administrator, Sent::ByUs(Some(CONTROL)), "was checked"),
        (&user, Sent::Before, "is not known"),
    ] {
        let notes = notes(operation, &account(), RULES, sent, &clock(), ADMITTED);
        assert!(notes.len() == 1 && notes[0].contains(said), "{notes:?}");
    }
    for kind in [Kind::Change, Kind::Unlock] {
        let mut account = account();
        account.locked = true;
        let sent = Sent::ByUs(None);
        let notes = notes(&operation(kind), &account, RULES, sent, &clock(), ADMITTED);
        assert!(notes.is_empty(), "{notes:?}");
    }
}

#[test]
fn what_a_success_is_worth_is_said() {
    let now = ADMITTED + Duration::seconds(2);
    let said = |operation: &Operation, account: &Account| {
        notes(operation, account, RULES, Sent::Before, &clock(), now).join("; ")
    };
    let expired = Account {
        expires: Some(ADMITTED - Duration::days(1)),
        ..account()
    };
    for kind in Kind::ALL {
        let said = said(&operation(kind), &expired);
        assert!(
            said.contains("the account expired on 2026-02-28"),
            "{kind}: {said}"
        );
    }
    for expires in [None, Some(now), Some(now + Duration::days(1))] {
        let account = Account {
            expires,
            ..account()
        };
        let said = said(&operation(Kind::Reset), &account);
        assert!(!said.contains("expired"), "{said}");
    }

    let forced = Operation {
        must_change_at_next_sign_in: true,
        ..operation(Kind::Reset)
    };
    let everlasting = Account {
        password_never_expires: true,
        ..account()
    };
    assert!(said(&forced, &everlasting).contains("has no effect"));
    assert!(!said(&operation(Kind::Reset), &everlasting).contains("has no effect"));
    assert!(!said(&forced, &account()).contains("has no effect"));

    let carded = Account {
        smart_card_required: true,
        ..account()
    };
    assert!(said(&operation(Kind::Reset), &carded).contains("smart card"));
    assert!(said(&forced, &carded).contains("has no effect"));
    assert!(!said(&operation(Kind::Unlock), &carded).contains("smart card"));
}

#[test]
fn protected_accounts_are_reached_only_by_whom_the_operator_lets() {
    let scope = Scope::new(&[], &[]).expect("a scope");
    let protected = [
        Account {
            admin_count: true,
            ..account()
        },
        Account {
            membership: Membership::Protected("Print Operators"),
            ..account()
        },
        Account {
            sid: "S-1-5-21-1-2-3-500".parse().ok(),
            ..account()
        },
    ];
    let krbtgt = Account {
        is_krbtgt: true,
        ..account()
    };
    let mut by_administrator = operation(Kind::Reset);
    by_administrator.initiator.kind = InitiatorKind::Administrator;
    for (users_reach_protected, administrators_reach_protected) in
        [(false, false), (true, false), (false, true), (true, true)]
    {
        let rules = Rules {
            users_reach_protected,
            administrators_reach_protected,
            ..RULES
        };
        for (operation, reaches) in [
            (&operation(Kind::Reset), users_reach_protected),
            (&operation(Kind::Unlock), users_reach_protected),
            (&by_administrator, administrators_reach_protected),
        ] {
            for account in &protected {
                let permitted = permit(operation, account, &scope, rules);
                assert_eq!(permitted.is_ok(), reaches, "{account:?}: {permitted:?}");
            }
            let refusal = permit(operation, &krbtgt, &scope, rules).expect_err("never");
            assert_eq!(refusal.reason, Reason::ProtectedAccount);
        }
    }
    let refusal = permit(&by_administrator, &protected[1], &scope, RULES).expect_err("refused");
    assert!(
        refusal.detail.contains("Print Operators"),
        "{}",
        refusal.detail
    );
}

#[test]
fn that_groups_cannot_be_read_is_said_where_it_matters() {
    let account = Account {
        membership: Membership::Unreadable,
        ..account()
    };
    let said = |rules| {
        let unlock = operation(Kind::Unlock);
        notes(&unlock, &account, rules, Sent::Before, &clock(), ADMITTED).join("; ")
    };
    assert!(said(RULES).contains("tokenGroups"));
    let reaching = Rules {
        users_reach_protected: true,
        ..RULES
    };
    assert!(!said(reaching).contains("tokenGroups"));
}

#[test]
fn a_lost_write_that_expired_at_once_has_happened_all_the_same() {
    let expired = Account {
        pwd_last_set: PwdLastSet::MustChange,
        ..account()
    };
    let reset = operation(Kind::Reset);
    let judged = |opens| happened(&reset, &expired, Some(opens), &clock(), RULES);
    assert!(judged(Opens::YesButMustChange));
    assert!(judged(Opens::YesButKeptOut));
    assert!(!judged(Opens::No));
    assert!(is_expired_at_once(&reset, &expired));
    assert!(!is_expired_at_once(&reset, &account()));
    assert!(!is_expired_at_once(&operation(Kind::Unlock), &expired));
    let asked = Operation {
        must_change_at_next_sign_in: true,
        ..reset
    };
    assert!(!is_expired_at_once(&asked, &expired));
}
