//! Names that are almost ours. What nobody knows is ignored, for a newer sender may say more than an older receiver
//! understands; but `Unlock: false` ignored would unlock, so what was surely meant for us is refused.

/// How many letters may be wrong, missing, added or exchanged in a name of that many: short ones are close to too many
/// others, and only their case and separators may differ.
const fn slips(letters: usize) -> usize {
    match letters {
        0..6 => 0,
        6..9 => 1,
        _ => 2,
    }
}

/// What is longer is no slip, and is not repeated in an answer.
const LONGEST: usize = 64;

/// The one of `known` that `name` was surely meant to be; none if it is one of them, or far from all.
pub(crate) fn meant(name: &str, known: &[&'static str]) -> Option<&'static str> {
    if known.contains(&name) || name.len() > LONGEST {
        return None;
    }
    let folded = fold(name);
    known.iter().copied().find(|known| {
        let ours = fold(known);
        strsim::osa_distance(&folded, &ours) <= slips(ours.len())
    })
}

fn fold(name: &str) -> String {
    name.chars()
        .filter(|letter| !matches!(letter, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["id", "user", "unlock", "mustChangeAtNextSignIn"];

    #[test]
    fn a_slip_is_seen() {
        for (name, expected) in [
            ("ID", "id"),
            ("User", "user"),
            ("Unlock", "unlock"),
            ("unlok", "unlock"),
            ("unlokc", "unlock"),
            ("un-lock", "unlock"),
            ("must_change_at_next_sign_in", "mustChangeAtNextSignIn"),
            ("mustChangeAtNextSignin", "mustChangeAtNextSignIn"),
        ] {
            assert_eq!(meant(name, &KNOWN), Some(expected), "{name}");
        }
    }

    #[test]
    fn what_is_ours_or_somebody_elses_is_not() {
        for name in [
            "id", "unlock", "", "ip", "users", "lock", "tenant", "locale",
        ] {
            assert_eq!(meant(name, &KNOWN), None, "{name}");
        }
    }
}
