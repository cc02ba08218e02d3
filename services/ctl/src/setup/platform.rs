//! What every service needs before anything else: whether the files that lead to the broker and to audit
//! are there.

use std::path::Path;

use chassis::config::read_secret;

use super::{
    answers::{Broker, Ledger},
    console::Complaint,
    draft::Draft,
};
use crate::{token, web};

pub(crate) fn broker(draft: &Draft, broker: &Broker) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if let Err(error) = read_secret(&draft.place(&broker.password_file)) {
        complaints.push(Complaint::new(
            "the broker's password file",
            error.to_string(),
            "give a file with the password of the broker's user in it",
        ));
    }
    complaints.extend(authority(
        draft,
        "the broker's certificate authority",
        broker.ca_file.as_deref(),
    ));
    complaints
}

pub(crate) fn ledger(draft: &Draft, ledger: &Ledger) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    complaints.extend(authority(
        draft,
        "the audit service's certificate authority",
        ledger.ca_file.as_deref(),
    ));
    if let Some(file) = &ledger.token_file
        && let Err(error) = token::read(&draft.place(file))
    {
        complaints.push(Complaint::new(
            "your token for the audit service",
            format!("{error:#}"),
            "give a file with an access token in it, or none",
        ));
    }
    complaints
}

fn authority(draft: &Draft, field: &str, file: Option<&Path>) -> Option<Complaint> {
    let file = file?;
    let is_certificate = match web::read_file(&draft.place(file)) {
        Ok(pem)
            if pem
                .windows(27)
                .any(|part| part == b"-----BEGIN CERTIFICATE-----") =>
        {
            return None;
        }
        Ok(_) => format!("{}: no certificate in PEM", file.display()),
        Err(error) => format!("{error:#}"),
    };
    Some(Complaint::new(
        field,
        is_certificate,
        "give a file with the certificate in PEM, or none to trust the system's",
    ))
}
