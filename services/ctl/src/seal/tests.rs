use clap::Parser;
use sealing::{Algorithm, KeyPair, PrivateKeys, SealedPassword};
use secrecy::{ExposeSecret as _, SecretString};
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-01-31 12:00 UTC);

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    seal: Seal,
}

fn parse(arguments: &str) -> Result<Seal, clap::Error> {
    Line::try_parse_from(std::iter::once("seal").chain(arguments.split(' '))).map(|line| line.seal)
}

fn pair(forest: &str) -> KeyPair {
    KeyPair::generate(Algorithm::EcdhEsA256Kw, forest.parse().unwrap()).unwrap()
}

fn contents() -> Contents {
    Contents {
        new_password: SecretString::from("Gr4nite-Falcon-42"),
        current_password: None,
    }
}

#[test]
fn the_event_opens_for_its_forest_and_is_bound_to_its_own_source_id_and_person() {
    let (corp, emea) = (pair("corp"), pair("emea"));
    let mut keys = PublicKeys::default();
    keys.add(corp.public());
    keys.add(emea.public());
    let seal = parse("--kind reset --user-principal-name ana@corp.example.com --keys x").unwrap();
    let event = seal
        .event(Kind::Reset, Some((&keys, &contents())), NOW)
        .unwrap();

    assert_eq!(event["type"], "dev.writeback.password.reset");
    assert!(!event.to_string().contains("Gr4nite"));
    assert!(event.get("expirytime").is_none());
    let data = &event["data"];
    assert_eq!(data["user"]["userPrincipalName"], "ana@corp.example.com");
    assert_eq!(data["unlock"], true);
    assert!(
        data["sealedPassword"].is_object(),
        "two forests: General JSON"
    );

    let binding = Binding {
        issuer: "urn:writeback:ctl".to_owned(),
        event_id: event["id"].as_str().unwrap().to_owned(),
        subject: "ana@corp.example.com".to_owned(),
        kind: Kind::Reset,
    };
    let sealed = SealedPassword::parse(&data["sealedPassword"]).unwrap();
    for pair in [corp, emea] {
        let opened = PrivateKeys::from_iter([pair])
            .open(&sealed, &binding, NOW, Duration::ZERO)
            .unwrap();
        assert_eq!(opened.new_password.expose_secret(), "Gr4nite-Falcon-42");
    }
}

#[test]
fn one_forest_makes_a_compact_seal_and_an_unknown_one_is_refused() {
    let mut keys = PublicKeys::default();
    keys.add(pair("corp").public());
    keys.add(pair("emea").public());
    let person = "--kind reset --user-principal-name a@b.example --keys x";
    let seal = parse(&format!("{person} --forest corp --deadline 60 --no-unlock")).unwrap();
    let event = seal
        .event(Kind::Reset, Some((&keys, &contents())), NOW)
        .unwrap();
    assert!(event["data"]["sealedPassword"].is_string());
    assert_eq!(event["data"]["unlock"], false);
    assert_eq!(event["expirytime"], "2026-01-31T12:01:00Z");

    let seal = parse(&format!("{person} --forest apac")).unwrap();
    let refused = seal.event(Kind::Reset, Some((&keys, &contents())), NOW);
    assert!(refused.unwrap_err().to_string().contains("apac"));
}

#[test]
fn an_unlock_needs_no_keys_and_a_reset_does() {
    let unlock = parse("--kind unlock --user-principal-name a@b.example").unwrap();
    let event = unlock.event(Kind::Unlock, None, NOW).unwrap();
    assert_eq!(event["type"], "dev.writeback.account.unlock");
    assert!(event["data"].get("sealedPassword").is_none());
    assert!(parse("--kind reset --user-principal-name a@b.example").is_err());
}

#[test]
fn what_makes_no_sense_is_refused_before_a_password_is_asked_for() {
    for nobody in ["--kind unlock", "--kind unlock --domain b.example"] {
        assert!(parse(nobody).is_err(), "{nobody}");
    }
    assert!(parse("--kind unlock --user-principal-name nonsense").is_err());
    let person = "--user-principal-name a@b.example --keys x";
    for (line, kind) in [
        (format!("--kind reset {person} --must-change"), Kind::Reset),
        (
            format!("--kind change {person} --initiator administrator --must-change"),
            Kind::Change,
        ),
        (format!("--kind unlock {person} --no-unlock"), Kind::Unlock),
    ] {
        assert!(parse(&line).unwrap().check(kind).is_err(), "{line}");
    }
    let line = format!("--kind reset {person} --initiator administrator --must-change");
    assert!(parse(&line).unwrap().check(Kind::Reset).is_ok());
}
