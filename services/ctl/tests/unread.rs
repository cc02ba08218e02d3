//! What a command found is told by its exit code, also when nobody reads what it prints: `writebackctl … | head -1`.

use std::{
    io,
    process::{Command, Stdio},
};

/// Runs it where the readers of both its outputs have left already.
fn unread(arguments: &[&str]) -> Option<i32> {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let status = Command::new(env!("CARGO_BIN_EXE_writebackctl"))
        .args(arguments)
        .env_remove("WRITEBACK_CONFIG")
        .env_remove("WRITEBACK_TOKEN_FILE")
        .stdin(Stdio::null())
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .status()
        .unwrap();
    status.code()
}

#[test]
fn a_finding_is_found_and_what_is_shown_is_shown_whoever_reads() {
    // port 1 answers nobody
    let status = ["--audit", "http://127.0.0.1:1", "status"];
    assert_eq!(unread(&status), Some(2), "down");
    assert_eq!(
        unread(&["--json", "--audit", "http://127.0.0.1:1", "status"]),
        Some(2)
    );
    assert_eq!(unread(&["reason", "password-policy"]), Some(0));
    assert_eq!(unread(&["completions", "bash"]), Some(0));
}

#[test]
fn what_cannot_be_said_is_wrong_all_the_same() {
    for wrong in [
        &["reason", "nonsense"][..],
        &["--audit", "http://127.0.0.1:1", "ledger", "verify"],
        &["seal", "--kind", "reset", "--password", "x"],
        &["operations", "show", "42"],
    ] {
        assert_eq!(unread(wrong), Some(3), "{wrong:?}");
    }
}
