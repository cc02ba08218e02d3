//! A service that lacks what it cannot work without says so, names it, and says when it is back.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use e2e::until;
use lab::{Lab, Place};
use serde_json::Value;

/// Longer than every time-out towards the database together.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);

/// The database's processes, stopped until this is dropped, also by a test that fails.
struct Frozen(Vec<String>);

impl Frozen {
    fn freeze() -> anyhow::Result<Self> {
        let file = Place::of_this_repository()?
            .directory()
            .join("postgres/postmaster.pid");
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let first = text.lines().next().unwrap_or_default().trim().to_owned();
        let listed = Command::new("ps")
            .args(["-o", "pid=", "--ppid", &first])
            .output()?;
        let children = String::from_utf8(listed.stdout)?;
        let mut all = vec![first];
        all.extend(children.split_whitespace().map(str::to_owned));
        signal("-STOP", &all)?;
        Ok(Self(all))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Err(error) = signal("-CONT", &self.0) {
            eprintln!("the database stays stopped: {error}");
        }
    }
}

fn signal(signal: &str, pids: &[String]) -> anyhow::Result<()> {
    // one of them may have ended by itself
    Command::new("kill").arg(signal).args(pids).output()?;
    Ok(())
}

/// What each service of this kind lacks.
pub(crate) async fn missing(kind: &str) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    for service in Lab::load()?.services {
        if service.name.starts_with(kind) {
            let answer = reqwest::get(format!("{}/readyz", service.admin)).await?;
            let status = answer.status();
            let report: Value = serde_json::from_slice(&answer.bytes().await?)?;
            let member = |name: &str| report.get(name).cloned().unwrap_or_default();
            ensure!(
                status.is_success() == (member("ready") == true),
                "{status}: {report}"
            );
            all.push(member("missing"));
        }
    }
    Ok(all)
}

pub(crate) async fn until_missing(kind: &str, what: &[&str]) -> anyhow::Result<()> {
    let wanted = Value::from(what);
    until(
        &format!("{kind} lacks {what:?}"),
        NOTICED_WITHIN,
        || async {
            let missing = missing(kind).await?;
            Ok(missing
                .iter()
                .all(|missing| *missing == wanted)
                .then_some(()))
        },
    )
    .await
}

#[tokio::test]
async fn without_its_database_the_ledger_is_not_ready_nor_is_the_door() -> anyhow::Result<()> {
    let _alone = crate::ALONE.lock().await;
    // reqwest wants one, though it speaks plain HTTP here
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    for kind in ["audit", "intake", "resolver", "writer"] {
        until_missing(kind, &[]).await?;
    }
    let frozen = Frozen::freeze()?;
    until_missing("audit", &["database"]).await?;
    until_missing("intake", &["ledger"]).await?;
    // who does not need it goes on
    until_missing("resolver", &[]).await?;
    until_missing("writer", &[]).await?;
    drop(frozen);
    for kind in ["audit", "intake"] {
        until_missing(kind, &[]).await?;
    }
    Ok(())
}
