//! `writebackctl completions` and `writebackctl man`: what shells and `man` are given, made from the
//! same definition as the command line itself.

use std::{fs, io::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::{failure::Ending, output};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KnownShell {
    Bash,
    Zsh,
    Fish,
}

impl From<KnownShell> for Shell {
    fn from(shell: KnownShell) -> Self {
        match shell {
            KnownShell::Bash => Self::Bash,
            KnownShell::Zsh => Self::Zsh,
            KnownShell::Fish => Self::Fish,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 printed; 3 wrong use.

Examples:
  writebackctl completions bash > /etc/bash_completion.d/writebackctl
  writebackctl completions zsh > /usr/local/share/zsh/site-functions/_writebackctl
  writebackctl completions fish > ~/.config/fish/completions/writebackctl.fish")]
pub(crate) struct Completions {
    shell: KnownShell,
}

impl Completions {
    pub(crate) fn run<Line: CommandFactory>(&self) -> anyhow::Result<Ending> {
        // into memory first: what makes it does not expect a pipe that closes
        let mut script = Vec::new();
        let mut command = Line::command();
        clap_complete::generate(
            Shell::from(self.shell),
            &mut command,
            "writebackctl",
            &mut script,
        );
        output::out().write_all(&script)?;
        Ok(Ending::Done)
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 written; 3 wrong use, or a file cannot be written.

Example:
  writebackctl man --directory /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// Where the pages are written, one for each command; made if it is missing
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,
}

impl Man {
    pub(crate) fn run<Line: CommandFactory>(&self) -> anyhow::Result<Ending> {
        let write = || {
            fs::create_dir_all(&self.directory)?;
            clap_mangen::generate_to(Line::command(), &self.directory)
        };
        write().with_context(|| self.directory.display().to_string())?;
        Ok(Ending::Done)
    }
}
