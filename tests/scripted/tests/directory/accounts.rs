//! Accounts as Windows shows them, where Samba shows or lets make others.

use directory::Identifier;

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
