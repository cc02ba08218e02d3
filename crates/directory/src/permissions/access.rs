//! Whether a list gives a right: the access check of MS-DTYP 2.5.3.2 with the objects of MS-ADTS
//! 5.1.3.3, for one right at a time.
//!
//! The entries are looked at in the order in which they stand, and the first that says something of
//! the right decides. Active Directory keeps them in the canonical order (MS-DTYP 2.4.5): what is set
//! on the object before what is inherited, denied before allowed, near before far.

use std::collections::HashSet;

use operation::SecurityIdentifier;
use uuid::Uuid;

use super::{
    ace::{Ace, CONTAINER_INHERIT, Entry, INHERIT_ONLY, INHERITED, NO_PROPAGATE},
    descriptor::{Acl, SecurityDescriptor},
    right::{Asked, FULL_CONTROL},
};

/// MS-DTYP 2.4.2.4.
const EVERYONE: &str = "S-1-1-0";
const AUTHENTICATED_USERS: &str = "S-1-5-11";
const THIS_ORGANIZATION: &str = "S-1-5-15";
/// Stands for the object itself.
const PRINCIPAL_SELF: &str = "S-1-5-10";
/// Stands for the object's owner.
const OWNER_RIGHTS: &str = "S-1-3-4";

/// Whoever asks: an account and all that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub account: SecurityIdentifier,
    sids: HashSet<SecurityIdentifier>,
}

impl Token {
    /// With the groups of the account, nested ones too, as `tokenGroups` has them.
    pub fn new(
        account: SecurityIdentifier,
        groups: impl IntoIterator<Item = SecurityIdentifier>,
    ) -> Self {
        let mut sids: HashSet<_> = groups.into_iter().collect();
        sids.insert(account.clone());
        sids.extend(everybody());
        Self { account, sids }
    }

    pub fn sids(&self) -> impl Iterator<Item = &SecurityIdentifier> {
        self.sids.iter()
    }

    pub fn contains(&self, sid: &SecurityIdentifier) -> bool {
        self.sids.contains(sid)
    }
}

/// The object asked about.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    pub descriptor: &'a SecurityDescriptor,
    pub sid: Option<&'a SecurityIdentifier>,
}

/// What a list says of a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    Granted(&'a Entry),
    /// There is no list: everybody may do everything.
    GrantedToAll,
    Denied(&'a Entry),
    NotMentioned,
}

impl Verdict<'_> {
    pub const fn holds(self) -> bool {
        matches!(self, Self::Granted(_) | Self::GrantedToAll)
    }
}

/// Whether the token has the right on the object.
pub fn check<'a>(token: &Token, object: Object<'a>, asked: &Asked) -> Verdict<'a> {
    let Some(dacl) = &object.descriptor.dacl else {
        return Verdict::GrantedToAll;
    };
    let concerns = |trustee: &SecurityIdentifier| {
        token.contains(trustee)
            || (is(trustee, PRINCIPAL_SELF) && object.sid.is_some_and(|sid| token.contains(sid)))
            || (is(trustee, OWNER_RIGHTS)
                && object
                    .descriptor
                    .owner
                    .as_ref()
                    .is_some_and(|owner| token.contains(owner)))
    };
    decide(entries(dacl), concerns, asked)
}

/// Whether a person of this class made below the container would be one on whom the token has the
/// right, by what they inherit.
pub fn check_below<'a>(
    token: &Token,
    container: &'a SecurityDescriptor,
    class: Uuid,
    asked: &Asked,
) -> Verdict<'a> {
    let Some(dacl) = &container.dacl else {
        // nothing to inherit: what the class gives by default is all there is
        return Verdict::NotMentioned;
    };
    decide(
        inheritable(dacl, class),
        |trustee| token.contains(trustee),
        asked,
    )
}

