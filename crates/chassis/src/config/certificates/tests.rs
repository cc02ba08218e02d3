use std::{fs, path::Path};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use time::{Duration, OffsetDateTime};

use super::*;

/// A certificate and its key, in PEM.
fn made() -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

fn ending_in(days: i64) -> String {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(days);
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem()
}

fn files(folder: &Path) -> CertificateFiles {
    let settings = Audit {
        certificate_file: Some(folder.join("tls.crt")),
        key_file: Some(folder.join("tls.key")),
        client_ca_file: Some(folder.join("ca.crt")),
        ..Audit::default()
    };
    settings.certificate_files().unwrap().unwrap()
}

/// What is said of these contents.
fn judged(certificate: &str, key: &str, authority: &str) -> Result<Held, String> {
    let folder = std::env::temp_dir().join(format!("writeback-held-{}", uuid::Uuid::now_v7()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("tls.crt"), certificate).unwrap();
    fs::write(folder.join("tls.key"), key).unwrap();
    fs::write(folder.join("ca.crt"), authority).unwrap();
    let files = files(&folder);
    let judged = files.read().and_then(|texts| files.judge(texts));
    fs::remove_dir_all(&folder).unwrap();
    judged.map_err(|error| error.to_string())
}

#[test]
fn what_fits_is_held() {
    let (certificate, key) = made();
    let held = judged(&certificate, &key, &certificate).unwrap();
    assert!(held.identity.is_some() && held.authority.is_some());
    assert_eq!(held.shown, held.believed);
}

#[test]
fn what_does_not_fit_is_refused_with_its_file_and_the_remedy() {
    let (certificate, key) = made();
    let (_, other_key) = made();
    let cut = &certificate[..certificate.len() / 2];
    for (certificate, key, authority, says) in [
        (
            certificate.as_str(),
            other_key.as_str(),
            certificate.as_str(),
            ["audit.key_file", "replace both together"],
        ),
        (
            &certificate,
            &certificate,
            &certificate,
            ["audit.key_file", "no private key"],
        ),
        (&certificate, "", &certificate, ["tls.key", "empty"]),
        (
            "",
            &key,
            &certificate,
            ["audit.certificate_file", "whole chain"],
        ),
        (
            cut,
            &key,
            &certificate,
            ["audit.certificate_file", "tls.crt"],
        ),
        (
            &certificate,
            &key,
            "",
            ["audit.client_ca_file", "no certificate of an authority"],
        ),
        (&certificate, &key, cut, ["audit.client_ca_file", "ca.crt"]),
    ] {
        let Err(told) = judged(certificate, key, authority) else {
            panic!("{says:?} was taken");
        };
        assert!(says.iter().all(|part| told.contains(part)), "{told}");
        assert!(!told.contains("PRIVATE KEY"), "{told}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = std::env::temp_dir().join(format!("writeback-held-{}", uuid::Uuid::now_v7()));
    let told = files(&folder).read().unwrap_err().to_string();
    assert!(told.contains("tls.crt"), "{told}");
}

#[test]
fn of_several_authorities_the_first_to_end_counts() {
    let (certificate, key) = made();
    let both = ending_in(900) + &ending_in(40);
    let held = judged(&certificate, &key, &both).unwrap();
    let left = held.believed.unwrap().ends - OffsetDateTime::now_utc();
    assert_eq!(left.whole_days(), 39);
}

#[test]
fn half_of_a_pair_is_refused_and_the_other_half_named() {
    let missing = |told: Result<(), ConfigError>| told.unwrap_err().to_string();
    let intake = |certificate: bool, key: bool| {
        let settings = Intake {
            certificate_file: certificate.then(|| "tls.crt".into()),
            key_file: key.then(|| "tls.key".into()),
            ..Intake::default()
        };
        settings.certificate_files().map(drop)
    };
    assert!(missing(intake(true, false)).contains("intake.key_file"));
    assert!(missing(intake(false, true)).contains("intake.certificate_file"));
    let ledger = |certificate: bool, key: bool| {
        let settings = Ledger {
            urls: Vec::new(),
            ca_file: None,
            certificate_file: certificate.then(|| "tls.crt".into()),
            key_file: key.then(|| "tls.key".into()),
        };
        settings.certificate_files().map(drop)
    };
    assert!(missing(ledger(true, false)).contains("ledger.key_file"));
    assert!(missing(ledger(false, true)).contains("ledger.certificate_file"));
    let alone = Audit {
        client_ca_file: Some("ca.crt".into()),
        ..Audit::default()
    };
    let told = missing(alone.certificate_files().map(drop));
    assert!(told.contains("audit.certificate_file"));
    assert_eq!(Audit::default().certificate_files().unwrap(), None);
}
