//! Domain and OU filtering: in which parts of each domain Writeback may act.

use std::collections::BTreeSet;

use directory::Unit;

use crate::setup::{
    answers::Domain,
    console::{Complaint, Console, Leave},
    draft::Draft,
    forest,
};

pub(super) async fn show(console: &mut Console<'_>, draft: &mut Draft) -> Result<(), Leave> {
    console.heading(5, "Domain and OU filtering")?;
    console.say("Writeback acts in the chosen organizational units and everything below them.")?;
    let forests = draft.answers.forests.clone();
    for (at, forest) in forests.iter().enumerate() {
        for (index, domain) in forest.domains.iter().enumerate() {
            console.say("")?;
            console.say(&format!("{} in forest {}", domain.name, forest.id))?;
            let units = match forest::connect(draft, forest, domain).await {
                Ok(seen) => seen.units().await,
                Err(complaint) => Err(complaint),
            };
            let units = match units {
                Ok(units) => units,
                Err(complaint) => {
                    console.complain(&complaint)?;
                    console.say("  Its filtering stays as it is; `back` mends the connection.")?;
                    continue;
                }
            };
            let chosen = choose(console, domain, &units)?;
            if let Some(domain) = draft
                .answers
                .forests
                .get_mut(at)
                .and_then(|forest| forest.domains.get_mut(index))
            {
                *domain = chosen;
            }
        }
    }
    Ok(())
}

fn choose(console: &mut Console<'_>, domain: &Domain, units: &[Unit]) -> Result<Domain, Leave> {
    for (index, unit) in units.iter().enumerate() {
        let indent = "  ".repeat(unit.depth);
        console.say(&format!("  {:>4}  {indent}{}", index + 1, unit.name))?;
    }
    let whole = domain.name.distinguished_name();
    let include: Vec<String> = domain
        .include
        .iter()
        .filter(|dn| !dn.eq_ignore_ascii_case(&whole))
        .cloned()
        .collect();
    let included = shown(&include, units).unwrap_or_else(|| "all".to_owned());
    let include = console.ask_for(
        "Included: `all`, or numbers such as 1, 3-5",
        Some(&included),
        |text| {
            if text.is_empty() || text == "all" {
                Ok(Vec::new())
            } else {
                pick(text, units, "the included units")
            }
        },
    )?;
    let excluded = shown(&domain.exclude, units).unwrap_or_default();
    let exclude = console.ask_for("Excluded again, numbers", Some(&excluded), |text| {
        pick(text, units, "the excluded units")
    })?;
    Ok(Domain {
        include,
        exclude,
        ..domain.clone()
    })
}

/// The numbers of these names; None if there are none.
fn shown(names: &[String], units: &[Unit]) -> Option<String> {
    let numbers: Vec<String> = names
        .iter()
        .map(|name| {
            units
                .iter()
                .position(|unit| unit.dn.eq_ignore_ascii_case(name))
                // what is not there any more, or was typed by hand, is kept as it stands
                .map_or_else(|| format!("\"{name}\""), |index| (index + 1).to_string())
        })
        .collect();
    (!numbers.is_empty()).then(|| numbers.join(" "))
}

/// Numbers, ranges of numbers, and distinguished names in quotation marks.
fn pick(text: &str, units: &[Unit], field: &str) -> Result<Vec<String>, Complaint> {
    let complain = |problem: String| {
        Complaint::new(
            field,
            problem,
            format!("type numbers from 1 to {}, such as 1, 3-5", units.len()),
        )
    };
    let mut chosen = Vec::new();
    let mut rest = text;
    while let Some((before, quoted)) = rest.split_once('"') {
        let (name, after) = quoted
            .split_once('"')
            .ok_or_else(|| complain("a quotation mark is not closed".to_owned()))?;
        numbers(before, units, &mut chosen, &complain)?;
        chosen.push(name.to_owned());
        rest = after;
    }
    numbers(rest, units, &mut chosen, &complain)?;
    let mut seen = BTreeSet::new();
    chosen.retain(|name| seen.insert(name.to_lowercase()));
    Ok(chosen)
}

fn numbers(
    text: &str,
    units: &[Unit],
    chosen: &mut Vec<String>,
    complain: &impl Fn(String) -> Complaint,
) -> Result<(), Complaint> {
    for word in text.split([',', ';', ' ']).filter(|word| !word.is_empty()) {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let parse = |number: &str| {
            number
                .parse::<usize>()
                .ok()
                .filter(|number| (1..=units.len()).contains(number))
                .ok_or_else(|| complain(format!("{word} is none of the numbers above")))
        };
        let (first, last) = (parse(first)?, parse(last)?);
        if last < first {
            return Err(complain(format!("{word} ends before it begins")));
        }
        chosen.extend(
            units
                .iter()
                .take(last)
                .skip(first - 1)
                .map(|unit| unit.dn.clone()),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units() -> Vec<Unit> {
        ["A", "B", "C"]
            .iter()
            .map(|name| Unit {
                dn: format!("OU={name},DC=x"),
                name: (*name).to_owned(),
                depth: 0,
            })
            .collect()
    }

    #[test]
    fn numbers_ranges_and_names_are_picked_once_each() {
        let picked = pick("1, 2-3 2 \"OU=Gone,DC=x\"", &units(), "x").unwrap();
        assert_eq!(
            picked,
            ["OU=A,DC=x", "OU=B,DC=x", "OU=C,DC=x", "OU=Gone,DC=x"]
        );
        assert_eq!(pick("", &units(), "x").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_on_the_list_is_refused() {
        for text in ["4", "0", "1-4", "3-2", "x", "\"OU=A"] {
            assert!(pick(text, &units(), "x").is_err(), "{text}");
        }
    }

    #[test]
    fn a_scope_is_shown_as_it_would_be_typed() {
        let names = ["ou=b,dc=x".to_owned(), "OU=Gone,DC=x".to_owned()];
        let text = shown(&names, &units()).unwrap();
        assert_eq!(text, "2 \"OU=Gone,DC=x\"");
        assert_eq!(
            pick(&text, &units(), "x").unwrap(),
            ["OU=B,DC=x", "OU=Gone,DC=x"]
        );
        assert_eq!(shown(&[], &units()), None);
    }
}
