//! The service account that every connection of a directory is bound as.
//!
//! Each bind with a wrong password counts towards the account's lockout, at whichever domain controller
//! (MS-ADTS 6.1.5.4: all tell the PDC emulator). So until the password is known to be right one bind
//! tries it for all, and a refusal is believed by all.
//!
//! While the password is being changed there are two, and nobody knows when the directory goes from one
//! to the other. The one that was right last is tried first; when it is refused as wrong, the other is
//! tried at once, if it was not refused before. The old one costs the account nothing then: Active
//! Directory does not count a wrong password that is one of the account's last two.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::SecretString;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use crate::{
    DirectoryError, Endpoint,
    connection::Connection,
    error::ConnectError,
    passwords::{PasswordInUse, Passwords},
};

const FIRST_REST: Duration = Duration::from_secs(15);
/// Longer than the ten minutes in which Windows counts wrong passwords unless told otherwise.
const LONGEST_REST: Duration = Duration::from_mins(11);

/// The password that was right last, and the other one.
const MOST_TRIES: usize = 2;

#[derive(Debug)]
pub(crate) struct Credentials {
    account: String,
    trying: Semaphore,
    standing: Mutex<Standing>,
}

#[derive(Debug)]
struct Standing {
    passwords: Passwords,
    /// How often a password was wrong since one was last right.
    wrong: u32,
    refused: Option<(Instant, DirectoryError)>,
}

impl Credentials {
    pub(crate) fn new(account: String, password: SecretString) -> Self {
        Self {
            account,
            trying: Semaphore::new(1),
            standing: Mutex::new(Standing {
                passwords: Passwords::new(password),
                wrong: 0,
                refused: None,
            }),
        }
    }

    /// From now on these are tried. What is known of one that was there before stays known; one that
    /// is new is tried at once, also where all those before were refused.
    pub(crate) fn replace(&self, first: SecretString, next: Option<SecretString>) {
        let mut standing = self.standing();
        if standing.passwords.replace(first, next) {
            standing.refused = None;
            tracing::info!(
                account = self.account,
                "the service account's passwords changed"
            );
        }
    }

    pub(crate) fn in_use(&self) -> Option<PasswordInUse> {
        self.standing().passwords.in_use()
    }

    /// Binds; one at a time until the account has been accepted.
    pub(crate) async fn sign_in(
        &self,
        connection: &Connection,
        endpoint: &Endpoint,
        time_out: Duration,
    ) -> Result<(), DirectoryError> {
        let mut turn = None;
        let mut tried = 0;
        loop {
            if turn.is_none() && self.in_use().is_none() {
                // a bind that is not answered for so long is its controller's trouble, not the account's
                turn = timeout(time_out / 2, self.trying.acquire()).await.ok();
                if let Some(refusal) = self.standing_refusal() {
                    return Err(refusal);
                }
            }
            let password = self.standing().passwords.choice();
            let outcome = connection.sign_in(&self.account, &password).await;
            tried += 1;
            let error = match outcome {
                Ok(()) => {
                    self.accepted(&password);
                    return Ok(());
                }
                Err(error) => error,
            };
            let another_may_do = match &error {
                ConnectError::WrongPassword => self.wrong(&password, error.clone().at(endpoint)),
                ConnectError::BindRefused(_) => {
                    self.refused(error.clone().at(endpoint));
                    false
                }
                ConnectError::Unreachable(_) | ConnectError::Untrusted(_) => false,
            };
            if !another_may_do || tried >= MOST_TRIES {
                return Err(error.at(endpoint));
            }
        }
    }

    fn accepted(&self, password: &SecretString) {
        let mut standing = self.standing();
        standing.wrong = 0;
        standing.refused = None;
        if let Some(which) = standing.passwords.accepted(password) {
            tracing::info!(account = self.account, password = %which,
                "the service account signs in with another password than before");
        }
    }

    /// Whether another password may be tried at once.
    fn wrong(&self, password: &SecretString, refusal: DirectoryError) -> bool {
        let mut standing = self.standing();
        standing.wrong = standing.wrong.saturating_add(1);
        if standing.passwords.refused(password) {
            return true;
        }
        tracing::error!(error = %refusal, "the service account is refused");
        standing.refused = Some((Instant::now(), refusal));
        false
    }

    fn refused(&self, refusal: DirectoryError) {
        let mut standing = self.standing();
        standing.passwords.doubt();
        tracing::error!(error = %refusal, "the service account is refused");
        standing.refused = Some((Instant::now(), refusal));
    }

    /// The account was refused, and it is too early to try again.
    pub(crate) fn standing_refusal(&self) -> Option<DirectoryError> {
        let standing = self.standing();
        let (at, error) = standing.refused.as_ref()?;
        (at.elapsed() < rest(standing.wrong)).then(|| error.clone())
    }

    /// Why the account was refused, if it has not been accepted since.
    pub(crate) fn lasting_refusal(&self) -> Option<DirectoryError> {
        let standing = self.standing();
        standing.refused.as_ref().map(|(_, error)| error.clone())
    }

    /// Never held across an await; a panic while it was held leaves nothing half done.
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a refusal is believed. A locked or disabled account may be asked for every so often; a
/// wrong password less and less, for nobody can make it right but who changes it.
fn rest(wrong: u32) -> Duration {
    let factor = 4_u32.saturating_pow(wrong.saturating_sub(1));
    FIRST_REST.saturating_mul(factor).min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_password_is_tried_less_and_less() {
        let rests = [0, 1, 2, 3, 4, 99].map(|wrong| rest(wrong).as_secs());
        assert_eq!(rests, [15, 15, 60, 240, 660, 660]);
    }
}
