//! Passwords from a prompt or from standard input; never from an argument, which every process on
//! the machine could read.

use std::{
    ffi::OsString,
    io::{self, BufRead, Read as _},
};

use anyhow::{Context as _, ensure};
use clap::error::ErrorKind;
use operation::Kind;
use sealing::Contents;
use secrecy::{ExposeSecret as _, SecretString};

use crate::terminal::Silence;

/// Longer than any password Active Directory takes (256 characters, MS-SAMR 3.1.1.7.2).
const LONGEST_LINE: u64 = 4 * 256 + 2;

pub(crate) const NEVER_AN_ARGUMENT: &str = "\
error: an argument is not understood; it is not repeated here, for it may be a password
A password is never an argument: every process on this machine could read it, and one that was given so should be changed.
Leave it out to be asked for it, or give --password-stdin and the password on standard input; `writebackctl seal --help`
lists the arguments there are.";

/// Whether what clap complains about, and would repeat, may be a password.
pub(crate) fn is_on_the_command_line(
    error: &clap::Error,
    arguments: impl Iterator<Item = OsString>,
) -> bool {
    let repeats = matches!(
        error.kind(),
        ErrorKind::UnknownArgument | ErrorKind::TooManyValues
    );
    let named = arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .any(|argument| argument.starts_with("--pass") || argument.starts_with("-p"));
    repeats && named
}

const NO_TERMINAL: &str = "no terminal to ask on; use --password-stdin";

/// Asks on the terminal; the new password twice.
pub(crate) fn prompt(kind: Kind) -> anyhow::Result<Contents> {
    let _silence = Silence::begin().context(NO_TERMINAL)?;
    let current_password = (kind == Kind::Change)
        .then(|| ask("Current password: "))
        .transpose()?;
    let new_password = ask("New password: ")?;
    let again = ask("New password again: ")?;
    ensure!(
        new_password.expose_secret() == again.expose_secret(),
        "the two new passwords differ"
    );
    Ok(Contents {
        new_password,
        current_password,
    })
}

/// Asks on the terminal for one password that exists already.
pub(crate) fn prompt_for(prompt: &str) -> anyhow::Result<SecretString> {
    let _silence = Silence::begin().context(NO_TERMINAL)?;
    ask(prompt)
}

fn ask(prompt: &str) -> anyhow::Result<SecretString> {
    let password = rpassword::prompt_password(prompt).context(NO_TERMINAL)?;
    ensure!(!password.is_empty(), "the password is empty");
    Ok(SecretString::from(password))
}

/// Reads one line each: for a change the current password, then the new one. More of them is another kind's input: the wrong
/// password would be sealed. Until the end, for what comes in pieces is not over when it pauses.
pub(crate) fn read(kind: Kind, input: &mut impl BufRead) -> anyhow::Result<Contents> {
    let current_password = (kind == Kind::Change)
        .then(|| read_line(input).context("the first line is the current password"))
        .transpose()?;
    let new_password = read_line(input).context("no new password on standard input")?;
    ensure!(
        input.fill_buf()?.is_empty(),
        "--password-stdin: {}; there is more on standard input",
        if kind == Kind::Change {
            "a change takes two lines, the current password and the new one"
        } else {
            "a reset takes one line, the new password; it is --kind change that takes two"
        }
    );
    Ok(Contents {
        new_password,
        current_password,
    })
}

pub(crate) fn read_line(input: &mut impl BufRead) -> anyhow::Result<SecretString> {
    let mut line = String::new();
    input.take(LONGEST_LINE).read_line(&mut line)?;
    if line.ends_with('\n') {
        line.pop();
        if line.ends_with('\r') {
            line.pop();
        }
    } else if line.len() as u64 == LONGEST_LINE {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge).into());
    }
    ensure!(!line.is_empty(), "the line is empty");
    Ok(SecretString::from(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_takes_one_line_and_keeps_its_spaces() {
        let contents = read(Kind::Reset, &mut " s3cret \r\n".as_bytes()).unwrap();
        assert_eq!(contents.new_password.expose_secret(), " s3cret ");
        assert!(contents.current_password.is_none());
    }

    #[test]
    fn a_change_takes_the_current_password_first() {
        let contents = read(Kind::Change, &mut "old\nnew".as_bytes()).unwrap();
        assert_eq!(contents.new_password.expose_secret(), "new");
        assert_eq!(contents.current_password.unwrap().expose_secret(), "old");
    }

    #[test]
    fn more_lines_than_the_kind_takes_are_refused() {
        let refused = |kind, input: &str| {
            let error = read(kind, &mut input.as_bytes()).unwrap_err();
            error.to_string()
        };
        let reset = refused(Kind::Reset, "old\nnew\n");
        assert!(reset.contains("a reset takes one line"), "{reset}");
        assert!(
            !reset.contains("old") && !reset.contains("new\n"),
            "{reset}"
        );
        let change = refused(Kind::Change, "old\nnew\nnew\n");
        assert!(change.contains("a change takes two lines"), "{change}");
    }

    #[test]
    fn a_missing_or_empty_password_is_refused() {
        assert!(read(Kind::Reset, &mut "".as_bytes()).is_err());
        assert!(read(Kind::Reset, &mut "\n".as_bytes()).is_err());
        assert!(read(Kind::Change, &mut "old\n".as_bytes()).is_err());
        assert!(read(Kind::Reset, &mut "x".repeat(5_000).as_bytes()).is_err());
    }
}
