//! The service account that every connection of a directory is bound as.
//!
//! Each bind with a wrong password counts towards the account's lockout, at whichever domain controller
//! (MS-ADTS 6.1.5.4: all tell the PDC emulator). So until the password is known to be right one bind
//! tries it for all, and a refusal is believed by all.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::SecretString;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use crate::{DirectoryError, Endpoint, connection::Connection, error::ConnectError};

const FIRST_REST: Duration = Duration::from_secs(15);
/// Longer than the ten minutes in which Windows counts wrong passwords unless told otherwise.
const LONGEST_REST: Duration = Duration::from_mins(11);

#[derive(Debug)]
pub(crate) struct Credentials {
    account: String,
    password: SecretString,
    trying: Semaphore,
    standing: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    accepted: bool,
    /// How often the password was wrong since it was last right.
    wrong: u32,
    refused: Option<(Instant, DirectoryError)>,
}

impl Credentials {
    pub(crate) fn new(account: String, password: SecretString) -> Self {
        Self {
            account,
            password,
            trying: Semaphore::new(1),
            standing: Mutex::default(),
        }
    }

    /// Binds; one at a time until the account has been accepted.
    pub(crate) async fn sign_in(
        &self,
        connection: &Connection,
        endpoint: &Endpoint,
        time_out: Duration,
    ) -> Result<(), DirectoryError> {
        let _turn = if self.standing().accepted {
            None
        } else {
            // a bind that is not answered for so long is its controller's trouble, not the account's
            let turn = timeout(time_out / 2, self.trying.acquire()).await;
            if let Some(refusal) = self.standing_refusal() {
                return Err(refusal);
            }
            turn.ok()
        };
        let outcome = connection.sign_in(&self.account, &self.password).await;
        let mut standing = self.standing();
        match &outcome {
            Ok(()) => {
                *standing = Standing {
                    accepted: true,
                    ..Standing::default()
                };
            }
            Err(error @ (ConnectError::WrongPassword | ConnectError::BindRefused(_))) => {
                standing.accepted = false;
                if matches!(error, ConnectError::WrongPassword) {
                    standing.wrong = standing.wrong.saturating_add(1);
                }
                let refusal = error.clone().at(endpoint);
                tracing::error!(error = %refusal, "the service account is refused");
                standing.refused = Some((Instant::now(), refusal));
            }
            Err(_) => {}
        }
        outcome.map_err(|error| error.at(endpoint))
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
