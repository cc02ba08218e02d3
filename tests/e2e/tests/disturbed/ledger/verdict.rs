//! What a verification found is told by every replica, and by those that are started later, until one finds nothing.

use std::{fs, time::Duration};

use anyhow::{Context as _, ensure};
use e2e::{Ctl, until};
use serde_json::Value;

use super::replicas::{OwnLedger, Replica};
use crate::ALONE;

/// Counted every few seconds.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// Until this replica's metric and its status agree on so many findings.
async fn until_told(replica: &Replica, findings: f64) -> anyhow::Result<()> {
    let what = format!("{findings} findings are told");
    until(&what, TOLD_WITHIN, || async {
        let told = replica.gauge("writeback_ledger_findings").await?;
        let asked = ["--audit", &replica.grpc, "status"];
        let (_, said) = Ctl::of_the_lab()?.json(&asked).await?;
        let chain = &said["ledger"]["chain"];
        let agreed = told == Some(findings)
            && chain["verifiedFindings"].as_f64() == Some(findings)
            && chain["verifiedIntact"].as_bool() == Some(findings == 0.0)
            && says(&said, "the last verification") == (findings > 0.0);
        Ok(agreed.then_some(()))
    })
    .await
}

fn says(said: &Value, what: &str) -> bool {
    let findings = said["ledger"]["findings"].as_array().into_iter().flatten();
    { findings }.any(|finding| {
        finding["what"]
            .as_str()
            .is_some_and(|text| text.contains(what))
    })
}

async fn everybody_tells(own: &OwnLedger, findings: f64) -> anyhow::Result<()> {
    for replica in &own.replicas {
        until_told(replica, findings).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_was_found_outlives_the_replicas_until_nothing_is_found() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let mut own = OwnLedger::empty(2).await?;
    // one that was never verified is not called intact, and says for how long it could have been
    for replica in &own.replicas {
        until("the wait is told", TOLD_WITHIN, || async {
            let age = replica
                .gauge("writeback_ledger_verified_age_seconds")
                .await?;
            Ok(age.is_some_and(|age| age < 600.0).then_some(()))
        })
        .await?;
    }
    own.switch("off").await?;
    own.switch("on").await?;
    let (code, _) = own.verify(&[]).await?;
    assert_eq!(code, 0);
    everybody_tells(&own, 0.0).await?;

    own.execute(&["UPDATE entries SET content = content || ' ' WHERE sequence = 1"])
        .await?;
    let (code, found) = own.verify(&[]).await?;
    ensure!(code == 1 && found["kept"] == true, "{code} {found}");
    let count = found["findings"].as_array().context("no findings")?.len();
    let count = u32::try_from(count).map(f64::from)?;
    everybody_tells(&own, count).await?;
    own.kill().await?;
    own.start(2).await?;
    everybody_tells(&own, count).await?;

    own.execute(&["UPDATE entries SET content = left(content, -1) WHERE sequence = 1"])
        .await?;
    let (code, found) = own.verify(&[]).await?;
    ensure!(code == 0, "{found}");
    everybody_tells(&own, 0.0).await?;
    own.end().await
}

/// Put back to an earlier state: what the key signed alarms everybody, what a caller says only the caller.
#[tokio::test]
async fn a_signed_checkpoint_that_is_missed_is_told_and_a_bare_one_is_not() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let mut own = OwnLedger::empty(1).await?;
    own.switch("off").await?;
    own.execute(&[
        "CREATE SCHEMA kept",
        "CREATE TABLE kept.entries AS TABLE public.entries",
        "CREATE TABLE kept.head AS TABLE public.head",
        "CREATE TABLE kept.settings AS TABLE public.settings",
    ])
    .await?;
    own.switch("on").await?;
    let folder = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
    fs::create_dir(&folder)?;
    let folder_name = folder.to_str().context("no name")?.to_owned();
    // a cluster's volume has such beside the files
    fs::create_dir(folder.join("..data"))?;
    let (code, found) = own.verify(&["--checkpoint", &folder_name]).await?;
    ensure!(code == 0, "none in it is no fault: {found}");
    let export = async |own: &OwnLedger, name: &str| -> anyhow::Result<Value> {
        let replica = own.replicas.first().context("no replica")?;
        let asked = ["--audit", &replica.grpc, "ledger", "checkpoint"];
        let run = Ctl::of_the_lab()?.run(&asked).await?.expect(0)?;
        fs::write(folder.join(name), &run.out)?;
        run.json()
    };
    let signed = export(&own, "1.json").await?;
    let bare = format!(
        "{}:{}",
        signed["sequence"],
        signed["hash"].as_str().context("no hash")?
    );
    let statements = ["entries", "head", "settings"].map(|table| {
        [
            format!("TRUNCATE public.{table}"),
            format!("INSERT INTO public.{table} SELECT * FROM kept.{table}"),
        ]
    });
    let statements: Vec<&str> = { statements.as_flattened().iter() }
        .map(String::as_str)
        .collect();
    own.execute(&statements).await?;
    own.kill().await?;
    own.start(2).await?;
    everybody_tells(&own, 0.0).await?;
    let kept = async |own: &OwnLedger| -> anyhow::Result<i64> {
        let query = "SELECT at FROM verification";
        Ok(sqlx::query_scalar(query).fetch_one(&own.database).await?)
    };
    let before = kept(&own).await?;
    let (code, found) = own.verify(&["--checkpoint", &bare]).await?;
    ensure!(code == 1 && found["kept"] == false, "{code} {found}");
    ensure!(kept(&own).await? == before, "no clean verification either");

    let (code, found) = own.verify(&["--checkpoint", &folder_name]).await?;
    ensure!(code == 1 && found["kept"] == true, "{code} {found}");
    everybody_tells(&own, 1.0).await?;
    // who knows of no checkpoint cannot say that nothing is missed
    let (code, found) = own.verify(&[]).await?;
    ensure!(code == 0, "{code} {found}");
    ensure!(kept(&own).await? > before);
    everybody_tells(&own, 1.0).await?;
    // looked into: from here on
    fs::remove_file(folder.join("1.json"))?;
    export(&own, "2.json").await?;
    let (code, found) = own.verify(&["--checkpoint", &folder_name]).await?;
    ensure!(code == 0, "{code} {found}");
    everybody_tells(&own, 0.0).await?;
    fs::remove_dir_all(&folder)?;
    own.end().await
}
