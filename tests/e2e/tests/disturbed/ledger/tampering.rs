//! Whoever owns the database can change it, but not unnoticed: each way is found, and its place named.

use anyhow::{Context as _, ensure};
use e2e::{Ctl, Event, World, fresh_password};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::replicas::OwnLedger;
use crate::ALONE;

/// The hash of an entry, as this test computes it: from the format alone.
const HASH: &str = r"CREATE FUNCTION public.hash_of(e entries) RETURNS bytea LANGUAGE sql AS $$
  SELECT sha256('writeback.ledger.entry.v1'::bytea || '\x00'::bytea || int8send(e.sequence) || int8send(e.at)
    || int8send(octet_length(e.kind)) || convert_to(e.kind, 'UTF8')
    || int8send(octet_length(coalesce(e.operation_id::text, ''))) || convert_to(coalesce(e.operation_id::text, ''), 'UTF8')
    || int8send(octet_length(e.content)) || convert_to(e.content, 'UTF8')
    || int8send(octet_length(e.previous)) || e.previous) $$";

/// Makes every hash from this entry on fit its content again.
const REWRITE: &str = "DO $$ DECLARE e entries; before bytea; BEGIN
  FOR e IN SELECT * FROM entries WHERE sequence >= {from} ORDER BY sequence LOOP
    IF before IS NOT NULL THEN e.previous := before; END IF;
    before := public.hash_of(e);
    UPDATE entries SET previous = e.previous, hash = before WHERE sequence = e.sequence;
  END LOOP; END $$";

const MOVE_HEAD: &str = "UPDATE head SET (sequence, at, hash) = \
    (SELECT sequence, at, hash FROM entries ORDER BY sequence DESC LIMIT 1)";

const FORGE: &str = "INSERT INTO entries SELECT sequence + 1, at + 1, kind, operation_id, \
    content, hash, '' FROM entries ORDER BY sequence DESC LIMIT 1";
const SEAL_FORGERY: &str = "UPDATE entries e SET hash = public.hash_of(e) WHERE hash = ''";

/// Statements, and what must be found of them.
struct Tampering {
    statements: Vec<String>,
    found: Vec<String>,
}

fn tampering(statements: &[&str], found: &[&str]) -> Tampering {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Tampering {
        statements: owned(statements),
        found: owned(found),
    }
}

/// With one entry, in the middle.
fn with_an_entry(middle: i64) -> Vec<Tampering> {
    let next = middle + 1;
    let mut ways: Vec<Tampering> = [
        "content = content || ' '",
        "content = '{}'",
        "at = at + 1",
        "kind = 'settings'",
        "operation_id = gen_random_uuid()",
        "operation_id = NULL",
        "hash = sha256(hash)",
        "hash = ''",
        "previous = sha256(previous)",
    ]
    .iter()
    .map(|change| {
        let statement = format!("UPDATE entries SET {change} WHERE sequence = {middle}");
        tampering(&[&statement], &[&format!("entry {middle} ")])
    })
    .collect();
    let removed = format!("DELETE FROM entries WHERE sequence = {middle}");
    let before = middle - 1;
    let gap = format!("entry {next} follows entry {before}: entries are missing");
    ways.push(tampering(&[&removed], &[&gap]));
    let first = "DELETE FROM entries WHERE sequence = 1";
    ways.push(tampering(&[first], &["entry 2 follows entry 0"]));
    // removed, and the gap closed
    let far = format!("UPDATE entries SET sequence = sequence + 1000000 WHERE sequence > {middle}");
    let near = "UPDATE entries SET sequence = sequence - 1000001 WHERE sequence > 1000000";
    let previous = format!("entry {middle} does not name the hash of the one before it");
    let hash = format!("entry {middle} does not match its hash");
    ways.push(tampering(&[&removed, &far, near], &[&previous, &hash]));
    let swap = [
        format!("UPDATE entries SET sequence = -1 WHERE sequence = {middle}"),
        format!("UPDATE entries SET sequence = {middle} WHERE sequence = {next}"),
        format!("UPDATE entries SET sequence = {next} WHERE sequence = -1"),
    ];
    let found = [format!("entry {middle} "), format!("entry {next} ")];
    ways.push(tampering(
        &swap.each_ref().map(String::as_str),
        &found.each_ref().map(String::as_str),
    ));
    // a patient forger: every hash fits again, and the head names the last
    let changed = format!("UPDATE entries SET content = content || ' ' WHERE sequence = {middle}");
    let rewrite = REWRITE.replace("{from}", &middle.to_string());
    let unsigned = "the head's signature is not valid";
    ways.push(tampering(&[&changed, &rewrite, MOVE_HEAD], &[unsigned]));
    ways
}

