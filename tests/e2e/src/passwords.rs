//! Every password the tests use, remembered for the search that must not find any of them again.
//!
//! The record lies in the lab's folder and goes with it; it is the one place where they may be.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context;

const RECORD: &str = "passwords-used";

/// A password nobody has had before, within the policy of both forests.
pub fn fresh_password() -> String {
    let password = format!("Neu-{}-7q", uuid::Uuid::new_v4().simple());
    remember(&password);
    password
}

/// Where they are remembered.
pub fn record_of_passwords() -> anyhow::Result<PathBuf> {
    Ok(lab::Place::of_this_repository()?.directory().join(RECORD))
}

/// Every password remembered since the lab was started, one of each.
pub fn passwords_used() -> anyhow::Result<Vec<String>> {
    let path = record_of_passwords()?;
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut passwords = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<String>, _>>()?;
    passwords.sort_unstable();
    passwords.dedup();
    Ok(passwords)
}

/// One line of JSON each: a password may hold any character.
pub(crate) fn remember(password: &str) {
    let write = || {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(record_of_passwords()?)?;
        // in one piece, for tests append side by side
        let line = format!("{}\n", serde_json::Value::from(password));
        file.write_all(line.as_bytes())?;
        anyhow::Ok(())
    };
    if let Err(error) = write() {
        eprintln!("a password is not remembered, so nobody will search for it: {error:#}");
    }
}
