//! What mends it, as a command that can be pasted.

use directory::permissions::{Breach, Gap, Report};

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

/// Whose rights they are, by the name in the configuration.
pub(crate) fn account<'a>(target: &Target<'a>, report: &Report, gap: &Gap) -> &'a str {
    if gap.account == report.writer {
        &target.domain.forest.account
    } else {
        target.domain.reader()
    }
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
            "on Windows, to let the account inherit again: dsacls \"{}\" /P:N; then check again, for what is above may not give it",
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
        Breach::Class { class } => {
            let account = account(target, report, gap);
            let each: Vec<String> = gap
                .rights
                .iter()
                .map(|right| right.dsacls())
                .map(|(permission, on)| format!("\"{account}:{permission};{on};{class}\""))
                .collect();
            format!(
                "give the rights on {class} objects by hand: dsacls \"{}\" /I:S /G {}",
                gap.at,
                each.join(" ")
            )
        }
        Breach::NotComeDown => format!(
            "wait until the domain controllers have handed it down and replicated, then check again; dsacls \"{}\" lists the entries",
            gap.at
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(quoted("OU=O'Neil $x,DC=corp"), r"'OU=O'\''Neil $x,DC=corp'");
    }
}
