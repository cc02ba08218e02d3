use std::collections::BTreeSet;

use time::macros::datetime;

use super::*;
use crate::{
    Account, RootDse,
    clock::ControllerClock,
    portrait::{Hidden, Policy, Rules},
    rules::tests::account,
};

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);

fn person() -> Portrait {
    let from = || Held::ByEverybody;
    Portrait {
        account: Account {
            pwd_last_set: PwdLastSet::At(NOW - Duration::hours(3)),
            ..account()
        },
        class: "user".to_owned(),
        locked_since: None,
        locked_until: None,
        wrong_passwords: None,
        password_expired: false,
        password_expires: None,
        policy: Policy {
            settings_object: None,
            rules: Some(Rules {
                minimum_length: 8,
                history_length: 24,
                minimum_age: Duration::ZERO,
                maximum_age: None,
                complex: true,
                lockout_threshold: 5,
                lockout_duration: None,
                lockout_window: Duration::minutes(30),
            }),
        },
        rights: [
            Right::ResetPassword,
            Right::WriteLockoutTime,
            Right::WritePwdLastSet,
            Right::ChangePassword,
            Right::UnexpirePassword,
        ]
        .map(|right| (right, from()))
        .into(),
        hidden: Vec::new(),
        may_change_own: Some(true),
        blocks_inheritance: Some(false),
        root: RootDse {
            domain_controller: "ldaps://127.0.0.11:636".to_owned(),
            dns_host_name: None,
            ds_service_name: None,
            site: None,
            supported_capabilities: BTreeSet::new(),
            domain_controller_functionality: None,
            domain_functionality: None,
            forest_functionality: None,
            default_naming_context: None,
            current_time: NOW,
            supported_control: BTreeSet::new(),
            is_synchronized: None,
            is_global_catalog_ready: None,
            sent: NOW,
            received: NOW,
        },
        clock: ControllerClock::default(),
    }
}

fn without(right: Right) -> Portrait {
    let mut person = person();
    for (known, held) in &mut person.rights {
        if *known == right {
            *held = Held::No;
        }
    }
    person
}

fn told(person: &Portrait) -> Vec<Option<Reason>> {
    let scope = Scope::new(
        &[],
        &["OU=Contractors,DC=corp,DC=example,DC=com".to_owned()],
    )
    .unwrap();
    let terms = Terms {
        scope: &scope,
        own_accounts: &OwnAccounts::new(["svc@corp.example.com"]),
        users_reach_protected: false,
        administrators_reach_protected: true,
        users_hints: PolicyHints::WhenAvailable,
        administrators_hints: PolicyHints::Never,
    };
    Act::ALL
        .map(|act| {
            foretell(act, person, &terms, NOW)
                .err()
                .map(|refusal| refusal.reason)
        })
        .into()
}

#[test]
fn all_works_for_an_ordinary_person() {
    assert_eq!(told(&person()), [None; 5]);
}

#[test]
fn each_right_counts_where_it_is_used() {
    use Reason::{AccessDenied, CannotChangePassword};
    for (right, expected) in [
        (
            Right::ResetPassword,
            [
                Some(AccessDenied),
                Some(AccessDenied),
                Some(AccessDenied),
                None,
                None,
            ],
        ),
        (
            Right::WriteLockoutTime,
            [
                Some(AccessDenied),
                Some(AccessDenied),
                Some(AccessDenied),
                None,
                Some(AccessDenied),
            ],
        ),
        (
            Right::WritePwdLastSet,
            [None, None, Some(AccessDenied), None, None],
        ),
        (
            Right::ChangePassword,
            [None, None, None, Some(CannotChangePassword), None],
        ),
        (Right::UnexpirePassword, [None; 5]),
    ] {
        assert_eq!(told(&without(right)), expected, "{right:?}");
    }
}

/// What is to be known of what would be done, where everybody is in scope and protected accounts are left alone.
fn notes_on(act: Act, person: &Portrait) -> Vec<String> {
    let scope = Scope::new(&[], &[]).unwrap();
    let terms = Terms {
        scope: &scope,
        own_accounts: &OwnAccounts::new([]),
        users_reach_protected: false,
        administrators_reach_protected: false,
        users_hints: PolicyHints::Never,
        administrators_hints: PolicyHints::Never,
    };
    foretell(act, person, &terms, NOW).unwrap()
}

#[test]
fn without_unexpire_the_answer_says_what_it_is_worth() {
    let person = without(Right::UnexpirePassword);
    let notes = |act| notes_on(act, &person);
    assert_eq!(notes(Act::ResetByUser), [EXPIRED_AT_ONCE]);
    assert!(notes(Act::ResetToBeChanged).is_empty());
    assert!(notes(Act::Unlock).is_empty());
}

#[test]
fn the_states_of_an_account_count_as_they_do_for_the_writer() {
    use Reason::{AccountDisabled, AccountLocked, OutOfScope, PasswordPolicy, ProtectedAccount};
    let with = |change: fn(&mut Portrait)| {
        let mut person = person();
        change(&mut person);
        told(&person)
    };
    assert_eq!(
        with(|person| person.account.enabled = false),
        [Some(AccountDisabled); 5]
    );
    assert_eq!(
        with(|person| person.account.locked = true),
        [None, None, None, Some(AccountLocked), None]
    );
    assert_eq!(
        with(|person| person.account.admin_count = true),
        [
            Some(ProtectedAccount),
            None,
            None,
            Some(ProtectedAccount),
            Some(ProtectedAccount)
        ]
    );
    assert_eq!(
        with(|person| "CN=Otto,OU=Contractors,DC=corp,DC=example,DC=com"
            .clone_into(&mut person.account.dn)),
        [Some(OutOfScope); 5]
    );
    let young = |person: &mut Portrait| {
        if let Some(rules) = &mut person.policy.rules {
            rules.minimum_age = Duration::DAY;
        }
    };
    assert_eq!(with(young), [None, None, None, Some(PasswordPolicy), None]);
}

#[test]
fn a_policy_that_cannot_be_read_is_not_taken_for_one_that_allows() {
    let mut person = person();
    person.policy.rules = None;
    for (act, is_noted) in [(Act::Change, true), (Act::Unlock, false)] {
        let notes = notes_on(act, &person);
        let is_told = notes
            .iter()
            .any(|note| note.contains("may not read the policy"));
        assert_eq!(is_told, is_noted, "{act:?}: {notes:?}");
    }
}

#[test]
fn what_the_writer_decides_without_is_told() {
    let hidden = |service| Hidden {
        service,
        attribute: "pwdLastSet",
        held: Held::No,
    };
    let notes = |person: &Portrait| notes_on(Act::ResetByUser, person);
    let mut person = person();
    person.hidden = vec![hidden(Service::Resolver)];
    assert!(notes(&person).is_empty());
    person.hidden.push(hidden(Service::Writer));
    let notes = notes(&person);
    assert!(
        notes.iter().any(|note| note.contains("pwdLastSet")),
        "{notes:?}"
    );
}
