//! The lab's PostgreSQL, as its superuser.

use anyhow::Context;
use reqwest::Url;
use tokio::process::Command;

use crate::ctl::finish;

/// The superuser's URL for one of its databases.
pub fn url_of_database(name: &str) -> anyhow::Result<String> {
    let url = lab::Lab::load()?.postgres;
    let (server, _) = url.rsplit_once('/').context("no database in the URL")?;
    Ok(format!("{server}/{name}"))
}

/// Runs one of PostgreSQL's programs on a database and takes what it prints. The password is not on its command line.
pub async fn postgres_program(
    program: &str,
    database: &str,
    arguments: &[&str],
    input: &str,
) -> anyhow::Result<String> {
    let url = Url::parse(&url_of_database(database)?)?;
    let mut command = Command::new(program);
    command
        .arg(format!("--host={}", url.host_str().unwrap_or_default()))
        .arg(format!("--port={}", url.port().unwrap_or(5432)))
        .arg(format!("--username={}", url.username()))
        .arg(format!("--dbname={database}"))
        .args(arguments)
        .env("PGPASSWORD", url.password().unwrap_or_default());
    Ok(finish(command, input).await?.expect(0)?.out)
}
