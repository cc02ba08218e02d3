//! The wizard: by a person at a terminal who makes mistakes and goes back, and from an answers file.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, ensure};
use e2e::{Ctl, Run, Terminal, World};
use lab::{Lab, Place};
use serde_json::json;

use super::{Folder, text};

/// What the lab's own configuration says, for giving it as answers.
struct Known {
    lab: Lab,
    place: Place,
    config: toml::Table,
}

impl Known {
    fn load() -> anyhow::Result<Self> {
        let place = Place::of_this_repository()?;
        let text = fs::read_to_string(place.directory().join("config.toml"))?;
        Ok(Self {
            lab: Lab::load()?,
            config: toml::from_str(&text)?,
            place,
        })
    }

    fn setting(&self, section: &str, key: &str) -> anyhow::Result<&str> {
        self.config
            .get(section)
            .and_then(|section| section.get(key)?.as_str())
            .with_context(|| format!("the lab's configuration has no [{section}] {key}"))
    }

    fn password(&self, forest: &str, account: &str) -> anyhow::Result<String> {
        let path = self.place.path(format!("secrets/{forest}-{account}"));
        Ok(fs::read_to_string(path)?.trim().to_owned())
    }

    fn authority(&self, forest: &str) -> anyhow::Result<String> {
        let forest = self.lab.forests.iter().find(|one| one.id == forest);
        text(&forest.context("no such forest")?.ca)
    }
}

fn mode(path: &Path) -> anyhow::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

/// `writebackctl` with this configuration and no other.
fn words(config: &Path, arguments: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut all = vec!["--config".to_owned(), text(config)?];
    all.extend(arguments.iter().map(|word| (*word).to_owned()));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    Ok(Ctl::bare()?.words(&all))
}

async fn run(config: &Path, arguments: &[&str]) -> anyhow::Result<Run> {
    let config = text(config)?;
    let arguments: Vec<&str> = ["--config", &config]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    Ctl::bare()?.run(&arguments).await
}

/// Welcome and Tasks: what the services need before anything else.
async fn platform(at: &mut Terminal, known: &Known) -> anyhow::Result<()> {
    at.reads("1 of 9").await?;
    at.answers("Its address", known.setting("broker", "url")?)
        .await?;
    at.answers("The services' user there", "intake").await?;
    at.answers(
        "with its password",
        known.setting("broker", "password_file")?,
    )
    .await?;
    at.answers("certificate authority", "").await?;
    at.answers("audit service's address", "audit.example.com")
        .await?;
    at.reads("it is no https or http address").await?;
    at.answers("audit service's address", "https://127.0.0.1:9501")
        .await?;
    at.answers(
        "certificate authority",
        known.setting("ledger", "ca_file").unwrap_or_default(),
    )
    .await?;
    at.answers("your own token", known.setting("ctl", "token_file")?)
        .await?;
    at.answers("Continue", "").await?;
    at.reads("2 of 9").await?;
    at.answers("Continue", "").await?;
    Ok(())
}

/// Connect to the cloud directory: no issuer, then the wrong keys, then right.
async fn cloud(at: &mut Terminal, known: &Known) -> anyhow::Result<()> {
    at.reads("3 of 9").await?;
    at.answers("Issuer", "login.lab.example").await?;
    at.reads("the issuer: it is no https address").await?;
    at.answers("Issuer", "https://login.lab.example").await?;
    at.answers("Audience", "https://writeback.lab.example")
        .await?;
    at.answers(
        "signing keys",
        known.setting("sealing", "public_keys_file")?,
    )
    .await?;
    at.reads("it has no key for signatures").await?;
    at.answers("Issuer", "").await?;
    at.answers("Audience", "").await?;
    let keys = known.place.path("issuer/jwks.json");
    at.answers("signing keys", &text(&keys)?).await?;
    at.reads("ok: 1 signing key").await?;
    Ok(())
}

