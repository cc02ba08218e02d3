//! The database the ledger is in turns out to be a standby, as after a fail-over that the address did not follow.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use e2e::{World, audit::as_service, postgres_program, until};
use lab::{Lab, Place};
use proto::v1::{self, ledger_client::LedgerClient};
use serde_json::json;
use tonic::Code;

use crate::{
    ALONE,
    errand::{End, Errand},
    parts, people,
    readiness::{missing, until_missing},
};

const RESTARTS_WITHIN: Duration = Duration::from_mins(1);
const ASKED_WITHIN: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(30);

async fn ask(question: &str) -> anyhow::Result<String> {
    let arguments = ["--no-psqlrc", "-tAc", question];
    let said = postgres_program("psql", "postgres", &arguments, "").await?;
    Ok(said.trim().to_owned())
}

/// The lab's database, a standby of nobody until it is promoted. One that a failing test leaves is a primary again.
struct Standby {
    /// It makes a server that starts a standby, and goes when it is promoted (PostgreSQL, 27.2.4).
    signal: PathBuf,
}

impl Standby {
    async fn begin() -> anyhow::Result<Self> {
        let signal = Place::of_this_repository()?
            .directory()
            .join("postgres/standby.signal");
        File::create_new(&signal).with_context(|| signal.display().to_string())?;
        let standby = Self { signal };
        restart()?;
        until("the database is a standby", RESTARTS_WITHIN, || async {
            let is_standby = ask("SELECT pg_is_in_recovery()").await;
            Ok(is_standby.is_ok_and(|is| is == "t").then_some(()))
        })
        .await?;
        Ok(standby)
    }

    async fn promote(self) -> anyhow::Result<()> {
        ensure!(ask("SELECT pg_promote()").await? == "t", "not promoted");
        Ok(())
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        let restarted = match fs::remove_file(&self.signal) {
            Ok(()) => restart(),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = restarted {
            eprintln!("the database stays a standby: {error}");
        }
    }
}

/// The lab starts again what ends.
fn restart() -> anyhow::Result<()> {
    let lab = Lab::load()?;
    let mut infrastructure = lab.infrastructure.iter();
    let postgres = infrastructure.find(|process| process.name == "postgres");
    parts::signal("-INT", &[postgres.context("no postgres")?.pid])
}

/// It was away for a moment too, and that is not what is shown here: each replica asks it every second.
async fn stays_missing() -> anyhow::Result<()> {
    let since = Instant::now();
    until("they have asked it", ASKED_WITHIN * 2, || async {
        for (kind, lacks) in [("audit", "database"), ("intake", "ledger")] {
            for missing in missing(kind).await? {
                ensure!(missing == json!([lacks]), "{kind} lacks {missing}");
            }
        }
        Ok((since.elapsed() > ASKED_WITHIN).then_some(()))
    })
    .await
}

/// It may be behind: what it does not know yet would be taken for what is not.
async fn no_writer_is_answered() -> anyhow::Result<()> {
    let channel = as_service(&Lab::load()?.audit.grpc, Some("writer")).await?;
    let mut ledger = LedgerClient::new(channel);
    let operation_id = uuid::Uuid::now_v7().to_string();
    let predecessor = v1::PredecessorRequest {
        operation_id: operation_id.clone(),
    };
    let precedents = v1::PrecedentsRequest {
        operation_id,
        target: None,
    };
    for answer in [
        ledger.predecessor(predecessor).await.map(|_| ()),
        ledger.precedents(precedents).await.map(|_| ()),
    ] {
        let code = answer.err().map(|status| status.code());
        ensure!(code == Some(Code::Unavailable), "{code:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_standby_takes_no_entries_so_the_ledger_is_not_ready() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forests.first().context("no forest")?;
    let errand = Errand::prepare(&world, forest, people::UNDER_WAY.start, DEADLINE).await?;
    let standby = Standby::begin().await?;
    until_missing("audit", &["database"]).await?;
    until_missing("intake", &["ledger"]).await?;
    let answer = errand.send_once(&world).await?;
    ensure!(answer.status == 503, "{} {}", answer.status, answer.body);
    errand.prove(&End::Not("not admitted".to_owned())).await?;
    no_writer_is_answered().await?;
    stays_missing().await?;
    standby.promote().await?;
    parts::all_ready().await?;
    let told = errand.send(&world).await?;
    let end = errand.end(&world, &told).await?;
    ensure!(end == End::Applied, "{end:?}");
    errand.prove(&end).await
}
