//! How a command ends, and what a failed call means to the operator.

use std::process::ExitCode;

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
