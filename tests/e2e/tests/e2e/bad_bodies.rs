//! Bodies that are no JSON, or too much of it.

use anyhow::Context;
use e2e::{Event, Services, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::people;

const LARGEST_BODY: usize = 256 * 1024;

#[tokio::test]
async fn what_is_not_json_is_told_so() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let stopped_by_others = world.forests.last().map_or("", |forest| forest.id());
    let services = Services::now(&[stopped_by_others])?;
    let person = world.forest()?.person(people::UNTOUCHED)?;
    let event = world.door.prepare(&Event::unlock(person))?.to_string();
    let with = |member: &str| event.replacen('{', &format!("{{{member},"), 1).into_bytes();
    let mut bytes = event.clone().into_bytes();
    bytes.insert(2, 0xff);
    for (what, body) in [
        ("nothing", Vec::new()),
        ("spaces", b"  \n ".to_vec()),
        (
            "half an object",
            event.as_bytes()[..event.len() / 2].to_vec(),
        ),
        ("two objects", [event.as_bytes(), event.as_bytes()].concat()),
        ("no object", b"\"text\"".to_vec()),
        ("a number", b"7".to_vec()),
        ("null", b"null".to_vec()),
        ("not UTF-8", bytes),
        (
            "a byte order mark",
            [b"\xef\xbb\xbf", event.as_bytes()].concat(),
        ),
        ("half a character", with(r#""x": "\ud800""#)),
        ("a control character", with("\"x\": \"\n\"")),
        ("NaN", with(r#""x": NaN"#)),
        ("too large a number", with(r#""x": 1e999"#)),
        ("a comment", with("/* x */ \"x\": 1")),
        ("single quotes", event.replace('"', "'").into_bytes()),
        (
            "deep arrays",
            with(&format!(
                "\"x\": {}{}",
                "[".repeat(100_000),
                "]".repeat(100_000)
            )),
        ),
        (
            "deep objects",
            with(&format!(
                "\"x\": {}1{}",
                "{\"x\":".repeat(30_000),
                "}".repeat(30_000)
            )),
        ),
        (
            "an open string",
            with(&format!("\"x\": \"{}", "y".repeat(100_000))),
        ),
        ("XML", b"<event/>".to_vec()),
    ] {
        world
            .door
            .send_raw(body)
            .await?
            .expect_malformed("body")
            .map_err(|error| error.context(what))?;
    }
    // large, but a number
    let long = with(&format!("\"x\": {}", "9".repeat(10_000)));
    assert_ne!(world.door.send_raw(long).await?.status, 500);
    services.expect_unharmed().await
}

/// An event whose body is still to come.
async fn begin(world: &World, framing: &str) -> anyhow::Result<TcpStream> {
    let url = world.door.urls().first().context("no intake")?;
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/cloudevents+json\r\n{framing}\r\nConnection: close\r\n\r\n",
        world.door.token()
    );
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

async fn status(mut stream: TcpStream) -> anyhow::Result<String> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// Sends the body in chunks, its length untold, and reads the status.
async fn send_chunked(world: &World, bytes: usize) -> anyhow::Result<String> {
    let mut stream = begin(world, "Transfer-Encoding: chunked").await?;
    let chunk = [b' '; 4096];
    for _ in 0..bytes / chunk.len() {
        stream.write_all(b"1000\r\n").await?;
        stream.write_all(&chunk).await?;
        stream.write_all(b"\r\n").await?;
    }
    stream.write_all(b"0\r\n\r\n").await?;
    status(stream).await
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_for_ever() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let mut slow = begin(&world, "Content-Length: 100").await?;
    slow.write_all(b"{").await?;
    assert_eq!(status(slow).await?, "HTTP/1.1 408 Request Timeout");
    Ok(())
}

#[tokio::test]
async fn a_body_is_at_most_256_kib() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let nobody = world.forest()?.named(people::UNKNOWN);
    let padded = |length: usize| -> anyhow::Result<Vec<u8>> {
        let mut body = world
            .door
            .prepare(&Event::unlock(&nobody))?
            .to_string()
            .into_bytes();
        body.resize(length, b' ');
        Ok(body)
    };
    let answer = world.door.send_raw(padded(LARGEST_BODY)?).await?;
    assert_eq!(answer.status, 404, "{}", answer.body);
    for length in [LARGEST_BODY + 1, 1 << 20, 6 << 20] {
        let answer = world.door.send_raw(padded(length)?).await?;
        assert_eq!(answer.status, 413, "{length}: {}", answer.body);
        answer.expect_problem()?;
    }
    assert_eq!(
        send_chunked(&world, LARGEST_BODY + 4096).await?,
        "HTTP/1.1 413 Payload Too Large"
    );
    assert_eq!(send_chunked(&world, 0).await?, "HTTP/1.1 400 Bad Request");
    Ok(())
}
