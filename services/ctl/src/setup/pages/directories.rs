//! Connect directories: the forests, each proved by signing in to it.

use std::path::PathBuf;

use operation::ForestId;

use crate::setup::{
    answers::{Domain, Forest},
    console::{Complaint, Console, Leave},
    draft::Draft,
    forest::{self, Seen},
};

pub(super) async fn show(console: &mut Console<'_>, draft: &mut Draft) -> Result<(), Leave> {
    console.heading(4, "Connect directories")?;
    if draft.answers.forests.is_empty() {
        add(console, draft, None).await?;
    }
    loop {
        console.say("")?;
        for (index, forest) in draft.answers.forests.iter().enumerate() {
            let domains: Vec<&str> = forest
                .domains
                .iter()
                .map(|domain| domain.name.as_str())
                .collect();
            console.say(&format!(
                "  {}  {}  {}  as {}",
                index + 1,
                forest.id,
                domains.join(", "),
                forest.account
            ))?;
        }
        let count = draft.answers.forests.len();
        let choice = console.ask_for(
            "`add` a forest, `change` or `remove` one by its number (change 1), or go on",
            Some("go on"),
            |text| parse(text, count),
        )?;
        let done = match choice {
            Choice::GoOn => return Ok(()),
            Choice::Add => add(console, draft, None).await,
            Choice::Change(index) => add(console, draft, Some(index)).await,
            Choice::Remove(index) => {
                let forest = draft.answers.forests.remove(index);
                console.say(&format!(
                    "  {} will be taken out of the configuration.",
                    forest.id
                ))?;
                Ok(())
            }
        };
        match done {
            // back to this page's list, not to the page before
            Ok(()) | Err(Leave::Back) if !draft.answers.forests.is_empty() => {}
            other => other?,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    GoOn,
    Add,
    Change(usize),
    Remove(usize),
}

fn parse(text: &str, count: usize) -> Result<Choice, Complaint> {
    let complain = |problem: &str| {
        Err(Complaint::new(
            "the choice",
            problem,
            "type add, change 1, remove 1, or Enter to go on",
        ))
    };
    let mut words = text.split_whitespace();
    let verb = words.next().unwrap_or_default();
    if matches!((verb, text), ("add", "add")) {
        return Ok(Choice::Add);
    }
    if text == "go on" {
        return if count == 0 {
            complain("there is no forest yet")
        } else {
            Ok(Choice::GoOn)
        };
    }
    let number = words.next().and_then(|word| word.parse::<usize>().ok());
    match (verb, number) {
        ("change", Some(number)) if (1..=count).contains(&number) => Ok(Choice::Change(number - 1)),
        ("remove", Some(number)) if (1..=count).contains(&number) => Ok(Choice::Remove(number - 1)),
        ("change" | "remove", _) => complain("there is no forest of that number"),
        _ => complain("it is not understood"),
    }
}

/// Asks for one forest until it can be signed in to.
async fn add(
    console: &mut Console<'_>,
    draft: &mut Draft,
    replaced: Option<usize>,
) -> Result<(), Leave> {
    let mut known = replaced.and_then(|index| draft.answers.forests.get(index).cloned());
    loop {
        let mut forest = ask(console, draft, known.as_ref())?;
        let Some(domain) = forest.domains.first().cloned() else {
            return Err(Leave::Back);
        };
        console.say(&format!("  connecting to {} …", domain.name))?;
        match forest::connect(draft, &forest, &domain).await {
            Ok(seen) => {
                tell(console, &seen)?;
                more_domains(console, draft, &mut forest, &seen).await?;
                reader(console, draft, &mut forest)?;
                match replaced.and_then(|index| draft.answers.forests.get_mut(index)) {
                    Some(old) => *old = forest,
                    None => draft.answers.forests.push(forest),
                }
                return Ok(());
            }
            Err(complaint) => console.complain(&complaint)?,
        }
        // asked again, with what was typed as the default
        known = Some(forest);
    }
}

fn ask(
    console: &mut Console<'_>,
    draft: &mut Draft,
    known: Option<&Forest>,
) -> Result<Forest, Leave> {
    let root = known.and_then(|forest| forest.domains.first());
    let name = console.ask_for(
        "The domain at the forest's root",
        root.map(|domain| domain.name.as_str()),
        forest::domain_name,
    )?;
    let others: Vec<ForestId> = draft
        .answers
        .forests
        .iter()
        .map(|forest| forest.id.clone())
        .filter(|id| known.is_none_or(|known| known.id != *id))
        .collect();
    let id = if let Some(forest) = known.filter(|forest| draft.answers.forest(&forest.id).is_some())
    {
        // it names the queue and the keys: a forest under another name is another forest
        forest.id.clone()
    } else {
        let first = name
            .as_str()
            .split('.')
            .next()
            .unwrap_or_default()
            .to_owned();
        console.ask_for(
            "A short name for the forest; its queue and keys are called by it",
            Some(&first),
            |text| id(text, &others),
        )?
    };
    let dns = known.map_or_else(String::new, |forest| forest.dns_servers.join(", "));
    let listed = root.map_or_else(String::new, |domain| domain.domain_controllers.join(", "));
    let domain_controllers = console.ask_for(
        "Its domain controllers; none, to have them found by DNS",
        Some(&listed),
        forest::controllers,
    )?;
    let dns_servers = if domain_controllers.is_empty() {
        console.ask_for(
            "The DNS servers that know the domain; none, to ask the system's",
            Some(&dns),
            forest::dns_servers,
        )?
    } else {
        known
            .map(|forest| forest.dns_servers.clone())
            .unwrap_or_default()
    };
    let ca = known.map_or_else(
        || format!("tls/{id}-ca.pem"),
        |forest| forest.ca_file.display().to_string(),
    );
    let ca_file =
        PathBuf::from(console.ask("The forest's certificate authority, a PEM file", Some(&ca))?);
    let offered = known.map_or_else(
        || format!("svc-writeback@{name}"),
        |forest| forest.account.clone(),
    );
    let account = console.ask_for("The account that writes", Some(&offered), forest::account)?;
    let account_password_file = known.map_or_else(
        || PathBuf::from(format!("secrets/{id}-service-account")),
        |forest| forest.account_password_file.clone(),
    );
    password(console, draft, &account_password_file)?;
    let mut domains = known
        .map(|forest| forest.domains.clone())
        .unwrap_or_default();
    match domains.iter_mut().find(|domain| domain.name == name) {
        Some(domain) => domain.domain_controllers = domain_controllers,
        None => {
            domains = vec![Domain {
                name,
                domain_controllers,
                include: Vec::new(),
                exclude: Vec::new(),
            }];
        }
    }
    Ok(Forest {
        id,
        ca_file,
        account,
        account_password_file,
        reader_account: known.and_then(|forest| forest.reader_account.clone()),
        reader_account_password_file: known
            .and_then(|forest| forest.reader_account_password_file.clone()),
        dns_servers,
        domains,
    })
}

/// Kept in memory until "Configure"; an empty answer keeps the one that is there.
fn password(
    console: &mut Console<'_>,
    draft: &mut Draft,
    file: &std::path::Path,
) -> Result<(), Leave> {
    let is_there = draft.secret(file).is_ok();
    let prompt = if is_there {
        "Its password (Enter keeps the one that is there): "
    } else {
        "Its password: "
    };
    loop {
        match console.ask_hidden(prompt)? {
            Some(typed) => {
                draft.secrets.insert(file.to_owned(), typed);
                return Ok(());
            }
            None if is_there => return Ok(()),
            None => console.say("  It is not shown while it is typed. An answer is needed.")?,
        }
    }
}

fn id(text: &str, others: &[ForestId]) -> Result<ForestId, Complaint> {
    let id: ForestId = text.parse().map_err(|_| {
        Complaint::new(
            "the short name",
            "it is no forest id",
            "use lower-case letters, digits and hyphens, such as corp",
        )
    })?;
    if others.contains(&id) {
        return Err(Complaint::new(
            "the short name",
            format!("a forest is called {id} already"),
            "give another",
        ));
    }
    Ok(id)
}

fn tell(console: &mut Console<'_>, seen: &Seen) -> Result<(), Leave> {
    console.say(&format!("  ok: signed in at {}", seen.answered))?;
    for controller in seen.controllers() {
        let name = controller.host_name.as_deref().unwrap_or("-");
        let notes = [
            (controller.pdc == Some(true)).then_some("PDC emulator"),
            (controller.writable == Some(false)).then_some("read-only"),
            controller.policy_hints.map(|_| "policy hints"),
        ];
        let notes: Vec<&str> = notes.into_iter().flatten().collect();
        console.say(&format!(
            "      {}  {name}  {}",
            controller.endpoint,
            notes.join(", ")
        ))?;
    }
    Ok(())
}

/// The forest's other domains, found at its root.
async fn more_domains(
    console: &mut Console<'_>,
    draft: &Draft,
    forest: &mut Forest,
    seen: &Seen,
) -> Result<(), Leave> {
    let found = match seen.domains().await {
        Ok(found) => found,
        Err(complaint) => {
            console.complain(&complaint)?;
            return Ok(());
        }
    };
    forest
        .domains
        .retain(|domain| domain.name == seen.domain || found.contains(&domain.name));
    for name in found {
        if name == seen.domain {
            continue;
        }
        let known = forest
            .domains
            .iter()
            .find(|domain| domain.name == name)
            .cloned();
        if !console.yes_or_no(
            &format!("The forest also has {name}; write back to it"),
            known.is_some(),
        )? {
            forest.domains.retain(|domain| domain.name != name);
            continue;
        }
        let mut domain = known.unwrap_or_else(|| Domain {
            name: name.clone(),
            domain_controllers: Vec::new(),
            include: Vec::new(),
            exclude: Vec::new(),
        });
        loop {
            let listed = domain.domain_controllers.join(", ");
            domain.domain_controllers = console.ask_for(
                "Its domain controllers; none, to have them found by DNS",
                Some(&listed),
                forest::controllers,
            )?;
            match forest::connect(draft, forest, &domain).await {
                Ok(seen) => {
                    tell(console, &seen)?;
                    break;
                }
                Err(complaint) => console.complain(&complaint)?,
            }
        }
        forest.domains.retain(|known| known.name != name);
        forest.domains.push(domain);
    }
    Ok(())
}

/// The resolver reads with less than the writers need, where it is given an account of its own.
fn reader(console: &mut Console<'_>, draft: &mut Draft, forest: &mut Forest) -> Result<(), Leave> {
    let offered = forest.reader_account.clone().unwrap_or_default();
    let account = console.ask_for(
        "An account of its own for the resolver, which only reads; none, to use the same",
        Some(&offered),
        |text| {
            if text.is_empty() {
                Ok(String::new())
            } else {
                forest::account(text)
            }
        },
    )?;
    if account.is_empty() {
        forest.reader_account = None;
        forest.reader_account_password_file = None;
        return Ok(());
    }
    let file = forest
        .reader_account_password_file
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("secrets/{}-reader-account", forest.id)));
    password(console, draft, &file)?;
    forest.reader_account = Some(account);
    forest.reader_account_password_file = Some(file);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_checked_against_what_there_is() {
        assert_eq!(parse("add", 0).unwrap(), Choice::Add);
        assert_eq!(parse("change 2", 2).unwrap(), Choice::Change(1));
        assert_eq!(parse("remove 1", 2).unwrap(), Choice::Remove(0));
        assert_eq!(parse("go on", 1).unwrap(), Choice::GoOn);
        for (text, count) in [
            ("go on", 0),
            ("change 3", 2),
            ("change 0", 2),
            ("remove", 2),
            ("addx", 1),
        ] {
            assert!(parse(text, count).is_err(), "{text}");
        }
    }

    #[test]
    fn two_forests_cannot_have_one_name() {
        let corp: ForestId = "corp".parse().unwrap();
        assert!(id("corp", std::slice::from_ref(&corp)).is_err());
        assert!(id("Not An Id", &[]).is_err());
        assert_eq!(id("corp", &[]).unwrap(), corp);
    }
}
