//! Rights that are more than the work needs.

use operation::SecurityIdentifier;

use crate::{
    permissions::{
        SecurityDescriptor, Token,
        access::{is_everybody, sweeping_below, sweeping_on},
        report::{Breadth, TooWide},
        right::{CONTROL_ACCESS, FULL_CONTROL, USER, WRITE_DACL, WRITE_OWNER, WRITE_PROPERTY},
    },
    protected_groups::protected_name,
};

/// Administrative groups that the account is in.
pub(super) fn groups(token: &Token) -> Vec<TooWide> {
    let mut groups: Vec<TooWide> = token
        .sids()
        .filter_map(|sid| {
            Some(TooWide {
                breadth: Breadth::Group(protected_name(sid)?),
                at: String::new(),
                trustee: sid.clone(),
            })
        })
        .collect();
    groups.sort_by_key(|group| group.breadth);
    groups
}

/// What the account, or a group that is not administrative already, may do here beyond single rights.
pub(super) fn breadth(
    token: &Token,
    at: &str,
    descriptor: &SecurityDescriptor,
    found: &mut Vec<TooWide>,
) {
    let mut add = |breadth: Breadth, trustee: &SecurityIdentifier| {
        let wide = TooWide {
            breadth,
            at: at.to_owned(),
            trustee: trustee.clone(),
        };
        if !found.contains(&wide) {
            found.push(wide);
        }
    };
    let told_by_group =
        |trustee: &SecurityIdentifier| is_everybody(trustee) || protected_name(trustee).is_some();
    if let Some(owner) = &descriptor.owner
        && token.contains(owner)
        && !told_by_group(owner)
    {
        add(Breadth::Owner, owner);
    }
    let sweeping = sweeping_on(token, descriptor)
        .into_iter()
        .chain(sweeping_below(token, descriptor, USER));
    for (mask, entry) in sweeping {
        if told_by_group(&entry.trustee) {
            continue;
        }
        if mask & FULL_CONTROL == FULL_CONTROL {
            add(Breadth::FullControl, &entry.trustee);
            continue;
        }
        for (bit, breadth) in [
            (WRITE_DACL, Breadth::WriteDacl),
            (WRITE_OWNER, Breadth::WriteOwner),
            (CONTROL_ACCESS, Breadth::AllExtendedRights),
            (WRITE_PROPERTY, Breadth::AllProperties),
        ] {
            if mask & bit != 0 {
                add(breadth, &entry.trustee);
            }
        }
    }
}