/// With the end of the chain.
fn with_the_end(last: i64) -> Vec<Tampering> {
    let unsigned = "the head's signature is not valid";
    let (longer, shorter) = (last + 1, last - 3);
    let ends = |end: i64| format!("the head names entry {last}, the chain ends with entry {end}");
    let cut = format!("DELETE FROM entries WHERE sequence > {shorter}");
    let missing = "the head is missing";
    let moved = format!("the head does not name the hash and time of entry {last}");
    let sign = "UPDATE head SET signature = sha256(signature)";
    let key = "UPDATE head SET public_key = sha256(public_key)";
    vec![
        tampering(&[FORGE, SEAL_FORGERY], &[&ends(longer)]),
        tampering(&[FORGE, SEAL_FORGERY, MOVE_HEAD], &[unsigned]),
        tampering(&[&cut], &[&ends(shorter)]),
        tampering(&[&cut, MOVE_HEAD], &[unsigned]),
        tampering(&[&cut, "DELETE FROM head"], &[missing]),
        tampering(&["DELETE FROM head"], &[missing]),
        tampering(&["UPDATE head SET at = at + 1"], &[&moved]),
        tampering(&[sign], &[unsigned]),
        tampering(&[key], &["signed with another key"]),
        tampering(&["TRUNCATE entries, operations"], &[&ends(0)]),
    ]
}

/// With the settings, whose last change is this entry.
fn with_the_settings(entry: i64) -> Vec<Tampering> {
    let another = "the settings are not what the entries say";
    let rewritten = format!(
        "UPDATE entries SET content = replace(content, ':false', ':true') WHERE sequence = {entry}"
    );
    let found = format!("entry {entry} does not match its hash");
    vec![
        tampering(&[&rewritten], &[&found]),
        tampering(
            &["UPDATE settings SET writeback = NOT writeback"],
            &[another],
        ),
        tampering(&["UPDATE settings SET changed_by = 'another'"], &[another]),
        tampering(&["DELETE FROM settings"], &[another]),
    ]
}

/// With what is shown of operations, which follows from the entries.
fn with_an_operation(id: &str) -> Vec<Tampering> {
    let mut ways: Vec<Tampering> = [
        (
            "SET status = 'refused'",
            "the row says refused, the entries say applied",
        ),
        ("SET steps = '[]'", "the row is not what the entries say"),
        ("SET admitted_at = 1", "the row is not what the entries say"),
    ]
    .iter()
    .map(|(change, found)| {
        let statement = format!("UPDATE operations {change} WHERE id = '{id}'");
        tampering(&[&statement], &[&format!("operation {id}: {found}")])
    })
    .collect();
    let removed = format!("DELETE FROM operations WHERE id = '{id}'");
    let found = format!("operation {id} has entries and no row");
    ways.push(tampering(&[&removed], &[&found]));
    let invented = "00000000-0000-7000-8000-000000000001";
    let changed =
        format!("UPDATE invented SET id = '{invented}', event_id = 'invented', admitted_at = 1");
    let statements = [
        "CREATE TEMP TABLE invented ON COMMIT DROP AS SELECT * FROM operations LIMIT 1",
        &changed,
        "INSERT INTO operations SELECT * FROM invented",
    ];
    let found = format!("operation {invented}: its entries do not tell a story");
    ways.push(tampering(&statements, &[&found]));
    ways
}

/// Something of everything in the ledger: operations that ended in each way, and a change of settings.
async fn fill() -> anyhow::Result<String> {
    let world = World::enter().await?;
    let ctl = Ctl::of_the_lab()?;
    let forest = world.forest()?;
    let person = forest.person(47)?;
    forest.start_with_fresh_password(person).await?;
    let answer = world
        .door
        .send(&Event::reset(person, &fresh_password()))
        .await?;
    answer.expect_applied()?;
    for value in ["off", "on"] {
        let (code, _) = ctl.json(&["settings", "set", "writeback", value]).await?;
        ensure!(code == 0);
    }
    for _ in 0..3 {
        world
            .door
            .send(&Event::unlock(&forest.named("nobody.tampers")))
            .await?;
    }
    Ok(answer.operation_id()?.to_owned())
}

