//! `writebackctl setup`: the wizard, with the pages of the original in their order; and the same from an
//! answers file.

mod answers;
mod cloud;
mod configure;
mod console;
mod document;
mod draft;
mod forest;
mod pages;
mod platform;
mod proof;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::bail;

use self::{
    console::{Complaint, Console, Leave},
    draft::Draft,
};
use crate::{audit::Address, failure::Ending, output};

/// Welcome, Tasks, cloud, directories, filtering, features, Ready, Configure, Finished.
const PAGES: usize = 9;
const DEFAULT_CONFIG: &str = "writeback.toml";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 configured, or nothing to change; 1 something is missing or an answer does not hold; 3 left, wrong use, or a
file cannot be read or written.

Examples:
  writebackctl --config /etc/writeback/config.toml setup
  writebackctl --config /etc/writeback/config.toml setup --dry-run
  writebackctl --config /etc/writeback/config.toml setup --answers answers.toml")]
pub(crate) struct Setup {
    /// Take the answers from this file and ask nothing; what it does not name stays as it is
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

impl Setup {
    pub(crate) async fn run(self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        if json {
            bail!(
                "setup speaks to a person and knows no --json; a program gives --answers FILE, and asks `status`, `permissions check` and `config show` with --json"
            );
        }
        let config = address
            .config_file()
            .unwrap_or(Path::new(DEFAULT_CONFIG))
            .to_owned();
        let mut draft = Draft::of(&config)?;
        draft.settings = proof::features(address).await.ok();
        draft.answers.features = draft.settings.clone().unwrap_or_default();
        let mut console = match &self.answers {
            Some(_) => Console::that_asks_nothing(),
            None => Console::of_the_terminal(),
        };
        match &self.answers {
            Some(path) => {
                draft.answers = draft.answers.with(path)?;
                let complaints = check(&draft).await;
                for complaint in &complaints {
                    console.complain(complaint)?;
                }
                if !complaints.is_empty() {
                    console.say("Nothing was written.")?;
                    return Ok(Ending::No);
                }
                for line in configure::plan(&draft)?.lines() {
                    console.say(&line)?;
                }
            }
            None if !io::stdin().is_terminal() => {
                bail!("there is no terminal to ask on: give the answers with --answers FILE")
            }
            None => match pages::ask(&mut console, &mut draft, self.dry_run).await {
                Ok(()) => {}
                Err(Leave::Failed(error)) => return Err(error),
                Err(Leave::Back | Leave::Quit) => {
                    console.say("Nothing was written.")?;
                    return Ok(Ending::NotPossible);
                }
            },
        }
        if self.dry_run {
            return Ok(Ending::Done);
        }
        console.heading(8, "Configure")?;
        let plan = configure::plan(&draft)?;
        configure::write(&mut console, &draft, &plan, address).await?;
        let found = proof::prove(&mut console, &draft, address).await?;
        console.heading(9, "Finished")?;
        found.tell(&mut console)?;
        Ok(if found.is_complete() {
            Ending::Done
        } else {
            Ending::No
        })
    }
}

/// `writebackctl config`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum View {
    /// Whose tokens are accepted, which forests are written back to, as whom and where in them
    #[command(after_help = "\
Exit codes: 0 shown; 3 the file cannot be read.

Example:
  writebackctl --config /etc/writeback/config.toml config show")]
    Show,
}

impl View {
    pub(crate) fn run(&self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        let Self::Show = self;
        let config = address.config_file().unwrap_or(Path::new(DEFAULT_CONFIG));
        // as the services would read it: a file that they refuse is not shown as if it were in force
        chassis::config::Config::load(config)?;
        let draft = Draft::of(config)?;
        if json {
            let mut value = serde_json::to_value(&draft.answers)?;
            if let Some(members) = value.as_object_mut() {
                // a matter of the ledger, which is not asked here
                members.remove("features");
            }
            writeln!(output::out(), "{value:#}")?;
            return Ok(Ending::Done);
        }
        match pages::view(&mut Console::that_asks_nothing(), &draft.answers) {
            Ok(()) | Err(Leave::Back | Leave::Quit) => Ok(Ending::Done),
            Err(Leave::Failed(error)) => Err(error),
        }
    }
}

/// The same checks as the pages', all of them.
async fn check(draft: &Draft) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let missing = |field: &str| {
        Complaint::new(
            field,
            "neither the answers nor the configuration has it",
            format!("add [{field}] to the answers"),
        )
    };
    match &draft.answers.broker {
        None => complaints.push(missing("broker")),
        Some(broker) => complaints.extend(platform::broker(draft, broker)),
    }
    match &draft.answers.ledger {
        None => complaints.push(missing("ledger")),
        Some(ledger) => complaints.extend(platform::ledger(draft, ledger)),
    }
    match &draft.answers.cloud {
        None => complaints.push(missing("cloud")),
        Some(answer) => {
            complaints.extend(cloud::issuer(&answer.issuer).err());
            complaints.extend(cloud::audience(&answer.audience).err());
            complaints.extend(cloud::check(draft, answer).await.err());
        }
    }
    if draft.answers.forests.is_empty() {
        complaints.push(missing("[forests]"));
    }
    for forest in &draft.answers.forests {
        complaints.extend(forest::account(&forest.account).err());
        if forest.domains.is_empty() {
            complaints.push(Complaint::new(
                format!("forest {}", forest.id),
                "it has no domain",
                "add [[forests.domains]] to it",
            ));
        }
        for domain in &forest.domains {
            let checked = match forest::scope(domain) {
                Ok(()) => match forest::connect(draft, forest, domain).await {
                    Ok(seen) => seen.holds(domain).await,
                    Err(complaint) => Err(complaint),
                },
                Err(complaint) => Err(complaint),
            };
            complaints.extend(checked.err().map(|complaint| Complaint {
                field: format!("{}, {}", domain.name, complaint.field),
                ..complaint
            }));
        }
    }
    complaints
}
