//! The control: a secret that is put in each of the places is found there, in each encoding.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{Broker, World, until};
use lab::Place;
use reqwest::Method;
use serde_json::json;
use sqlx::AssertSqlSafe;
use tokio::process::Command;

use crate::search::Search;
use crate::traces::Collector;
use crate::{encodings, places};

/// The proof and its control listen to the same broker.
pub(crate) static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const OWNER: &str = "the planted one";

/// Not among the passwords used: it is meant to be found.
struct Planted {
    secret: String,
    search: Search,
}

impl Planted {
    fn new() -> anyhow::Result<Self> {
        let secret = format!("Plant \"{}\" ä%+7q", uuid::Uuid::new_v4().simple());
        let search = Search::new(&[(OWNER.to_owned(), secret.clone())])?;
        Ok(Self { secret, search })
    }

    /// In UTF-16 between quotes, as LDAP carries it.
    fn quoted(&self) -> Vec<u8> {
        let quoted = format!("\"{}\"", self.secret);
        quoted.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn expect(&self, encoding: &str, place: &str) -> anyhow::Result<()> {
        ensure!(
            self.search.found(OWNER, encoding, place),
            "not found as {encoding} in {place}; found: {:#?}",
            self.search.findings()
        );
        Ok(())
    }
}

#[tokio::test]
async fn a_planted_secret_is_found_in_files_in_every_encoding() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let mut planted = Planted::new()?;
    let every = encodings::all(&planted.secret);
    ensure!(every.len() > 25, "only {} encodings", every.len());
    let log = Place::of_this_repository()?.log("planted");
    for encoded in &every {
        fs::write(
            &log,
            [b"{\"message\":\"", &encoded.bytes[..], b"\"}\n"].concat(),
        )?;
        places::files(&mut planted.search)?;
        planted.expect(encoded.name, "log/planted.log")?;
    }
    // as a service would: within something else that is encoded as a whole
    for (encoding, text) in [
        (
            "Base64",
            STANDARD.encode(format!("{{\"newPassword\":\"{}\"}}", planted.secret)),
        ),
        ("Base64", STANDARD.encode(planted.quoted())),
        (
            "numbers, as Debug shows them",
            format!("{:?}", planted.quoted()),
        ),
        ("JSON", json!({ "newPassword": planted.secret }).to_string()),
    ] {
        planted.search = Search::new(&[(OWNER.to_owned(), planted.secret.clone())])?;
        fs::write(&log, text)?;
        places::files(&mut planted.search)?;
        planted.expect(encoding, "log/planted.log")?;
    }
    fs::remove_file(&log)?;
    Ok(())
}

#[tokio::test]
async fn a_planted_secret_is_found_in_the_database_and_its_files() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    World::enter().await?;
    let mut planted = Planted::new()?;
    let database = sqlx::PgPool::connect(&lab::Lab::load()?.postgres).await?;
    let table = format!("planted_{}", uuid::Uuid::new_v4().simple());
    // more than once: the log's pages, each with a header, may cut any one of them in two
    let statement = format!(
        "CREATE TABLE {table} AS SELECT $1::text AS text, $2::bytea AS bytes FROM generate_series(1, 9)"
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(&planted.secret)
        .bind(planted.quoted())
        .execute(&database)
        .await?;
    let looked = async {
        places::dump(&mut planted.search).await?;
        places::files(&mut planted.search)
    };
    let looked = looked.await;
    sqlx::query(AssertSqlSafe(format!("DROP TABLE {table}")))
        .execute(&database)
        .await?;
    looked?;
    planted.expect("UTF-8", "the database's dump")?;
    planted.expect("hexadecimal", "the database's dump")?;
    planted.expect("UTF-8", "/postgres/pg_wal/")?;
    planted.expect("UTF-16LE", "/postgres/pg_wal/")
}

#[tokio::test]
async fn a_planted_secret_is_found_in_the_broker_and_its_files() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    World::enter().await?;
    let mut planted = Planted::new()?;
    let overheard = Broker::of_the_lab()?.overhear().await?;
    let broker = Broker::of_the_lab()?;
    let queue = format!("planted.{}", uuid::Uuid::new_v4());
    let path = format!("queues/writeback/{queue}");
    let quorum = json!({ "durable": true, "arguments": { "x-queue-type": "quorum" } });
    broker.ask(Method::PUT, &path, &quorum).await?;
    let message = json!({
        "routing_key": queue, "properties": { "delivery_mode": 2, "headers": { "h": planted.secret } },
        "payload": STANDARD.encode(planted.quoted()), "payload_encoding": "base64",
    });
    broker
        .ask(
            Method::POST,
            "exchanges/writeback/amq.default/publish",
            &message,
        )
        .await?;
    until(
        "the message is overheard",
        Duration::from_secs(10),
        || async {
            let mut search = Search::new(&[(OWNER.to_owned(), planted.secret.clone())])?;
            places::messages(&mut search, &overheard).await?;
            let found = search.found(OWNER, "UTF-16LE", "a message to ")
                && search.found(OWNER, "JSON", "a message to ");
            Ok(found.then_some(()))
        },
    )
    .await?;
    overheard.end().await?;
    places::files(&mut planted.search)?;
    broker.ask(Method::DELETE, &path, &json!({})).await?;
    planted.expect("UTF-16LE", "/rabbitmq/mnesia/")?;
    planted.expect("UTF-8", "/rabbitmq/mnesia/")
}

#[tokio::test]
async fn a_planted_secret_is_found_with_processes_on_pages_and_in_traces() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    World::enter().await?;
    let mut planted = Planted::new()?;
    let mut child = Command::new("cat")
        .args(["-", &planted.secret])
        .env("PLANTED", &planted.secret)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().context("it has ended")?;
    places::processes(&mut planted.search)?;
    child.kill().await?;
    planted.expect("UTF-8", &format!("/proc/{pid}/cmdline"))?;
    planted.expect("UTF-8", &format!("/proc/{pid}/environ"))?;

    let shown = planted.secret.clone();
    let router = axum::Router::new().fallback(move || std::future::ready(shown));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/metrics", listener.local_addr()?);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let client = reqwest::Client::new();
    places::page(&mut planted.search, &client, &url).await?;
    server.abort();
    planted.expect("UTF-8", &url)?;

    // any gRPC call will do: the collector keeps whatever comes
    let collector = Collector::listen().await?;
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", collector.address))?;
    let mut caller = proto::v1::ledger_client::LedgerClient::new(channel.connect().await?);
    let id = planted.secret.clone();
    // how it is answered does not matter
    let _ = caller
        .get_operation(proto::v1::GetOperationRequest { id })
        .await;
    for kept in collector.kept() {
        planted.search.look("a trace", &kept);
    }
    planted.expect("UTF-8", "a trace")
}
