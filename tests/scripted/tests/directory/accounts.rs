//! Accounts as Windows shows them, where Samba shows or lets make others.

use directory::{DirectoryError, Identifier, Membership, PasswordWrite, PolicyHints};

use scripted_directory::{Act, Answer, DomainController, On, Received, ResultCode};

use crate::{Forest, NEW, change, reset};

#[tokio::test]
async fn what_trusts_another_domain_is_nobody() {
    let mut forest = Forest::new();
    forest.ana.flags = 0x820; // INTERDOMAIN_TRUST_ACCOUNT, PASSWD_NOTREQD
    let controller = forest.start(forest.script()).await;
    let directory = forest.directory(&[&controller]);
    let account = directory.read_account(forest.ana.guid).await.unwrap();
    assert!(!account.unwrap().is_person);
    let domain = "corp.example.com".parse().unwrap();
    let by = Identifier::ObjectGuid(forest.ana.guid);
    let found = directory.find(&domain, &by).await.unwrap();
    assert!(found.iter().all(|found| !found.is_person), "{found:?}");
    assert_eq!(found.len(), 1);
}

/// A domain controller that is a global catalog too knows whoever moved to another domain of the forest, and
/// refers to that (MS-ADTS 3.1.1.4.6): in the domain that was asked they are no more.
#[tokio::test]
async fn who_moved_to_another_domain_is_not_here() {
    let forest = Forest::new();
    let referral = Answer::referral("ldap://child.corp.example.com/DC=child,DC=corp");
    let script = forest.script().always(On::Search, Act::Answer(referral));
    let controller = forest.start(script).await;
    let directory = forest.directory(&[&controller]);
    let account = directory.read_account(forest.ana.guid).await.unwrap();
    assert!(account.is_none(), "{account:?}");
    // one that refers a search of the whole domain elsewhere does not hold that domain
    let domain = "corp.example.com".parse().unwrap();
    let by = Identifier::ObjectGuid(forest.ana.guid);
    let refused = directory.find(&domain, &by).await.unwrap_err();
    assert!(
        matches!(refused, DirectoryError::Misconfigured { .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn groups_are_read_where_they_may_be() {
    for (groups, membership) in [
        (&["S-1-5-21-1-2-3-513"][..], Membership::Ordinary),
        (
            &["S-1-5-21-1-2-3-513", "S-1-5-21-9-9-9-518"],
            Membership::Protected("Schema Admins"),
        ),
        (&[], Membership::Unreadable),
    ] {
        let mut forest = Forest::new();
        forest.ana.token_groups = groups.iter().map(|sid| sid.parse().unwrap()).collect();
        let controller = forest.start(forest.script()).await;
        let directory = forest.directory(&[&controller]);
        let account = directory.read_account(forest.ana.guid).await.unwrap();
        assert_eq!(account.unwrap().membership, membership, "{groups:?}");
    }
}

fn searches(controller: &DomainController) -> usize {
    controller.count(|received| matches!(received, Received::Search { .. }))
}

#[tokio::test]
async fn a_reset_that_leaves_the_password_expired_says_so_until_the_right_is_granted() {
    let forest = Forest::new();
    let script = forest.script().without_unexpire_password();
    let controller = forest.start(script).await;
    let directory = forest.directory(&[&controller]);
    let expired = async |write: PasswordWrite| {
        let receipt = forest.write(&directory, &write).await.unwrap();
        receipt.expired_at_once
    };
    // each person whom it happens to is told, and what was asked for is no surprise
    assert!(expired(reset("New-Passw0rd-1")).await);
    assert!(expired(reset("New-Passw0rd-2")).await);
    let asked = PasswordWrite::Reset {
        new: "New-Passw0rd-3".into(),
        unlock: true,
        must_change: true,
        policy_hints: PolicyHints::Never,
    };
    assert!(!expired(asked).await);
    assert!(!expired(change("New-Passw0rd-3", "New-Passw0rd-4")).await);
    assert_eq!(searches(&controller), 2);

    controller.grant_unexpire_password();
    assert!(!expired(reset("New-Passw0rd-5")).await);
    let looked = searches(&controller);
    // proven: what holds for one of the domain holds for all, and the next are spared the look
    assert!(!expired(reset("New-Passw0rd-6")).await);
    assert!(!expired(reset("New-Passw0rd-7")).await);
    assert_eq!((looked, searches(&controller)), (3, 3));
}

#[tokio::test]
async fn that_it_could_not_be_looked_at_makes_no_failure_of_a_reset() {
    let forest = Forest::new();
    let busy = Act::Answer(Answer::new(ResultCode::Busy, ""));
    for act in [busy, Act::Close { carried_out: false }] {
        let script = forest.script().without_unexpire_password();
        let controller = forest.start(script.once(On::Search, act)).await;
        let directory = forest.directory(&[&controller]);
        let receipt = forest.write(&directory, &reset(NEW)).await.unwrap();
        assert!(!receipt.expired_at_once);
        assert_eq!(forest.password_at(&controller), NEW);
        // nothing was learnt: the next one is looked at
        let receipt = forest.write(&directory, &reset("New-Passw0rd-2")).await;
        assert!(receipt.unwrap().expired_at_once);
    }
}