/// Connect directories: the short name of a domain, a bad name, another forest's authority, a wrong password, then right.
async fn corp(at: &mut Terminal, known: &Known) -> anyhow::Result<()> {
    at.reads("4 of 9").await?;
    at.answers("forest's root", "CORP").await?;
    at.reads("give the full name").await?;
    at.answers("forest's root", "corp.example.com").await?;
    at.answers("short name", "Corp!").await?;
    at.reads("lower-case letters").await?;
    at.answers("short name", "").await?;
    at.answers("domain controllers", "ldap:/127.0.0.11:x")
        .await?;
    at.reads("the domain controllers:").await?;
    at.answers("domain controllers", "127.0.0.11").await?;
    at.answers("certificate authority", &known.authority("emea")?)
        .await?;
    at.answers("The account that writes", "").await?;
    at.answers("Its password", "not-the-password").await?;
    at.reads("the certificate authority: corp").await?;
    for question in ["forest's root", "short name", "domain controllers"] {
        at.answers(question, "").await?;
    }
    at.answers("certificate authority", &known.authority("corp")?)
        .await?;
    at.answers("The account that writes", "").await?;
    at.answers("Its password", "").await?;
    at.reads("wrong password").await?;
    for question in [
        "forest's root",
        "short name",
        "domain controllers",
        "certificate authority",
        "The account that writes",
    ] {
        at.answers(question, "").await?;
    }
    at.answers("Its password", &known.password("corp", "svc-writeback")?)
        .await?;
    at.reads("ok: signed in at ldaps://127.0.0.11:636").await?;
    at.answers("for the resolver", "svc-writeback-read@corp.example.com")
        .await?;
    at.answers(
        "Its password",
        &known.password("corp", "svc-writeback-read")?,
    )
    .await?;
    Ok(())
}

/// The other forest by DNS, then back to the page before and forth again.
async fn emea(at: &mut Terminal, known: &Known) -> anyhow::Result<()> {
    at.answers("go on", "add").await?;
    at.answers("forest's root", "emea.example.net").await?;
    at.answers("short name", "corp").await?;
    at.reads("a forest is called corp already").await?;
    at.answers("short name", "").await?;
    at.answers("domain controllers", "").await?;
    at.answers("DNS servers", "127.0.0.12").await?;
    at.answers("certificate authority", &known.authority("emea")?)
        .await?;
    at.answers("The account that writes", "").await?;
    at.answers("Its password", &known.password("emea", "svc-writeback")?)
        .await?;
    at.reads("ok: signed in at ldaps://dc1.emea.example.net")
        .await?;
    at.answers("for the resolver", "").await?;
    at.answers("go on", "back").await?;
    at.reads("3 of 9").await?;
    for question in ["Issuer", "Audience", "signing keys"] {
        at.answers(question, "").await?;
    }
    at.reads("4 of 9").await?;
    at.answers("go on", "").await?;
    Ok(())
}

/// Domain and OU filtering, and the optional features.
async fn filtering(at: &mut Terminal) -> anyhow::Result<()> {
    at.reads("5 of 9").await?;
    at.reads("Contractors").await?;
    at.answers("Included", "99").await?;
    at.reads("none of the numbers above").await?;
    at.answers("Included", "all").await?;
    at.answers("Excluded again", "2").await?;
    at.answers("Included", "").await?;
    at.answers("Excluded again", "").await?;
    at.reads("6 of 9").await?;
    at.answers("write new passwords", "perhaps").await?;
    at.reads("type yes or no").await?;
    at.answers("write new passwords", "").await?;
    at.answers("unlock their account", "").await?;
    at.reads("7 of 9").await?;
    Ok(())
}

#[tokio::test]
async fn a_person_sets_up_two_forests_with_mistakes_on_the_way() -> anyhow::Result<()> {
    let _rights = crate::RIGHTS.write().await;
    let _world = World::enter().await?;
    let known = Known::load()?;
    let folder = Folder::new()?;
    let config = folder.path("writeback.toml");
    let password = known.password("corp", "svc-writeback")?;
    let reader = known.password("corp", "svc-writeback-read")?;
    let other = known.password("emea", "svc-writeback")?;

    let mut at = Terminal::begin(&words(&config, &["setup"])?, &[])?;
    platform(&mut at, &known).await?;
    cloud(&mut at, &known).await?;
    corp(&mut at, &known).await?;
    emea(&mut at, &known).await?;
    filtering(&mut at).await?;
    ensure!(
        !config.exists(),
        "something was written before it was agreed to"
    );
    at.answers("Configure", "").await?;
    let (code, seen) = at.end().await?;
    ensure!(code == Some(0), "{code:?}: {seen}");
    ensure!(
        seen.contains("9 of 9") && seen.contains("0 missing"),
        "{seen}"
    );
    for secret in [&password, &reader, &other] {
        ensure!(
            !seen.contains(secret.as_str()),
            "the terminal shows a password"
        );
    }

    for file in [
        "corp-service-account",
        "corp-reader-account",
        "emea-service-account",
    ] {
        let path = folder.path("secrets").join(file);
        ensure!(mode(&path)? == 0o600, "{}", path.display());
    }
    let written = fs::read_to_string(&config)?;
    ensure!(
        !written.contains(&password),
        "a password is in the configuration"
    );
    // what was written is what the other commands work with
    run(&config, &["permissions", "check"]).await?.expect(0)?;
    let shown = run(&config, &["--json", "config", "show"])
        .await?
        .expect(0)?
        .json()?;
    ensure!(shown["forests"][1]["id"] == "emea", "{shown:#}");
    let excluded = &shown["forests"][0]["domains"][0]["exclude"];
    ensure!(
        excluded[0] == "OU=Contractors,DC=corp,DC=example,DC=com",
        "{shown:#}"
    );
    Ok(())
}