/// The entries that everybody of this class below inherits, at whatever depth.
fn inheritable(dacl: &Acl, class: Uuid) -> impl Iterator<Item = &Entry> {
    dacl.aces
        .iter()
        .filter_map(Ace::entry)
        .filter(move |entry| {
            entry.flags & CONTAINER_INHERIT != 0
                && entry.flags & NO_PROPAGATE == 0
                && entry.inherited_object_type.is_none_or(|of| of == class)
        })
}

/// The entries that count for the object itself.
fn entries(dacl: &Acl) -> impl Iterator<Item = &Entry> {
    dacl.aces
        .iter()
        .filter_map(Ace::entry)
        .filter(|entry| entry.flags & INHERIT_ONLY == 0)
}

fn decide<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    concerns: impl Fn(&SecurityIdentifier) -> bool,
    asked: &Asked,
) -> Verdict<'a> {
    for entry in entries {
        let named = entry
            .object_type
            .is_none_or(|named| asked.covered_by.contains(&named));
        if named && specific(entry.mask) & asked.mask != 0 && concerns(&entry.trustee) {
            return if entry.denies {
                Verdict::Denied(entry)
            } else {
                Verdict::Granted(entry)
            };
        }
    }
    Verdict::NotMentioned
}

/// What of these bits a token has on everybody of a class below, for everything and not for one right or
/// attribute alone; and by whose entry each.
pub fn sweeping_below<'a>(
    token: &Token,
    container: &'a SecurityDescriptor,
    class: Uuid,
) -> Vec<(u32, &'a Entry)> {
    let Some(dacl) = &container.dacl else {
        return Vec::new();
    };
    sweeping(inheritable(dacl, class), token)
}

/// The same on the object itself.
pub fn sweeping_on<'a>(token: &Token, object: &'a SecurityDescriptor) -> Vec<(u32, &'a Entry)> {
    let Some(dacl) = &object.dacl else {
        return Vec::new();
    };
    sweeping(entries(dacl), token)
}

fn sweeping<'a>(entries: impl Iterator<Item = &'a Entry>, token: &Token) -> Vec<(u32, &'a Entry)> {
    let mut denied = 0;
    let mut found = Vec::new();
    for entry in entries {
        if entry.object_type.is_some() || !token.contains(&entry.trustee) {
            continue;
        }
        let mask = specific(entry.mask);
        if entry.denies {
            denied |= mask;
        } else if mask & !denied != 0 {
            found.push((mask & !denied, entry));
        }
    }
    found
}

/// The generic bits stand for specific ones (MS-ADTS 5.1.3.2).
pub(super) const fn specific(mask: u32) -> u32 {
    let mut mask = mask;
    if mask & 0x1000_0000 != 0 {
        mask |= FULL_CONTROL;
    }
    if mask & 0x8000_0000 != 0 {
        mask |= 0x2_0094;
    }
    if mask & 0x4000_0000 != 0 {
        mask |= 0x2_0028;
    }
    if mask & 0x2000_0000 != 0 {
        mask |= 0x2_0004;
    }
    mask
}

fn is(sid: &SecurityIdentifier, known: &str) -> bool {
    known
        .parse::<SecurityIdentifier>()
        .is_ok_and(|known| known == *sid)
}

/// What everybody who binds is in.
pub fn everybody() -> impl Iterator<Item = SecurityIdentifier> {
    [EVERYONE, AUTHENTICATED_USERS, THIS_ORGANIZATION]
        .into_iter()
        .filter_map(|known| known.parse().ok())
}

/// How well known the trustee is: such entries are the domain's own, and no sign of a right that is too wide.
pub fn is_everybody(sid: &SecurityIdentifier) -> bool {
    everybody().any(|known| known == *sid)
}

/// Whether an entry that came from above is this one of a container above.
pub fn is_origin_of(above: &Entry, inherited: &Entry) -> bool {
    above.flags & INHERITED == 0
        && above.flags & CONTAINER_INHERIT != 0
        && above.is_same_rule(inherited)
}

#[cfg(test)]
mod tests;
