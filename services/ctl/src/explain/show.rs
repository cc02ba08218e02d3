//! An explanation, for people and for machines.

mod person;

use std::io::{self, Write};

use directory::{Found, rules::Act};
use operation::{Actor, Refusal};
use serde_json::{Value, json};

use self::person::{person_json, policy, states};
use super::{Asked, Explanation};
use crate::table::{self, printable};

const fn name(act: Act) -> &'static str {
    match act {
        Act::ResetByUser => "reset, by the person",
        Act::ResetByAdministrator => "reset, by an administrator",
        Act::ResetToBeChanged => "reset, by an administrator, to be changed at the next sign-in",
        Act::Change => "change",
        Act::Unlock => "unlock",
    }
}

const fn code(act: Act) -> &'static str {
    match act {
        Act::ResetByUser => "reset-by-user",
        Act::ResetByAdministrator => "reset-by-administrator",
        Act::ResetToBeChanged => "reset-to-be-changed",
        Act::Change => "change",
        Act::Unlock => "unlock",
    }
}

const fn who(actor: Actor) -> &'static str {
    match actor {
        Actor::Person => "the person",
        Actor::Administrator => "an administrator",
        Actor::Retry => "nobody: try again later",
    }
}

impl Explanation<'_> {
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", printable(&self.user))?;
        for asked in self.asked {
            Self::print_answer(out, asked)?;
        }
        match &self.located {
            Ok(located) => writeln!(
                out,
                "  resolves to {} in {}, forest {}",
                located.object_guid, located.domain, located.forest
            )?,
            Err(refusal) => writeln!(out, "  does not resolve: {}", words(refusal))?,
        }
        writeln!(out)?;
        if let Some(person) = &self.person {
            let rows: Vec<Vec<String>> = states(person)
                .into_iter()
                .map(|(state, value)| vec![format!("  {state}"), value])
                .collect();
            table::print(out, &["  STATE", ""], &rows)?;
            writeln!(
                out,
                "\n  policy: {}\n",
                printable(&policy(&person.portrait.policy))
            )?;
        }
        match &self.settings {
            Ok(settings) if settings.writeback && settings.unlock_without_reset => {}
            Ok(settings) => writeln!(
                out,
                "  writeback is {}, unlock without reset is {}\n",
                if settings.writeback { "on" } else { "off" },
                if settings.unlock_without_reset {
                    "on"
                } else {
                    "off"
                },
            )?,
            Err(why) => writeln!(
                out,
                "  whether writeback is turned on is not known: {}\n",
                printable(why)
            )?,
        }
        for (act, told) in &self.operations {
            match told {
                Ok(notes) => {
                    writeln!(out, "  {}: works", name(*act))?;
                    for note in notes {
                        writeln!(out, "      but {}", printable(note))?;
                    }
                }
                Err(refusal) => {
                    writeln!(out, "  {}: DOES NOT WORK: {}", name(*act), words(refusal))?;
                    writeln!(
                        out,
                        "      {} must act; writebackctl reason {}",
                        who(refusal.reason.actor()),
                        refusal.reason
                    )?;
                }
            }
        }
        Ok(())
    }

    fn print_answer(out: &mut impl Write, asked: &Asked<'_>) -> io::Result<()> {
        let domain = asked.domain.name();
        match &asked.found {
            Err(why) => writeln!(out, "  {domain}: did not answer: {}", printable(why)),
            Ok(found) if found.is_empty() => writeln!(out, "  {domain}: nobody"),
            Ok(found) => found.iter().try_for_each(|found| {
                let remarks = [
                    (!found.is_person, "no person's account"),
                    (!found.enabled, "disabled"),
                    (!asked.scope.contains(&found.dn), "out of scope"),
                ];
                let remarks: Vec<&str> = remarks
                    .into_iter()
                    .filter_map(|(is, remark)| is.then_some(remark))
                    .collect();
                let remarks = if remarks.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", remarks.join(", "))
                };
                writeln!(out, "  {domain}: {}{remarks}", printable(&found.dn))
            }),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let asked: Vec<Value> = self
            .asked
            .iter()
            .map(|asked| {
                let forest = &asked.domain.forest.id;
                let domain = asked.domain.name();
                match &asked.found {
                    Ok(found) => {
                        let found: Vec<Value> =
                            found.iter().map(|found| found_json(asked, found)).collect();
                        json!({ "forest": forest, "domain": domain, "found": found })
                    }
                    Err(why) => json!({ "forest": forest, "domain": domain, "error": why }),
                }
            })
            .collect();
        let operations: Vec<Value> = self
            .operations
            .iter()
            .map(|(act, told)| match told {
                Ok(notes) => json!({ "operation": code(*act), "works": true, "notes": notes }),
                Err(refusal) => {
                    let mut value = refusal_json(refusal);
                    if let Value::Object(members) = &mut value {
                        members.insert("operation".to_owned(), code(*act).into());
                        members.insert("works".to_owned(), false.into());
                    }
                    value
                }
            })
            .collect();
        let located = match &self.located {
            Ok(located) => json!({
                "forest": located.forest,
                "domain": located.domain,
                "objectGuid": located.object_guid,
            }),
            Err(refusal) => refusal_json(refusal),
        };
        let settings = match &self.settings {
            Ok(settings) => json!({
                "writeback": settings.writeback,
                "unlockWithoutReset": settings.unlock_without_reset,
            }),
            Err(why) => json!({ "error": why }),
        };
        json!({
            "user": self.user,
            "asked": asked,
            "resolves": self.located.is_ok(),
            "located": located,
            "person": self.person.as_ref().map(person_json),
            "settings": settings,
            "operations": operations,
        })
    }
}

fn words(refusal: &Refusal) -> String {
    format!(
        "{} ({}): {}",
        refusal.reason,
        refusal.reason.event_id(),
        printable(&refusal.detail)
    )
}

fn refusal_json(refusal: &Refusal) -> Value {
    json!({
        "reason": refusal.reason,
        "eventId": refusal.reason.event_id(),
        "detail": refusal.detail,
        "actor": refusal.reason.actor(),
    })
}

fn found_json(asked: &Asked<'_>, found: &Found) -> Value {
    json!({
        "distinguishedName": found.dn,
        "objectGuid": found.guid,
        "enabled": found.enabled,
        "isPerson": found.is_person,
        "inScope": asked.scope.contains(&found.dn),
    })
}
