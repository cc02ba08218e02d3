//! What a command found is told by its exit code, also when nobody reads what it prints: `writebackctl … | head -1`.

use std::{
    io,
    process::{Command, Stdio},
};

/// Runs it where the readers of both its outputs have left already.
fn unread(arguments: &[&str]) -> anyhow::Result<Option<i32>> {
    let (reader, writer) = io::pipe()?;
    drop(reader);
    let status = Command::new(env!("CARGO_BIN_EXE_writebackctl"))
        .args(arguments)
        .env_remove("WRITEBACK_CONFIG")
        .env_remove("WRITEBACK_TOKEN_FILE")
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .status()?;
    Ok(status.code())
}

#[test]
fn a_finding_is_found_and_what_is_shown_is_shown_whoever_reads() -> anyhow::Result<()> {
    // port 1 answers nobody: down
    let nobody = "http://127.0.0.1:1";
    assert_eq!(unread(&["--audit", nobody, "status"])?, Some(2));
    assert_eq!(unread(&["--audit", nobody, "--json", "status"])?, Some(2));
    assert_eq!(unread(&["reason", "password-policy"])?, Some(0));
    assert_eq!(unread(&["completions", "bash"])?, Some(0));
    Ok(())
}

#[test]
fn what_cannot_be_said_is_wrong_all_the_same() -> anyhow::Result<()> {
    for wrong in [
        &["reason", "nonsense"][..],
        &["--audit", "http://127.0.0.1:1", "ledger", "verify"],
        &["seal", "--kind", "reset", "--password", "x"],
        &["operations", "show", "42"],
    ] {
        assert_eq!(unread(wrong)?, Some(3), "{wrong:?}");
    }
    Ok(())
}
