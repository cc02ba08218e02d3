//! What mends it, as a command that can be pasted.

use directory::permissions::{Breach, Gap, Readable, Report};

use super::Target;

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

pub(crate) fn grant(target: &Target<'_>, at: Option<&str>) -> String {
    let forest = &target.domain.forest.id;
    let at = at.map_or_else(String::new, |at| format!(" --ou {}", quoted(at)));
    format!("writebackctl permissions grant --forest {forest}{at} --administrator NAME")
}

/// For a place at which rights end.
pub(crate) fn of_gap(target: &Target<'_>, report: &Report, gap: &Gap) -> String {
    match &gap.why {
        Breach::NotGiven { .. } => {
            let is_a_root = target.domain.roots().contains(&gap.at);
            grant(target, (!is_a_root).then_some(&gap.at))
        }
        Breach::Unit { .. } => grant(target, Some(&gap.at)),
        Breach::Person => format!(
            "on Windows, to let the account inherit again: dsacls \"{}\" /P:N",
            gap.at
        ),
        Breach::Protected => {
            format!(
                "give the rights on \"CN=AdminSDHolder,CN=System,{}\", or take the account out of every administrative group, \
                 set adminCount to 0 and let it inherit again: dsacls \"{}\" /P:N",
                report.domain_dn, gap.at
            )
        }
        Breach::Denied { trustee } => format!(
            "remove the entry that denies it to {trustee}; dsacls \"{}\" lists the entries",
            gap.at
        ),
        Breach::Class { class } => format!(
            "give the rights on {class} objects by hand: dsacls \"{}\" /I:S /G \"ACCOUNT:CA;Reset Password;{class}\" \
             \"ACCOUNT:WP;lockoutTime;{class}\" \"ACCOUNT:WP;pwdLastSet;{class}\"",
            gap.at
        ),
        Breach::NotComeDown => format!(
            "wait until the domain controllers have handed it down and replicated, then check again; dsacls \"{}\" lists the entries",
            gap.at
        ),
    }
}

/// For attributes that are hidden.
pub(crate) fn of_reading(root: &str, account: &str, readable: &Readable) -> Vec<String> {
    readable
        .hidden
        .keys()
        .map(|attribute| format!("dsacls \"{root}\" /I:S /G \"{account}:RP;{attribute};user\""))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(quoted("OU=O'Neil $x,DC=corp"), r"'OU=O'\''Neil $x,DC=corp'");
    }
}