fn findings(verified: &Value) -> String {
    let findings = verified["findings"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let lines: Vec<&str> = findings.iter().filter_map(Value::as_str).collect();
    lines.join("\n")
}

const TABLES: [&str; 4] = ["entries", "head", "operations", "settings"];

/// Keeps every table as it is, beside it.
async fn keep(own: &OwnLedger) -> anyhow::Result<()> {
    own.execute(&["CREATE SCHEMA kept"]).await?;
    for table in TABLES {
        own.execute(&[&format!(
            "CREATE TABLE kept.{table} AS TABLE public.{table}"
        )])
        .await?;
    }
    own.execute(&[HASH]).await
}

async fn restore(own: &OwnLedger) -> anyhow::Result<()> {
    let statements = TABLES.map(|table| {
        [
            format!("TRUNCATE public.{table}"),
            format!("INSERT INTO public.{table} SELECT * FROM kept.{table}"),
        ]
    });
    let statements: Vec<&str> = statements
        .as_flattened()
        .iter()
        .map(String::as_str)
        .collect();
    own.execute(&statements).await
}

#[tokio::test]
async fn every_tampering_is_found_and_its_place_named() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let operation = fill().await?;
    let mut own = OwnLedger::copy().await?;
    keep(&own).await?;
    let number = async |query: &'static str| -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_one(&own.database)
            .await?)
    };
    let last = number("SELECT max(sequence) FROM entries").await?;
    let settings = number(
        "SELECT max(sequence) FROM entries WHERE kind = 'settings' AND content LIKE '%\"writeback\":false%'",
    )
    .await?;
    let middle: i64 =
        sqlx::query_scalar("SELECT max(sequence) FROM entries WHERE operation_id = $1::uuid")
            .bind(&operation)
            .fetch_one(&own.database)
            .await?;
    ensure!(
        middle > 1 && middle + 4 < last,
        "{middle} of {last} is not the middle"
    );
    let mismatched: i64 =
        number("SELECT count(*) FROM entries e WHERE hash <> public.hash_of(e)").await?;
    assert_eq!(mismatched, 0, "this test hashes otherwise than the ledger");

    let ways = with_an_entry(middle)
        .into_iter()
        .chain(with_the_end(last))
        .chain(with_the_settings(settings))
        .chain(with_an_operation(&operation));
    for way in ways {
        let statements: Vec<&str> = way.statements.iter().map(String::as_str).collect();
        own.execute(&statements).await?;
        let (code, verified) = own.verify(&[]).await?;
        ensure!(
            code == 1 && verified["intact"] == false,
            "{statements:?}: {code} {verified}"
        );
        let findings = findings(&verified);
        for part in &way.found {
            ensure!(
                findings.contains(part),
                "{statements:?}: no {part:?} in\n{findings}"
            );
        }
        restore(&own).await?;
    }
    // by a replica that saw none of it: what another saw, and is gone, is a finding of its own
    for mut replica in std::mem::take(&mut own.replicas) {
        replica.kill().await?;
    }
    own.start(1).await?;
    let (code, verified) = own.verify(&[]).await?;
    ensure!(code == 0, "not undone: {verified}");
    own.end().await
}

/// A backup put back is whole and rightly signed: only who remembers more can tell.
#[tokio::test]
async fn an_earlier_ledger_put_back_whole_is_found_by_who_remembers() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    fill().await?;
    let mut own = OwnLedger::copy().await?;
    keep(&own).await?;
    own.switch("off").await?;
    let checkpoint = {
        let (_, verified) = own.verify(&[]).await?;
        let (entries, head) = (&verified["entries"], verified["head"].as_str());
        format!("{entries}:{}", head.context("no head")?)
    };
    let (code, _) = own.verify(&["--checkpoint", &checkpoint]).await?;
    assert_eq!(code, 0);

    restore(&own).await?;
    let (code, verified) = own.verify(&[]).await?;
    ensure!(
        code == 1 && findings(&verified).contains("this replica saw entry"),
        "{verified}"
    );
    // a replica that was started since remembers nothing; the operator's checkpoint does
    for replica in &mut own.replicas {
        replica.kill().await?;
    }
    own.replicas.clear();
    own.start(1).await?;
    let (code, verified) = own.verify(&[]).await?;
    assert_eq!(code, 0, "{verified}");
    let (code, verified) = own.verify(&["--checkpoint", &checkpoint]).await?;
    ensure!(
        code == 1 && findings(&verified).contains("the checkpoint saw entry"),
        "{verified}"
    );
    // as long as before, with another story
    own.switch("off").await?;
    let (code, verified) = own.verify(&["--checkpoint", &checkpoint]).await?;
    ensure!(
        code == 1 && findings(&verified).contains("another than the checkpoint saw"),
        "{verified}"
    );
    own.end().await
}

#[tokio::test]
async fn in_the_lab_itself_a_changed_entry_is_found_by_the_lab_s_own_command() -> anyhow::Result<()>
{
    let _alone = ALONE.lock().await;
    fill().await?;
    let ctl = Ctl::of_the_lab()?;
    let database = sqlx::PgPool::connect(&lab::Lab::load()?.postgres).await?;
    let sequence: i64 = sqlx::query_scalar("SELECT max(sequence) / 2 FROM entries")
        .fetch_one(&database)
        .await?;
    let set = |change: &str| {
        let statement =
            format!("UPDATE entries SET content = {change} WHERE sequence = {sequence}");
        sqlx::query(AssertSqlSafe(statement)).execute(&database)
    };
    set("content || ' '").await?;
    let run = ctl.run(&["ledger", "verify"]).await;
    set("left(content, -1)").await?;
    let run = run?.expect(1)?;
    for part in [
        "NOT INTACT",
        &format!("entry {sequence} does not match its hash"),
    ] {
        ensure!(run.out.contains(part), "no {part} in\n{}", run.out);
    }
    ctl.run(&["ledger", "verify"]).await?.expect(0)?;
    Ok(())
}
