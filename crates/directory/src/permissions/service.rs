//! Which service needs what of the people in scope.

use std::fmt;

use super::Right;

/// A service that binds to the directory. Both may bind as the same account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    Resolver,
    Writer,
}

/// Without these nobody is found, whatever they are called by.
pub(super) const FOUND_BY: [&str; 2] = ["objectGUID", "objectClass"];

impl Service {
    pub const BOTH: [Self; 2] = [Self::Resolver, Self::Writer];

    /// The attributes of people that it reads.
    pub const fn reads(self) -> &'static [&'static str] {
        match self {
            // finds people by these, and tells them apart with them
            Self::Resolver => &[
                "objectClass",
                "objectGUID",
                "objectSid",
                "userPrincipalName",
                "userAccountControl",
                "mS-DS-ConsistencyGuid",
                "sAMAccountType",
                "uSNChanged",
            ],
            // decides with these
            Self::Writer => &[
                "objectClass",
                "objectGUID",
                "objectSid",
                "userPrincipalName",
                "userAccountControl",
                "mS-DS-ConsistencyGuid",
                "sAMAccountName",
                "adminCount",
                "pwdLastSet",
                "accountExpires",
            ],
        }
    }

    /// Everything that its account must hold on people.
    pub fn needs(self) -> impl Iterator<Item = Right> {
        let does: &[Right] = match self {
            Self::Resolver => &[],
            Self::Writer => &Right::ON_PEOPLE,
        };
        let reads = self.reads().iter().copied().map(Right::Read);
        does.iter().copied().chain(reads)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolver => "resolver",
            Self::Writer => "writer",
        })
    }
}
