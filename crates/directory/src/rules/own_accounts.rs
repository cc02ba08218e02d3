//! The accounts that Writeback itself binds with: whoever could reset them could stop a forest.

use operation::{Reason, Refusal};

use crate::Account;

/// As the configuration names them: `name@domain`, `DOMAIN\name` or a distinguished name.
#[derive(Debug, Clone)]
pub struct OwnAccounts(Vec<String>);

impl OwnAccounts {
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_lowercase).collect())
    }

    /// # Errors
    /// When the account is one of them, whoever asks.
    pub fn spare(&self, account: &Account) -> Result<(), Refusal> {
        if self.0.iter().any(|name| is(name, account)) {
            return Err(Refusal::new(
                Reason::ProtectedAccount,
                "the account is one that Writeback itself signs in with",
            ));
        }
        Ok(())
    }
}

fn is(name: &str, account: &Account) -> bool {
    let same =
        |held: Option<&str>, wanted: &str| held.is_some_and(|held| held.to_lowercase() == wanted);
    let login = account.sam_account_name.as_deref();
    if same(Some(&account.dn), name) {
        return true;
    }
    if let Some((_, wanted)) = name.split_once('\\') {
        return same(login, wanted);
    }
    let upn = account
        .upn
        .as_ref()
        .map(operation::UserPrincipalName::as_str);
    // a domain controller takes login@domain for the principal name of who has no such one
    same(upn, name)
        || name
            .split_once('@')
            .is_some_and(|(wanted, _)| same(login, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::account;

    fn service() -> Account {
        Account {
            sam_account_name: Some("svc-writeback".to_owned()),
            upn: "svc-writeback@corp.example.com".parse().ok(),
            dn: "CN=Writeback Service,OU=Services,DC=corp,DC=example,DC=com".to_owned(),
            ..account()
        }
    }

    #[test]
    fn an_account_of_our_own_is_spared_however_it_is_named() {
        for name in [
            "SVC-Writeback@corp.example.com",
            r"CORP\svc-writeback",
            "cn=writeback service,ou=services,dc=corp,dc=example,dc=com",
        ] {
            let own = OwnAccounts::new([name]);
            let refusal = own.spare(&service()).unwrap_err();
            assert_eq!(refusal.reason, Reason::ProtectedAccount, "{name}");
            assert_eq!(own.spare(&account()), Ok(()), "{name}");
        }
        let renamed = Account {
            upn: "writer@corp.example.com".parse().ok(),
            ..service()
        };
        let own = OwnAccounts::new(["svc-writeback@corp.example.com"]);
        assert!(own.spare(&renamed).is_err());
    }
}
