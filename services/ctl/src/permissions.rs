//! `writebackctl permissions`: whether the service account may do what it must, and no more; and what
//! an administrator can do about it.

mod check;
mod grant;
mod remedy;
mod show;

pub(crate) use show::held_json;

use clap::Args;
use directory::scope::Scope;
use operation::ForestId;

use crate::{audit::Address, failure::Ending, forests::Domain};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Permissions {
    /// Whether the service accounts may do all that they must, and nothing too wide; changes nothing
    #[command(after_help = "\
Binds as the accounts that the services bind as, reads who may do what from the domain's root, from the roots of the scope and
from every person below, and evaluates it as the domain controllers do: what the writer does to people, and what the writer and the
resolver read of them. Whoever hides what people are found by is counted and named. For each place at which rights end it says
what mends it.

Exit codes: 0 every right is held; 1 a right is missing somewhere; 3 wrong use, or a domain could not be asked.

Examples:
  writebackctl --config /etc/writeback/config.toml permissions check
  writebackctl --config /etc/writeback/config.toml permissions check --forest corp --ou 'OU=Sales,DC=corp,DC=example,DC=com'
  writebackctl --config /etc/writeback/config.toml --json permissions check | jq '.domains[].missing'")]
    Check(Where),
    /// Give the service accounts exactly what they lack, as an administrator
    #[command(after_help = "\
Adds the missing entries at the roots of the scope, or at the organizational units given, and Unexpire-Password on the domain
if it is not held: what the writer does to people, and what the writer or the resolver may not read of them, each for the account
that lacks it. Shows them first and asks. What is held already is not given again. An entry that denies is not outweighed: check
names it.

The administrator's password is asked for, or read with --password-stdin or --password-file; it is never an argument.

Exit codes: 0 given, or nothing was missing; 1 not confirmed, nothing is changed; 3 wrong use, or the domain refused.

Examples:
  writebackctl --config /etc/writeback/config.toml permissions grant --forest corp --administrator administrator@corp.example.com
  writebackctl --config /etc/writeback/config.toml permissions grant --forest corp --ou 'OU=Sales,DC=corp,DC=example,DC=com' \\
      --administrator administrator@corp.example.com --password-file /run/secrets/administrator --yes
  writebackctl --config /etc/writeback/config.toml permissions grant --forest corp --print     lines for dsacls on Windows")]
    Grant(grant::Grant),
    /// Take back from the service accounts what grant gave, and nothing else
    #[command(after_help = "\
Takes away the entries that are exactly as grant gives them, for either account, wherever in the domain they are set; with --ou
only there, and then Unexpire-Password stays, for other units may rely on it. Shows them first and asks.

Exit codes: 0 taken back, or there was nothing; 1 not confirmed, nothing is changed; 3 wrong use, or the domain refused.

Examples:
  writebackctl --config /etc/writeback/config.toml permissions revoke --forest corp --administrator administrator@corp.example.com
  writebackctl --config /etc/writeback/config.toml permissions revoke --forest corp --ou 'OU=Sales,DC=corp,DC=example,DC=com' \\
      --administrator administrator@corp.example.com --password-stdin --yes < password")]
    Revoke(grant::Revoke),
}

/// Which part of the configured forests is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Where {
    /// Only this forest
    #[arg(long, value_name = "ID")]
    forest: Option<ForestId>,
    /// Only this organizational unit, by its distinguished name; may be repeated. Without it, the roots of the configured scope
    #[arg(long, value_name = "DN")]
    ou: Vec<String>,
}

/// A domain, and the places in it that are meant.
pub(crate) struct Target<'a> {
    pub(crate) domain: Domain<'a>,
    pub(crate) roots: Vec<String>,
    /// People outside are left out.
    pub(crate) scope: Scope,
    /// Places that lie outside the configured scope.
    pub(crate) outside: Vec<String>,
}

/// What the service accounts lack at these places, in words.
///
/// # Errors
/// When the domain could not be asked.
pub(crate) async fn missing(
    config: &chassis::config::Config,
    target: &Target<'_>,
) -> anyhow::Result<Vec<String>> {
    let checked = check::check(config, target).await?;
    Ok(show::Shown::new(target, &checked).missing())
}

impl Where {
    /// The roots of one domain's scope.
    pub(crate) fn domain<'a>(domain: &Domain<'a>) -> anyhow::Result<Vec<Target<'a>>> {
        Ok(vec![Target {
            roots: domain.roots(),
            scope: domain.scope()?,
            outside: Vec::new(),
            domain: *domain,
        }])
    }

    pub(crate) fn targets<'a>(
        &self,
        config: &'a chassis::config::Config,
    ) -> anyhow::Result<Vec<Target<'a>>> {
        let domains = crate::forests::domains(config, self.forest.as_ref())?;
        for unit in &self.ou {
            let domain = directory::domain_of(unit);
            anyhow::ensure!(
                domains
                    .iter()
                    .any(|known| Some(known.name()) == domain.as_ref()),
                "--ou {unit:?}: it must be a distinguished name such as OU=Sales,DC=corp,DC=example,DC=com, in a configured domain"
            );
        }
        let mut targets = Vec::new();
        for domain in domains {
            let scope = domain.scope()?;
            if self.ou.is_empty() {
                targets.push(Target {
                    roots: domain.roots(),
                    scope,
                    outside: Vec::new(),
                    domain,
                });
                continue;
            }
            let (inside, outside): (Vec<String>, Vec<String>) = self
                .ou
                .iter()
                .filter(|unit| directory::domain_of(unit).as_ref() == Some(domain.name()))
                .cloned()
                .partition(|unit| scope.contains(unit));
            if !outside.is_empty() {
                targets.push(Target {
                    domain,
                    roots: outside.clone(),
                    scope: Scope::new(&[], &[])?,
                    outside,
                });
            }
            if !inside.is_empty() {
                targets.push(Target {
                    domain,
                    roots: inside,
                    scope,
                    outside: Vec::new(),
                });
            }
        }
        Ok(targets)
    }
}

impl Permissions {
    pub(crate) async fn run(self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        let config = address.configuration()?;
        match self {
            Self::Check(place) => check::run(&config, &place, json).await,
            Self::Grant(grant) => grant.run(&config, json).await,
            Self::Revoke(revoke) => revoke.run(&config, json).await,
        }
    }
}
