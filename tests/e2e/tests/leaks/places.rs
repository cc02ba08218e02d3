//! Everywhere the lab writes, sends or shows something.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use e2e::{Ctl, Overheard, families, postgres_program, record_of_passwords};
use lab::{Lab, Place};

use crate::search::Search;

/// Every file of the lab: RabbitMQ's segments, PostgreSQL's tables and write-ahead log, every log, the configuration.
/// Left out is where secrets are kept on purpose.
pub(crate) fn files(search: &mut Search) -> anyhow::Result<()> {
    let place = Place::of_this_repository()?;
    let kept_on_purpose = [
        record_of_passwords()?,
        place.path("secrets"),
        place.description(),
    ];
    let mut folders = vec![place.directory()];
    while let Some(folder) = folders.pop() {
        let Some(entries) = unless_gone(fs::read_dir(&folder), &folder)? else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if kept_on_purpose.contains(&path) {
                continue;
            }
            let Some(kind) = unless_gone(entry.file_type(), &path)? else {
                continue;
            };
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && let Some(bytes) = unless_gone(fs::read(&path), &path)?
            {
                search.look(&path.display().to_string(), &bytes);
            }
        }
    }
    Ok(())
}

/// Daemons remove files while they are being looked for.
fn unless_gone<T>(result: std::io::Result<T>, path: &Path) -> anyhow::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Everything the database holds, as a backup would.
pub(crate) async fn dump(search: &mut Search) -> anyhow::Result<()> {
    let dump = postgres_program("pg_dump", "writeback", &[], "").await?;
    search.look("the database's dump", dump.as_bytes());
    Ok(())
}

/// What the ledger tells operators, page by page.
pub(crate) async fn ledger(search: &mut Search) -> anyhow::Result<()> {
    let ctl = Ctl::of_the_lab()?;
    let mut token: Option<String> = None;
    loop {
        let mut arguments = vec!["operations", "list", "--limit", "1000"];
        if let Some(token) = &token {
            arguments.extend(["--page-token", token]);
        }
        let (_, page) = ctl.json(&arguments).await?;
        search.look("the list of operations", page.to_string().as_bytes());
        token = page["nextPageToken"].as_str().map(str::to_owned);
        if token.is_none() {
            return Ok(());
        }
    }
}

/// Every message that was published while somebody listened.
pub(crate) async fn messages(search: &mut Search, overheard: &Overheard) -> anyhow::Result<usize> {
    let messages = overheard.take().await?;
    for message in &messages {
        let place = format!("a message to {}", message.exchange);
        search.look(&place, &message.body);
        search.look(&place, message.envelope.to_string().as_bytes());
    }
    Ok(messages.len())
}

/// What services show: metrics, health, documents.
pub(crate) async fn pages(search: &mut Search, admins: &[String]) -> anyhow::Result<()> {
    let lab = Lab::load()?;
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()?;
    let admins = lab
        .services
        .iter()
        .map(|service| &service.admin)
        .chain(admins);
    let mut urls: Vec<String> = admins
        .flat_map(|admin| ["metrics", "readyz", "livez"].map(|page| format!("{admin}/{page}")))
        .collect();
    for intake in &lab.intake.urls {
        urls.extend(
            ["openapi.json", ".well-known/jwks.json"].map(|page| format!("{intake}/{page}")),
        );
    }
    for url in urls {
        page(search, &client, &url).await?;
    }
    Ok(())
}

pub(crate) async fn page(
    search: &mut Search,
    client: &reqwest::Client,
    url: &str,
) -> anyhow::Result<()> {
    let answer = client
        .get(url)
        .send()
        .await
        .with_context(|| url.to_owned())?;
    let headers = format!("{:?}", answer.headers());
    search.look(url, headers.as_bytes());
    search.look(url, &answer.bytes().await?);
    Ok(())
}

/// The command lines and environments of everything the lab runs, and of everything this process runs.
pub(crate) fn processes(search: &mut Search) -> anyhow::Result<usize> {
    let supervisor = fs::read_to_string(Place::of_this_repository()?.path("supervisor.pid"))?;
    let family = families(&[supervisor.trim().parse()?, std::process::id()])?;
    for pid in &family {
        for file in ["cmdline", "environ"] {
            let path = format!("/proc/{pid}/{file}");
            match fs::read(&path) {
                Ok(bytes) => search.look(&path, &bytes),
                // it has ended meanwhile
                Err(error) if [ErrorKind::NotFound, ErrorKind::Other].contains(&error.kind()) => {}
                Err(error) if error.raw_os_error() == Some(3) => {}
                Err(error) => return Err(error).context(path),
            }
        }
    }
    Ok(family.len())
}
