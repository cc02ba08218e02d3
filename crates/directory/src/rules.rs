//! What follows from facts alone, without a network: which account a reference names, whether it may
//! be written to, and what a success on it is worth. Services decide with these, and whoever foretells
//! what they will decide uses the same.

mod locate;
mod outlook;
mod own_accounts;
mod permit;
mod worth;

pub use locate::{Answer, Located, locate};
pub use outlook::{Act, Terms, foretell};
pub use own_accounts::OwnAccounts;
pub use permit::{permit, protection};
pub use worth::{EXPIRED_AT_ONCE, is_expired_at_once, remarks};

#[cfg(test)]
mod tests {
    use operation::{ObjectGuid, SourceAnchor};

    use crate::{Account, Membership, PwdLastSet};

    pub(super) fn account() -> Account {
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
            pwd_last_set: PwdLastSet::MustChange,
            expires: None,
            password_never_expires: false,
            smart_card_required: false,
            not_delegated: false,
            is_person: true,
            domain_controller: "ldaps://127.0.0.11:636".to_owned(),
        }
    }
}
