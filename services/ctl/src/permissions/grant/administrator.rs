//! By whose hand it is done.

use std::{
    io::{self, BufRead as _, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use chassis::config;
use clap::{Args, builder::NonEmptyStringValueParser};
use secrecy::SecretString;

use crate::{password, table::printable};

/// Whose hand it is.
#[derive(Debug, Args)]
pub(super) struct Administrator {
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

/// An administrator who may sign in.
pub(super) struct Credentials {
    pub(super) name: String,
    pub(super) password: SecretString,
}

impl Administrator {
    pub(super) fn credentials(&self) -> anyhow::Result<Credentials> {
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
    pub(super) fn confirms(&self, question: &str) -> anyhow::Result<bool> {
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
