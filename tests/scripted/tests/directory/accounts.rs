//! Accounts as Windows shows them, where Samba shows or lets make others.

use directory::{Identifier, Membership};

use crate::Forest;

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
