//! Which program it is, and what it is asked on the command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{CommandFactory as _, FromArgMatches as _, Parser};

/// Which program this is. [`program!`](crate::program) makes it, of the package it is written in.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Which of the services, as logs tell them apart.
    pub kind: &'static str,
    pub name: &'static str,
    pub version: &'static str,
    pub description: &'static str,
}

/// The program of the service of this kind, with the version and the description of its own package.
#[macro_export]
macro_rules! program {
    ($kind:literal) => {
        $crate::Program {
            kind: $kind,
            name: concat!("writeback-", $kind),
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
        }
    };
}

#[derive(Parser)]
pub(crate) struct Arguments {
    /// The configuration file.
    #[arg(long, env = "WRITEBACK_CONFIG")]
    pub(crate) config: PathBuf,
    /// Starts nothing: asks the service that runs beside it with this configuration whether it is
    /// ready. The exit code is 0 when it is, else 1; for health checks in containers.
    #[arg(long)]
    pub(crate) probe: bool,
}

impl Arguments {
    /// A service's own name, version and description, which the derived ones of this crate are not.
    pub(crate) fn of(
        program: Program,
        given: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        let command = Self::command()
            .name(program.name)
            .version(program.version)
            .about(program.description);
        Self::from_arg_matches(&command.try_get_matches_from(given)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: Program = Program {
        kind: "example",
        name: "writeback-example",
        version: "7.8.9",
        description: "What examples are for",
    };

    fn said(arguments: &[&str]) -> String {
        match Arguments::of(PROGRAM, arguments.iter().map(OsString::from)) {
            Ok(_) => String::new(),
            Err(said) => said.to_string(),
        }
    }

    #[test]
    fn each_program_says_its_own_name_and_version() {
        assert_eq!(
            said(&["/usr/local/bin/other", "--version"]),
            "writeback-example 7.8.9\n"
        );
        let help = said(&["writeback-example", "--help"]);
        assert!(help.starts_with("What examples are for\n"), "{help}");
        assert!(help.contains("Usage: writeback-example"), "{help}");
    }

    #[test]
    fn the_macro_takes_them_from_the_package_it_is_written_in() {
        let program = crate::program!("example");
        assert_eq!(program.name, "writeback-example");
        assert_eq!(program.version, env!("CARGO_PKG_VERSION"));
        assert_eq!(
            program.description,
            "What every service needs to start and stop"
        );
    }
}
