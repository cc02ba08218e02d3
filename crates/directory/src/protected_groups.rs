//! The groups whose members Active Directory protects, as an account's `tokenGroups` shows them.

use operation::SecurityIdentifier;

use crate::reading::Entry;

/// Whether an account is in a protected group, itself or through other groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// The group's name in an English domain.
    Protected(&'static str),
    Ordinary,
    /// The service account may not read it. Every account has at least its primary group.
    Unreadable,
}

/// S-1-5-32-…, the same in every domain (MS-DTYP 2.4.2.4, MS-ADTS 3.1.1.6.1).
const BUILT_IN: [(u32, &str); 6] = [
    (544, "Administrators"),
    (548, "Account Operators"),
    (549, "Server Operators"),
    (550, "Print Operators"),
    (551, "Backup Operators"),
    (552, "Replicator"),
];

/// S-1-5-21-…, of the account's domain or, for those of the forest, its root; numbers below 1000 are
/// nobody else's (MS-SAMR 2.2.1.14).
const OF_A_DOMAIN: [(u32, &str); 7] = [
    (512, "Domain Admins"),
    (516, "Domain Controllers"),
    (518, "Schema Admins"),
    (519, "Enterprise Admins"),
    (521, "Read-only Domain Controllers"),
    (526, "Key Admins"),
    (527, "Enterprise Key Admins"),
];

/// `tokenGroups` is the closure over nesting and the primary group (MS-ADTS 3.1.1.4.5.19). What is
/// no security identifier makes it unreadable: it may have been the one that counts.
pub(crate) fn membership(entry: &Entry) -> Membership {
    let values = entry.values("tokenGroups");
    let groups: Result<Vec<_>, _> = values
        .iter()
        .map(|value| SecurityIdentifier::from_bytes(value))
        .collect();
    match groups {
        Ok(groups) if !groups.is_empty() => groups
            .iter()
            .find_map(protected_name)
            .map_or(Membership::Ordinary, Membership::Protected),
        _ => Membership::Unreadable,
    }
}

pub(crate) fn protected_name(group: &SecurityIdentifier) -> Option<&'static str> {
    const NT_AUTHORITY: u64 = 5;
    let (known, rid): (&[(u32, &str)], u32) = match (group.authority(), group.sub_authorities()) {
        (NT_AUTHORITY, [32, rid]) => (&BUILT_IN, *rid),
        (NT_AUTHORITY, [21, _, _, _, rid]) => (&OF_A_DOMAIN, *rid),
        _ => return None,
    };
    known
        .iter()
        .find(|(number, _)| *number == rid)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(groups: &[&str]) -> Membership {
        let values = groups
            .iter()
            .map(|sid| sid.parse::<SecurityIdentifier>().unwrap().to_bytes())
            .collect();
        membership(&Entry::for_test("CN=Ana", &[("tokenGroups", values)]))
    }

    #[test]
    fn protected_groups_are_known_by_their_numbers() {
        const USERS: &str = "S-1-5-21-1-2-3-513";
        assert_eq!(of(&[USERS, "S-1-5-32-545"]), Membership::Ordinary);
        for (group, name) in [
            ("S-1-5-32-544", "Administrators"),
            ("S-1-5-32-548", "Account Operators"),
            ("S-1-5-32-552", "Replicator"),
            ("S-1-5-21-1-2-3-512", "Domain Admins"),
            ("S-1-5-21-9-9-9-519", "Enterprise Admins"), // of another domain: the root
            ("S-1-5-21-1-2-3-527", "Enterprise Key Admins"),
        ] {
            assert_eq!(of(&[USERS, group]), Membership::Protected(name), "{group}");
        }
        // the same numbers elsewhere are other groups
        for group in ["S-1-5-32-512", "S-1-5-21-1-2-3-544", "S-1-5-21-1-2-3-1512"] {
            assert_eq!(of(&[USERS, group]), Membership::Ordinary, "{group}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_ordinary() {
        assert_eq!(of(&[]), Membership::Unreadable);
        let entry = Entry::for_test("CN=Ana", &[("tokenGroups", vec![vec![1, 5]])]);
        assert_eq!(membership(&entry), Membership::Unreadable);
    }
}
