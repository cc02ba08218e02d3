//! `crates/directory` against scripted domain controllers: what it makes of Windows' answers, and
//! what it does when none comes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod accounts;
mod availability;
mod lost;
mod malformed;
mod policy_hints;
mod refusals;
mod service_account;
mod trust;

use std::{sync::Arc, time::Duration};

use directory::{
    Directory, DirectoryConfig, Explained, PasswordWrite, PolicyHints, WriteError, WriteReceipt,
};
use scripted_directory::{
    Authority, DomainController, Person, SERVICE_ACCOUNT, SERVICE_PASSWORD, Script,
};
use tokio::time::Instant;

/// Of each exchange; long enough for a busy machine.
const TIME_OUT: Duration = Duration::from_secs(4);
/// Where a test waits for it to pass.
const SHORT_TIME_OUT: Duration = Duration::from_millis(700);

const NEW: &str = "New-Passw0rd-1";

/// An authority, and what its domain controllers are made of.
struct Forest {
    authority: Authority,
    ana: Person,
}

impl Forest {
    fn new() -> Self {
        Self {
            authority: Authority::new().unwrap(),
            ana: Person::new("ana", 1),
        }
    }

    fn script(&self) -> Script {
        Script::default().person(&self.ana)
    }

    async fn start(&self, script: Script) -> DomainController {
        let certificate = self.authority.certificate(&["127.0.0.1"]).unwrap();
        script.start(certificate).await.unwrap()
    }

    fn directory(&self, controllers: &[&DomainController]) -> Arc<Directory> {
        self.directory_within(controllers, TIME_OUT)
    }

    fn directory_within(
        &self,
        controllers: &[&DomainController],
        time_out: Duration,
    ) -> Arc<Directory> {
        let endpoints = controllers.iter().map(|dc| dc.url()).collect();
        self.directory_at(endpoints, time_out)
    }

    fn directory_at(&self, endpoints: Vec<String>, time_out: Duration) -> Arc<Directory> {
        Directory::new(DirectoryConfig {
            endpoints,
            topology: directory::Topology::default(),
            ca_pem: self.authority.pem(),
            account: SERVICE_ACCOUNT.to_owned(),
            password: SERVICE_PASSWORD.into(),
            connections: 4,
            operation_timeout: time_out,
        })
        .unwrap()
    }

    /// Writes to Ana, with time enough.
    async fn write(
        &self,
        directory: &Directory,
        write: &PasswordWrite,
    ) -> Result<WriteReceipt, WriteError> {
        let deadline = Instant::now() + 5 * TIME_OUT;
        directory.write(self.ana.guid, write, deadline).await
    }

    fn password_at(&self, controller: &DomainController) -> String {
        controller.person(self.ana.guid).unwrap().password
    }
}

fn reset(new: &str) -> PasswordWrite {
    hinted_reset(new, PolicyHints::Never)
}

fn hinted_reset(new: &str, policy_hints: PolicyHints) -> PasswordWrite {
    PasswordWrite::Reset {
        new: new.into(),
        unlock: true,
        must_change: false,
        policy_hints,
    }
}

fn change(current: &str, new: &str) -> PasswordWrite {
    PasswordWrite::Change {
        current: current.into(),
        new: new.into(),
        unlock: false,
    }
}

#[track_caller]
fn refused(outcome: Result<WriteReceipt, WriteError>) -> Explained {
    match outcome {
        Err(WriteError::CertainlyNot(explained)) => explained,
        other => panic!("not certainly refused: {other:?}"),
    }
}

#[track_caller]
fn unknown(outcome: Result<WriteReceipt, WriteError>) -> String {
    match outcome {
        Err(WriteError::Unknown { problem, .. }) => problem,
        other => panic!("not unknown: {other:?}"),
    }
}

/// Waits for a condition that somebody else brings about.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < 3 * TIME_OUT, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
