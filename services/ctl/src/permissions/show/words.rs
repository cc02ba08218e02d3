//! What is said the same way to both: why rights end, which are too wide, and who is meant.

use directory::permissions::{Breach, Breadth, Gap, Told, TooWide};

use crate::table::printable;

/// The first of them.
pub(super) fn examples(told: &Told) -> String {
    const SHOWN: usize = 3;
    let mut names: Vec<String> = told
        .examples
        .iter()
        .take(SHOWN)
        .map(|dn| printable(dn))
        .collect();
    if told.count > SHOWN as u64 {
        names.push("…".to_owned());
    }
    names.join("; ")
}

pub(super) fn why(gap: &Gap) -> String {
    match &gap.why {
        Breach::NotGiven { class } => format!("it is not given here on {class} objects"),
        Breach::Unit { class } => {
            format!(
                "this unit inherits nothing from above, and does not give it on {class} objects itself"
            )
        }
        Breach::Person => "this account inherits nothing from above".to_owned(),
        Breach::Protected => {
            "this account is protected (adminCount is 1) and inherits nothing from above".to_owned()
        }
        Breach::Denied { trustee } => format!("an entry denies it to {trustee}"),
        Breach::Class { class } => format!("it is given nowhere on {class} objects"),
        Breach::NotComeDown => "what is given above has not come down to this account".to_owned(),
    }
}

pub(super) fn too_wide(wide: &TooWide) -> String {
    let TooWide { at, trustee, .. } = wide;
    match wide.breadth {
        Breadth::Group(name) => format!(
            "the account is a member of {name} ({trustee}), itself or through other groups: take it out"
        ),
        Breadth::FullControl => format!("full control at {at}, through {trustee}"),
        Breadth::WriteDacl => {
            format!("the right to change who may do what (WriteDacl) at {at}, through {trustee}")
        }
        Breadth::WriteOwner => {
            format!("the right to take ownership (WriteOwner) at {at}, through {trustee}")
        }
        Breadth::Owner => {
            format!("{trustee} owns {at}: an owner may change who may do what")
        }
        Breadth::AllExtendedRights => {
            format!(
                "all extended rights at {at}, through {trustee}: they include the reading of secrets"
            )
        }
        Breadth::AllProperties => {
            format!("the right to write every property at {at}, through {trustee}")
        }
    }
}