/// The lab's corp forest as an answers file.
fn answers(known: &Known, domain_controller: &str, authority: &str) -> anyhow::Result<String> {
    Ok(toml::to_string(&json!({
        "broker": {
            "url": known.setting("broker", "url")?,
            "username": "intake",
            "password_file": known.setting("broker", "password_file")?,
        },
        "ledger": {
            "urls": ["https://127.0.0.1:9501"],
            "ca_file": known.setting("ledger", "ca_file")?,
            "token_file": known.setting("ctl", "token_file")?,
        },
        "cloud": {
            "issuer": "https://login.lab.example",
            "audience": "https://writeback.lab.example",
            "key_set": known.place.path("issuer/jwks.json"),
        },
        "forests": [{
            "id": "corp",
            "ca_file": known.authority(authority)?,
            "account": "svc-writeback@corp.example.com",
            "account_password_file": known.place.path("secrets/corp-svc-writeback"),
            "domains": [{
                "name": "corp.example.com",
                "domain_controllers": [domain_controller],
                "exclude": ["OU=Contractors,DC=corp,DC=example,DC=com"],
            }],
        }],
    }))?)
}

#[tokio::test]
async fn an_answers_file_does_the_same_and_says_what_does_not_hold() -> anyhow::Result<()> {
    let _rights = crate::RIGHTS.write().await;
    let _world = World::enter().await?;
    let known = Known::load()?;
    let folder = Folder::new()?;
    let config = folder.path("writeback.toml");
    let file = text(&folder.path("answers.toml"))?;
    let setup = ["setup", "--answers", &file];

    fs::write(&file, "[cloud]\nissuer = \"https://login.lab.example\"\n")?;
    run(&config, &setup)
        .await?
        .expect_complaint(&["answers.toml", "audience"])?;

    let said = |run: &Run| run.out.clone();
    fs::write(&file, answers(&known, "ldaps://127.0.0.99:636", "corp")?)?;
    let refused = run(&config, &setup).await?.expect(1)?;
    ensure!(
        said(&refused).contains("corp.example.com, the domain controllers"),
        "{}",
        refused.out
    );
    fs::write(&file, answers(&known, "ldaps://127.0.0.11:636", "emea")?)?;
    let refused = run(&config, &setup).await?.expect(1)?;
    ensure!(
        said(&refused).contains("the certificate authority"),
        "{}",
        refused.out
    );
    ensure!(
        said(&refused).contains("Nothing was written"),
        "{}",
        refused.out
    );

    fs::write(&file, answers(&known, "ldaps://127.0.0.11:636", "corp")?)?;
    let dry = run(&config, &["setup", "--dry-run", "--answers", &file])
        .await?
        .expect(0)?;
    ensure!(
        said(&dry).contains("+ forests.corp.account = "),
        "{}",
        dry.out
    );
    ensure!(!config.exists(), "a dry run wrote");

    let done = run(&config, &setup).await?.expect(0)?;
    ensure!(said(&done).contains("0 missing"), "{}", done.out);
    // comments and keys that are none of the wizard's outlive the next time
    let before = fs::read_to_string(&config)? + "\n[resolver]   # by hand\nconcurrency = 8\n";
    fs::write(&config, &before)?;
    let again = run(&config, &setup).await?.expect(0)?;
    ensure!(said(&again).contains("stays as it is"), "{}", again.out);
    ensure!(fs::read_to_string(&config)? == before, "it was changed");
    Ok(())
}

#[tokio::test]
async fn without_a_terminal_it_asks_for_answers() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let run = run(&folder.path("writeback.toml"), &["setup"]).await?;
    run.expect_complaint(&["--answers FILE"])
}
