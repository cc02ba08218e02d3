//! A door that ends TLS itself: another replica beside the lab's own, with a certificate.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{Event, World, fresh_password, until};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Client};

use crate::people;

/// Ours alone: ended when the test ends, however it ends, and in order, so that nobody misses it.
struct Replica {
    process: Child,
    folder: PathBuf,
}

impl Drop for Replica {
    fn drop(&mut self) {
        if e2e::parts::signal("-TERM", &[self.process.id()]).is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

#[tokio::test]
async fn a_door_with_a_certificate_speaks_tls_only() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let place = lab::Place::of_this_repository()?;
    let folder = place
        .directory()
        .join(format!("door-with-tls-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    fs::write(folder.join("door.pem"), cert.pem())?;
    fs::write(folder.join("door.key"), signing_key.serialize_pem())?;
    let port = free_port()?;
    let intake = place.repository().join("target/debug/writeback-intake");
    let shown = lab::certificates::of_service(&place, "intake");
    let command = |certificate: &str, key: &str| {
        let mut command = Command::new(&intake);
        command
            .arg("--config")
            .arg(place.directory().join("config.toml"))
            .env("WRITEBACK_SERVICE__NAME", "intake-with-tls")
            .env("WRITEBACK_LEDGER__CERTIFICATE_FILE", &shown.0)
            .env("WRITEBACK_LEDGER__KEY_FILE", &shown.1)
            .env("WRITEBACK_SERVICE__ADMIN_LISTEN", "127.0.0.1:0")
            .env("WRITEBACK_INTAKE__LISTEN", format!("127.0.0.1:{port}"))
            .env(
                "WRITEBACK_INTAKE__CERTIFICATE_FILE",
                folder.join(certificate),
            )
            .env("WRITEBACK_INTAKE__KEY_FILE", folder.join(key));
        command
    };
    // a certificate where the key should be: no start, rather than a door without TLS
    let output = command("door.pem", "door.pem").output()?;
    ensure!(!output.status.success(), "started without a key");
    ensure!(
        String::from_utf8_lossy(&output.stderr).contains("intake.key_file")
            || String::from_utf8_lossy(&output.stdout).contains("intake.key_file"),
        "does not say why"
    );

    let _replica = Replica {
        process: command("door.pem", "door.key")
            .stdout(Stdio::null())
            .spawn()?,
        folder: folder.clone(),
    };
    let client = trusting(&cert.pem())?;
    let url = format!("https://localhost:{port}");
    opened(&client, &url).await?;

    let forest = world.forests.last().context("the lab has no forest")?;
    let person = forest.person(people::FOREIGN)?;
    let (old, new) = (
        forest.start_with_fresh_password(person).await?,
        fresh_password(),
    );
    let event = Event::reset(person, &new);
    let plain = World::enter().await?;
    let untrusting = Client::builder().timeout(Duration::from_mins(1)).build()?;
    let plainly = plain
        .door
        .at(&format!("http://localhost:{port}"), untrusting.clone());
    ensure!(
        plainly.send(&event).await.is_err(),
        "a plain request was answered"
    );
    let distrusted = World::enter().await?.door.at(&url, untrusting);
    ensure!(
        distrusted.send(&event).await.is_err(),
        "any certificate will do"
    );
    let secure = world.door.at(&url, client);
    secure.send(&event).await?.expect_applied()?;
    forest.prove(person, &old, &new).await?;

    // renewed, and nothing is started again
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    fs::write(folder.join("door.pem"), cert.pem())?;
    fs::write(folder.join("door.key"), signing_key.serialize_pem())?;
    opened(&trusting(&cert.pem())?, &url).await
}

fn trusting(certificate: &str) -> anyhow::Result<Client> {
    Ok(Client::builder()
        .timeout(Duration::from_mins(1))
        .tls_certs_only([Certificate::from_pem(certificate.as_bytes())?])
        .build()?)
}

/// Until this client is let in.
async fn opened(client: &Client, url: &str) -> anyhow::Result<()> {
    until("the door opens", Duration::from_secs(20), || async {
        let keys = client
            .get(format!("{url}/.well-known/jwks.json"))
            .send()
            .await;
        Ok(keys
            .is_ok_and(|keys| keys.status().is_success())
            .then_some(()))
    })
    .await
}
