//! `permissions grant` and `permissions revoke`.

mod administrator;
mod holder;
mod plan;

use std::io::Write as _;

use anyhow::{Context as _, bail};
use chassis::config::Config;
use clap::Args;
use directory::permissions::{Gift, Question, Report, Service, missing, survey};
use serde_json::{Value, json};

use self::{
    administrator::{Administrator, Credentials},
    holder::holders,
    plan::Plan,
};
use super::{Target, Where, check::reaches_protected};
use crate::{failure::Ending, output, table::printable};

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
        for place in &plan.places {
            for gift in &place.gifts {
                let holder = plan.holders.iter().find(|holder| holder.holds(gift));
                let account = holder.map_or_else(
                    || gift.entry.trustee.to_string(),
                    |holder| holder.principal(domain),
                );
                lines.push(printable(&gift.dsacls(&place.dn, &account)));
            }
        }
    }
    if json {
        writeln!(output::out(), "{:#}", json!({ "dsacls": lines }))?;
        return Ok(Ending::Done);
    }
    if lines.is_empty() {
        writeln!(output::err(), "nothing is missing that an entry would mend")?;
    }
    for line in lines {
        writeln!(output::out(), "{line}")?;
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
    let holders = holders(&domain, &inspection, connect).await?;
    let account_of = |service| {
        let mut of = holders.iter();
        let holder = of.find(|holder| holder.services.contains(&service));
        holder
            .map(|holder| &holder.account)
            .context("a service without an account")
    };
    let (writer, reader) = (account_of(Service::Writer)?, account_of(Service::Resolver)?);
    // the groups of this domain that an account is in are known to whoever binds as it
    let (writer, reader) = if administrator.is_some() {
        (
            inspection.foreseen_token(domain.name(), writer).await?,
            inspection.foreseen_token(domain.name(), reader).await?,
        )
    } else {
        let writer = inspection.own_token(writer).await?;
        let reader = domain.reader_token(&writer).await?;
        (writer, reader)
    };
    let report = survey(
        &inspection,
        &Question {
            domain: domain.name(),
            roots: &target.roots,
            scope: &target.scope,
            writer: &writer,
            reader: &reader,
            reaches_protected: reaches_protected(config),
        },
    )
    .await?;
    inspection.end();
    readable(&report)?;
    Ok(Plan {
        places: missing(&report),
        target,
        holders,
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
                output::err(),
                "Unexpire-Password on the domain stays, for other units may rely on it; revoke without --ou takes it back too"
            )?;
        }
        carry_out(&self.administrator, &credentials, &plans, Act::Revoke, json).await
    }
}

/// What was given to the accounts and is there still.
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
    let holders = holders(&domain, &inspection, connect).await?;
    let schema = inspection.people_schema(&[]).await?;
    let mut gifts: Vec<Gift> = Vec::new();
    for holder in &holders {
        for service in &holder.services {
            // both services read some of the same
            for gift in Gift::all(&schema, *service, &holder.account.sid) {
                if !gifts.contains(&gift) {
                    gifts.push(gift);
                }
            }
        }
    }
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
        holders,
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
        writeln!(output::err(), "not confirmed: nothing is changed")?;
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
        writeln!(output::out(), "{:#}", json!({ member: plans }))?;
    } else if count == 0 {
        writeln!(output::out(), "nothing to do")?;
    } else {
        writeln!(
            output::out(),
            "{count} entries {done}; the other domain controllers learn of it by replication, within the hour"
        )?;
    }
    Ok(Ending::Done)
}
