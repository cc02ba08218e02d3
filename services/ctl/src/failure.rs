//! How a command ends, and what a failed call means to the operator.

use std::{error::Error, io, process::ExitCode};

use rustls::CertificateError;

/// The exit codes, as `--help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Done,
    /// Refused, failed, expired, or the ledger has findings.
    No,
    Pending,
    /// Of `status`: it works, and somebody should act.
    Degraded,
    /// Of `status`: it does not work, or nobody can say.
    Down,
    /// Wrong use, or nobody answered.
    NotPossible,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::Done => 0,
            Ending::No | Ending::Degraded => 1,
            Ending::Pending | Ending::Down => 2,
            Ending::NotPossible => 3,
        })
    }
}

/// An error with its causes, each said once: of `time`, `hyper` and `tonic` some repeat the cause that they also have.
pub(crate) fn say(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if said.is_empty() {
            said = text;
        } else if !said.ends_with(&text) {
            said = format!("{said}: {text}");
        }
    }
    said
}

/// Why a server could not be asked; where nobody signed its certificate who is trusted here, with what to do.
pub(crate) fn unasked(error: impl Into<anyhow::Error>, remedy: &str) -> anyhow::Error {
    let error = error.into();
    let said = say(&error);
    if error.chain().any(is_unknown_issuer) {
        anyhow::anyhow!("{said}; nobody trusted here signed its certificate: {remedy}")
    } else {
        anyhow::anyhow!(said)
    }
}

fn is_unknown_issuer(cause: &(dyn Error + 'static)) -> bool {
    // what an input or output error was made of is not among its causes
    if let Some(inner) = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        return is_unknown_issuer(inner);
    }
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    cause.downcast_ref() == Some(&unknown)
}

/// What the audit service's refusal means, in the operator's words.
pub(crate) fn explain(status: &tonic::Status) -> anyhow::Error {
    match status.code() {
        tonic::Code::Unavailable => anyhow::anyhow!(
            "the audit service cannot be reached, or its database cannot: {}",
            status.message()
        ),
        tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => {
            anyhow::anyhow!("the audit service did not answer in time")
        }
        tonic::Code::Unauthenticated => anyhow::anyhow!(
            "the audit service does not let you in: {}; the operator's token comes from --token-file, \
             WRITEBACK_TOKEN_FILE or token_file in [ctl] of the configuration",
            status.message()
        ),
        tonic::Code::PermissionDenied => {
            anyhow::anyhow!("your token does not allow it: {}", status.message())
        }
        // it names the argument and what it may be
        tonic::Code::InvalidArgument => anyhow::anyhow!("{}", status.message()),
        tonic::Code::NotFound => anyhow::anyhow!("the ledger does not know it"),
        code => anyhow::anyhow!("the audit service answered {code:?}: {}", status.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once_and_an_unknown_issuer_with_what_to_do() {
        let issuer = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = || io::Error::new(io::ErrorKind::InvalidData, issuer());
        // as tonic and hyper wrap it: each says its cause, and has it
        let error = anyhow::Error::new(wrapped())
            .context("invalid peer certificate: UnknownIssuer")
            .context("transport error");
        assert_eq!(
            say(&error),
            "transport error: invalid peer certificate: UnknownIssuer"
        );
        let unasked_of = |error: anyhow::Error| unasked(error, "give --ca FILE").to_string();
        assert!(unasked_of(error).ends_with("its certificate: give --ca FILE"));
        assert_eq!(
            unasked_of(anyhow::anyhow!("refused").context("no")),
            "no: refused"
        );
        assert!(unasked_of(issuer().into()).contains("--ca FILE"));
    }
}
