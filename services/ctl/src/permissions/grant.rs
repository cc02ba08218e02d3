//! `permissions grant` and `permissions revoke`.

use std::{
    io::{self, BufRead as _, Write as _},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use chassis::config::{self, Config};
use clap::{Args, builder::NonEmptyStringValueParser};
use directory::permissions::{Gift, NamedAccount, Place, Question, Report, missing, survey};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Target, Where, check::reaches_protected};
use crate::{failure::Ending, password, table::printable};

/// Whose hand it is.
#[derive(Debug, Args)]
struct Administrator {
    /// An administrator of the domain, `name@domain` or `DOMAIN\name`
    #[arg(long = "administrator", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// Read the administrator's password from the first line of standard input
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,
    /// Read the administrator's password from this file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Grant {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    administrator: Administrator,
    /// Print what is missing as dsacls lines, for an administrator on Windows, and change nothing
    #[arg(long, conflicts_with_all = ["name", "password_stdin", "password_file", "yes"])]
    print: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    administrator: Administrator,
}

/// An administrator who may sign in.
struct Credentials {
    name: String,
    password: SecretString,
}

impl Administrator {
    fn credentials(&self) -> anyhow::Result<Credentials> {
        let name = self
            .name
            .clone()
            .context("say who changes it: --administrator NAME")?;
        let password = match &self.password_file {
            Some(file) => config::read_secret(file)?,
            None if self.password_stdin => password::read_line(&mut io::stdin().lock())
                .context("no password on standard input")?,
            None => password::prompt_for(&format!("Password of {}: ", printable(&name)))?,
        };
        Ok(Credentials { name, password })
    }

    /// Whether it is to be done.
    fn confirms(&self, question: &str) -> anyhow::Result<bool> {
        if self.yes {
            return Ok(true);
        }
        // not standard input: a password may have come that way
        let terminal = std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .context("no terminal to ask on; --yes does it without asking")?;
        write!(&terminal, "{question} [y/N] ")?;
        let mut answer = String::new();
        io::BufReader::new(&terminal).read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}

/// What is to be done in one domain.
struct Plan<'a> {
    target: Target<'a>,
    account: NamedAccount,
    places: Vec<Place>,
}

impl Plan<'_> {
    fn to_json(&self) -> Value {
        let entries: Vec<Value> = self
            .places
            .iter()
            .flat_map(|place| {
                place.gifts.iter().map(|gift| {
                    json!({ "at": place.dn, "right": gift.right.name(), "class": gift.class })
                })
            })
            .collect();
        json!({
            "forest": self.target.domain.forest.id,
            "domain": self.target.domain.name(),
            "account": self.account.sid.to_string(),
            "entries": entries,
        })
    }

    /// Goes to standard error, so that --json and --print stay clean.
    fn show(&self, sign: char) -> io::Result<()> {
        let mut out = io::stderr().lock();
        let domain = self.target.domain;
        writeln!(
            out,
            "{}, for {} ({}):",
            domain.name(),
            printable(&domain.forest.account),
            self.account.sid
        )?;
        if self.places.is_empty() {
            writeln!(out, "  nothing")?;
        }
        for place in &self.places {
            writeln!(out, "  {}", printable(&place.dn))?;
            for gift in &place.gifts {
                writeln!(out, "    {sign} {}", words(gift))?;
            }
        }
        Ok(())
    }
}

fn words(gift: &Gift) -> String {
    match gift.class {
        Some(class) => format!("{} on descendant {class} objects", gift.right.name()),
        None => format!("{} on the domain itself", gift.right.name()),
    }
}

impl Grant {
    pub(crate) async fn run(self, config: &Config, json: bool) -> anyhow::Result<Ending> {
        let targets = self.place.targets(config)?;
        if self.print {
            return print(config, targets, json).await;
        }
        let credentials = self.administrator.credentials()?;
        let mut plans = Vec::new();
        for target in targets {
            let plan = plan(config, target, Some(&credentials)).await?;
            plan.show('+')?;
            plans.push(plan);
        }
        carry_out(&self.administrator, &credentials, &plans, Act::Grant, json).await
    }
}

/// The same for an administrator on Windows.
async fn print(config: &Config, targets: Vec<Target<'_>>, json: bool) -> anyhow::Result<Ending> {
    let mut lines = Vec::new();
    for target in targets {
        let plan = plan(config, target, None).await?;
        let domain = plan.target.domain.name();
        let account = plan.account.sam_account_name.as_ref().map_or_else(
            || plan.account.sid.to_string(),
            |login| match directory::domain_of(&plan.account.dn) {
                Some(home) => format!("{login}@{home}"),
                None => format!("{login}@{domain}"),
            },
        );
        for place in &plan.places {
            let of_place = place.gifts.iter();
            lines.extend(of_place.map(|gift| printable(&gift.dsacls(&place.dn, &account))));
        }
    }
    if json {
        writeln!(io::stdout().lock(), "{:#}", json!({ "dsacls": lines }))?;
        return Ok(Ending::Done);
    }
    if lines.is_empty() {
        writeln!(io::stderr(), "nothing is missing that an entry would mend")?;
    }
    for line in lines {
        writeln!(io::stdout().lock(), "{line}")?;
    }
    Ok(Ending::Done)
}

