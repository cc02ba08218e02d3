//! Where Writeback may act: organizational units included and excluded.

use crate::distinguished_name::DistinguishedName;

/// Why a scope cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a distinguished name such as OU=People,DC=corp,DC=example,DC=com")]
pub struct ScopeError(String);

/// The part of a domain in which Writeback may act. An exclusion outweighs every inclusion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    include: Vec<DistinguishedName>,
    exclude: Vec<DistinguishedName>,
}

impl Scope {
    /// Without inclusions everything is included.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, ScopeError> {
        let parse = |names: &[String]| {
            names
                .iter()
                .map(|name| DistinguishedName::parse(name).ok_or_else(|| ScopeError(name.clone())))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            include: parse(include)?,
            exclude: parse(exclude)?,
        })
    }

    /// A name that cannot be read is outside: nothing is written where we do not know where it is.
    pub fn contains(&self, dn: &str) -> bool {
        DistinguishedName::parse(dn).is_some_and(|name| {
            let within = |ancestors: &[DistinguishedName]| {
                ancestors.iter().any(|ancestor| name.is_within(ancestor))
            };
            (self.include.is_empty() || within(&self.include)) && !within(&self.exclude)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(include: &[&str], exclude: &[&str]) -> Scope {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        Scope::new(&owned(include), &owned(exclude)).unwrap()
    }

    #[test]
    fn exclusion_outweighs_inclusion() {
        let scope = scope(
            &["OU=People,DC=corp,DC=example,DC=com"],
            &["OU=Board,OU=People,DC=corp,DC=example,DC=com"],
        );
        for (dn, inside) in [
            ("CN=Ana,OU=People,DC=corp,DC=example,DC=com", true),
            ("cn=Ana,ou=PEOPLE,dc=Corp,dc=example,dc=com", true),
            ("CN=Ana,OU=Sales,OU=People,DC=corp,DC=example,DC=com", true),
            ("CN=Ana,OU=Board,OU=People,DC=corp,DC=example,DC=com", false),
            (
                "CN=Ana,OU=x,OU=Board,OU=People,DC=corp,DC=example,DC=com",
                false,
            ),
            ("CN=Ana,OU=Other,DC=corp,DC=example,DC=com", false),
            // an escaped comma must not smuggle a name into a scope
            ("CN=Ana\\,OU=People,DC=corp,DC=example,DC=com", false),
            ("CN=Ana,OU=xOU=People,DC=corp,DC=example,DC=com", false),
            ("CN=Ana,OU=People,DC=corp,DC=example,DC=com,DC=evil", false),
            ("nonsense", false),
            ("", false),
        ] {
            assert_eq!(scope.contains(dn), inside, "{dn}");
        }
    }

    #[test]
    fn empty_inclusion_is_the_whole_domain() {
        let scope = scope(&[], &["OU=Admins,DC=corp"]);
        assert!(scope.contains("CN=Ana,DC=corp"));
        assert!(!scope.contains("CN=Ana,OU=Admins,DC=corp"));
        assert!(!scope.contains("CN=Ana,OU="));
    }

    #[test]
    fn a_scope_that_is_no_name_is_refused() {
        assert!(Scope::new(&["People".to_owned()], &[]).is_err());
        assert!(Scope::new(&[], &[String::new()]).is_err());
    }
}
