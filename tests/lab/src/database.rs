//! A private PostgreSQL with the ledger's database and its two roles.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::place::{POSTGRES_PORT, Place};
use crate::process::Recipe;
use crate::secret;

pub(crate) const OWNER: &str = "writeback_owner";
pub(crate) const AUDIT: &str = "writeback_audit";

pub(crate) fn password_file(place: &Place, role: &str) -> PathBuf {
    place.path(format!("secrets/postgres-{role}"))
}

pub(crate) fn superuser_url(place: &Place) -> anyhow::Result<String> {
    let password = secret::password(&password_file(place, "postgres"))?;
    Ok(format!(
        "postgres://postgres:{password}@127.0.0.1:{POSTGRES_PORT}/writeback"
    ))
}

/// Debian keeps each major version's programs apart and off the PATH; the newest is taken.
fn programs() -> anyhow::Result<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir("/usr/lib/postgresql")
        .context("PostgreSQL is not installed: run tests/lab/install.sh")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable();
    let newest = versions
        .last()
        .context("PostgreSQL is not installed: run tests/lab/install.sh")?;
    Ok(Path::new("/usr/lib/postgresql")
        .join(newest.to_string())
        .join("bin"))
}

pub(crate) async fn prepare(place: &Place) -> anyhow::Result<Recipe> {
    let data = place.path("postgres");
    fs::create_dir_all(&data)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
    let password = secret::password(&password_file(place, "postgres"))?;
    // initdb runs as the user postgres, which cannot read our secrets: it is lent a copy of its own
    let lent = place.path("postgres.password");
    secret::write_private(&lent, password.as_bytes())?;
    nix::unistd::chown(&lent, user("postgres")?, None)?;
    let mut initdb = Command::new("setpriv");
    initdb.args([
        "--reuid",
        "postgres",
        "--regid",
        "postgres",
        "--init-groups",
        "--",
    ]);
    initdb.arg(programs()?.join("initdb"));
    initdb.args([
        "--auth-host=scram-sha-256",
        "--auth-local=peer",
        "--username=postgres",
        "--encoding=UTF8",
    ]);
    initdb
        .args(["--locale=C.UTF-8", "--no-sync", "--pgdata"])
        .arg(&data)
        .arg("--pwfile")
        .arg(&lent)
        .current_dir("/");
    nix::unistd::chown(&data, user("postgres")?, None)?;
    run_with_input(initdb, "", "initdb").await?;
    fs::remove_file(&lent)?;
    let settings = [
        format!("port={POSTGRES_PORT}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "max_connections=200".to_owned(),
    ];
    let mut arguments = vec!["-D".into(), data.into()];
    arguments.extend(
        settings
            .into_iter()
            .flat_map(|setting| ["-c".into(), setting.into()]),
    );
    Ok(Recipe {
        name: "postgres".to_owned(),
        user: Some("postgres"),
        program: programs()?.join("postgres"),
        arguments,
        environment: Vec::new(),
        log: place.log("postgres"),
        stop_signal: Signal::SIGINT, // "fast" shutdown: does not wait for clients (postgres(1))
        admin: None,
    })
}

pub(crate) async fn answers(place: &Place) -> bool {
    run_sql(place, "postgres", "SELECT 1").await.is_ok()
}

const DATABASE: &str = include_str!("../../../deploy/postgres/database.sql");

/// The owner holds the tables and migrates them; audit connects as a role that may do only what the migrations grant.
pub(crate) async fn make_ledger(place: &Place) -> anyhow::Result<()> {
    let owner = secret::password(&password_file(place, OWNER))?;
    let audit = secret::password(&password_file(place, AUDIT))?;
    run_sql(
        place,
        "postgres",
        &format!(
            "CREATE ROLE {OWNER} LOGIN PASSWORD '{owner}';
             CREATE ROLE {AUDIT} LOGIN PASSWORD '{audit}';
             {DATABASE}"
        ),
    )
    .await
}

async fn run_sql(place: &Place, database: &str, sql: &str) -> anyhow::Result<()> {
    let password = secret::password(&password_file(place, "postgres"))?;
    let mut psql = Command::new("psql");
    psql.args([
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "--output=/dev/null",
        "--host=127.0.0.1",
    ]);
    psql.arg(format!("--port={POSTGRES_PORT}"))
        .args(["--username=postgres", "--dbname", database]);
    psql.env("PGPASSWORD", password)
        .env("PGCONNECT_TIMEOUT", "3");
    run_with_input(psql, sql, "psql").await
}

pub(crate) async fn run_with_input(
    mut command: Command,
    input: &str,
    what: &str,
) -> anyhow::Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {what}"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    stdin
        .write_all(input.as_bytes())
        .await
        .with_context(|| format!("{what} does not read its input"))?;
    drop(stdin);
    let output = tokio::time::timeout(std::time::Duration::from_mins(2), child.wait_with_output())
        .await
        .with_context(|| format!("{what} takes too long"))??;
    if !output.status.success() {
        bail!(
            "{what} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

pub(crate) fn user(name: &str) -> anyhow::Result<Option<nix::unistd::Uid>> {
    let user = nix::unistd::User::from_name(name)?
        .with_context(|| format!("there is no user {name}: run tests/lab/install.sh"))?;
    Ok(Some(user.uid))
}