/// What is missing, read by the administrator, or by the service account itself.
async fn plan<'a>(
    config: &Config,
    target: Target<'a>,
    administrator: Option<&Credentials>,
) -> anyhow::Result<Plan<'a>> {
    let domain = target.domain;
    let connect = |domain: &crate::forests::Domain<'_>| match administrator {
        Some(one) => domain.connect_as(&one.name, one.password.clone()),
        None => domain.as_writer(),
    };
    let directory = connect(&domain)?;
    let inspection = directory.inspect().await?;
    let account = domain
        .account(&inspection, &domain.forest.account, connect)
        .await?;
    // the groups of this domain that the account is in are known to whoever binds as it
    let writer = match administrator {
        Some(_) => account.token.clone(),
        None => inspection.own_token(&account).await?,
    };
    let report = survey(
        &inspection,
        &Question {
            domain: domain.name(),
            roots: &target.roots,
            scope: &target.scope,
            writer: &writer,
            reader: &writer,
            reaches_protected: reaches_protected(config),
        },
    )
    .await?;
    inspection.end();
    readable(&report)?;
    Ok(Plan {
        places: missing(&report, &account.sid),
        target,
        account,
    })
}

fn readable(report: &Report) -> anyhow::Result<()> {
    if let Some(root) = report.roots.iter().find(|root| !root.is_readable) {
        bail!(
            "{} is not there, or who may do what to it cannot be read",
            root.dn
        );
    }
    Ok(())
}

impl Revoke {
    pub(crate) async fn run(self, config: &Config, json: bool) -> anyhow::Result<Ending> {
        let targets = self.place.targets(config)?;
        let credentials = self.administrator.credentials()?;
        let everywhere = self.place.ou.is_empty();
        let mut plans = Vec::new();
        for target in targets {
            let plan = given(target, &credentials, everywhere).await?;
            plan.show('-')?;
            plans.push(plan);
        }
        if !everywhere {
            writeln!(
                io::stderr(),
                "Unexpire-Password on the domain stays, for other units may rely on it; revoke without --ou takes it back too"
            )?;
        }
        carry_out(&self.administrator, &credentials, &plans, Act::Revoke, json).await
    }
}

/// What was given to the account and is there still.
async fn given<'a>(
    target: Target<'a>,
    administrator: &Credentials,
    everywhere: bool,
) -> anyhow::Result<Plan<'a>> {
    let domain = target.domain;
    let connect = |domain: &crate::forests::Domain<'_>| {
        domain.connect_as(&administrator.name, administrator.password.clone())
    };
    let directory = connect(&domain)?;
    let inspection = directory.inspect().await?;
    let account = domain
        .account(&inspection, &domain.forest.account, connect)
        .await?;
    let gifts = Gift::all(&account.sid);
    let mut places = Vec::new();
    if everywhere {
        places = inspection.given(domain.name(), &gifts).await?;
    } else {
        let on_people: Vec<Gift> = gifts
            .into_iter()
            .filter(|gift| gift.class.is_some())
            .collect();
        for root in &target.roots {
            places.extend(inspection.given_at(root, &on_people).await?);
        }
    }
    inspection.end();
    Ok(Plan {
        target,
        account,
        places,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Grant,
    Revoke,
}

async fn carry_out(
    administrator: &Administrator,
    credentials: &Credentials,
    plans: &[Plan<'_>],
    act: Act,
    json: bool,
) -> anyhow::Result<Ending> {
    let count: usize = plans
        .iter()
        .flat_map(|plan| &plan.places)
        .map(|place| place.gifts.len())
        .sum();
    let (question, done) = match act {
        Act::Grant => (format!("Add these {count} entries?"), "added"),
        Act::Revoke => (format!("Take these {count} entries away?"), "taken away"),
    };
    if count > 0 && !administrator.confirms(&question)? {
        writeln!(io::stderr(), "not confirmed: nothing is changed")?;
        return Ok(Ending::No);
    }
    for plan in plans.iter().filter(|plan| !plan.places.is_empty()) {
        let domain = plan.target.domain;
        let directory = domain.connect_as(&credentials.name, credentials.password.clone())?;
        let inspection = directory.inspect().await?;
        for place in &plan.places {
            let (add, remove) = match act {
                Act::Grant => (place.gifts.as_slice(), [].as_slice()),
                Act::Revoke => ([].as_slice(), place.gifts.as_slice()),
            };
            inspection.change(&place.dn, add, remove).await?;
        }
        inspection.end();
    }
    if json {
        let plans: Vec<Value> = plans.iter().map(Plan::to_json).collect();
        let member = if act == Act::Grant {
            "added"
        } else {
            "removed"
        };
        writeln!(io::stdout().lock(), "{:#}", json!({ member: plans }))?;
    } else if count == 0 {
        writeln!(io::stdout().lock(), "nothing to do")?;
    } else {
        writeln!(
            io::stdout().lock(),
            "{count} entries {done}; the other domain controllers learn of it by replication, within the hour"
        )?;
    }
    Ok(Ending::Done)
}
