//! What is to be done: everything, or one thing of what is there.

use super::Task;
use crate::setup::{
    answers::Answers,
    console::{Complaint, Console, Leave},
    draft::Draft,
};

pub(super) fn show(console: &mut Console<'_>, draft: &mut Draft) -> Result<Task, Leave> {
    console.heading(2, "Tasks")?;
    if draft.before.is_none() {
        console.say("Customize synchronization options: everything is asked, page after page.")?;
        if !console.yes_or_no("Continue", true)? {
            return Err(Leave::Back);
        }
        return Ok(Task::Everything);
    }
    loop {
        console.say("  1  View current configuration")?;
        console.say("  2  Customize synchronization options: every page")?;
        console.say("  3  Change the cloud directory only")?;
        console.say("  4  Add, change or remove a forest")?;
        console.say("  5  Change domain and OU filtering only")?;
        console.say("  6  Change optional features only")?;
        let task = console.ask_for("Task", Some("2"), |text| match text {
            "1" => Ok(None),
            "2" => Ok(Some(Task::Everything)),
            "3" => Ok(Some(Task::Cloud)),
            "4" => Ok(Some(Task::Directories)),
            "5" => Ok(Some(Task::Filtering)),
            "6" => Ok(Some(Task::Features)),
            _ => Err(Complaint::new(
                "the task",
                "there is no such task",
                "type a number from 1 to 6",
            )),
        })?;
        match task {
            Some(task) => return Ok(task),
            None => view(console, &draft.answers)?,
        }
    }
}

/// The current configuration, as the original's page of that name: the directories with their accounts.
pub(crate) fn view(console: &mut Console<'_>, answers: &Answers) -> Result<(), Leave> {
    console.say("")?;
    match &answers.cloud {
        Some(cloud) => {
            console.say("Cloud directory")?;
            console.say(&format!("  issuer    {}", cloud.issuer))?;
            console.say(&format!("  audience  {}", cloud.audience))?;
            console.say(&format!("  keys      {}", cloud.key_set))?;
        }
        None => console.say("Cloud directory: none yet")?,
    }
    console.say("")?;
    console.say("Synchronized directories")?;
    let mut rows = Vec::new();
    for forest in &answers.forests {
        for domain in &forest.domains {
            let some = |list: &[String], none: &str| {
                if list.is_empty() {
                    none.to_owned()
                } else {
                    list.join("; ")
                }
            };
            rows.push(vec![
                forest.id.to_string(),
                domain.name.to_string(),
                forest.account.clone(),
                some(&domain.domain_controllers, "found by DNS"),
                some(&domain.include, "the whole domain"),
                some(&domain.exclude, "-"),
            ]);
        }
        if forest.domains.is_empty() {
            rows.push(vec![
                forest.id.to_string(),
                "none yet".to_owned(),
                forest.account.clone(),
            ]);
        }
    }
    if rows.is_empty() {
        console.say("  none yet")?;
    } else {
        console.table(
            &[
                "FOREST",
                "DOMAIN",
                "ACCOUNT",
                "DOMAIN CONTROLLERS",
                "INCLUDED",
                "EXCLUDED",
            ],
            &rows,
        )?;
    }
    console.say("")?;
    Ok(())
}
