//! The one task of a replica that claims accounts: what is asked for meanwhile is asked of the database together.
//!
//! Every operation that sets a password waits for this. A pool would make four trips to the database of one.

use std::{collections::HashSet, time::Duration};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::store::{self, Asked, Claim, StoreError};

const QUEUE: usize = 1024;
const LARGEST_BATCH: usize = 128;
/// For one statement, the connection included. A writer waits about as long, and then goes on without.
const TIME_OUT: Duration = Duration::from_secs(1);
/// A connection that was unused for longer may have been forgotten on its way to the database.
const KEPT_UNUSED: Duration = Duration::from_secs(30);

/// Why it is not known whose an account is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    #[error("too many accounts are asked for")]
    Overloaded,
    #[error("{0}")]
    Unavailable(String),
}

struct Command {
    asked: Asked,
    answer: oneshot::Sender<Result<Claim, ClaimError>>,
}

/// Where accounts are asked for.
#[derive(Clone)]
pub(crate) struct Claims(mpsc::Sender<Command>);

impl Claims {
    /// Held while another operation that has not ended has the account, or another delivery of this one.
    pub(crate) async fn claim(&self, asked: Asked) -> Result<Claim, ClaimError> {
        let (answer, answered) = oneshot::channel();
        self.0
            .try_send(Command { asked, answer })
            .map_err(|_| ClaimError::Overloaded)?;
        answered
            .await
            .map_err(|_| ClaimError::Unavailable("shutting down".to_owned()))?
    }
}

/// Everything the claiming task owns.
pub(crate) struct Claiming {
    commands: mpsc::Receiver<Command>,
    options: PgConnectOptions,
    /// With when it was used last.
    connection: Option<(PgConnection, Instant)>,
}

/// `options` of connections that are used for nothing else.
pub(crate) fn claims(options: PgConnectOptions) -> (Claims, Claiming) {
    let (sender, commands) = mpsc::channel(QUEUE);
    let claiming = Claiming {
        commands,
        options,
        connection: None,
    };
    (Claims(sender), claiming)
}

impl Claiming {
    /// Runs until every [`Claims`] is gone.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut waiting = Vec::new();
        while !waiting.is_empty() || self.commands.recv_many(&mut waiting, LARGEST_BATCH).await > 0
        {
            let (batch, again) = distinct(waiting);
            waiting = again;
            let asked: Vec<_> = batch.iter().map(|command| command.asked).collect();
            match self.ask(&asked).await {
                Ok(claimed) => {
                    for (command, claimed) in batch.into_iter().zip(claimed) {
                        // whoever asked may have given up
                        let _ = command.answer.send(Ok(claimed));
                    }
                }
                Err(problem) => {
                    for command in batch {
                        let problem = ClaimError::Unavailable(problem.clone());
                        let _ = command.answer.send(Err(problem));
                    }
                }
            }
        }
        Ok(())
    }

    async fn ask(&mut self, asked: &[Asked]) -> Result<Vec<Claim>, String> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        timeout(TIME_OUT, self.ask_again(asked))
            .await
            .map_err(|_| "the database took too long".to_owned())?
            .map_err(|error| error.to_string())
    }

    /// Once more where the connection has been lost since it was used last.
    async fn ask_again(&mut self, asked: &[Asked]) -> Result<Vec<Claim>, StoreError> {
        let kept = self
            .connection
            .take()
            .filter(|(_, at)| at.elapsed() < KEPT_UNUSED);
        if let Some((mut connection, _)) = kept {
            match store::claim(&mut connection, asked).await {
                Ok(claimed) => {
                    self.connection = Some((connection, Instant::now()));
                    return Ok(claimed);
                }
                Err(error) => tracing::debug!(%error, "claims are asked for again"),
            }
        }
        let mut connection = PgConnection::connect_with(&self.options).await?;
        let claimed = store::claim(&mut connection, asked).await?;
        self.connection = Some((connection, Instant::now()));
        Ok(claimed)
    }
}

/// One for each account, the earliest; and who has to wait for one of them. Who has given up is in neither.
fn distinct(waiting: Vec<Command>) -> (Vec<Command>, Vec<Command>) {
    let mut objects = HashSet::new();
    waiting
        .into_iter()
        .filter(|command| !command.answer.is_closed())
        .partition(|command| objects.insert(command.asked.object))
}

#[cfg(test)]
mod tests {
    use operation::{ObjectGuid, OperationId};
    use uuid::Uuid;

    use super::*;

    type Answer = oneshot::Receiver<Result<Claim, ClaimError>>;

    fn command(object: u8, id: u128) -> (Command, Answer) {
        let (answer, answered) = oneshot::channel();
        let object = ObjectGuid::from_bytes([object; 16]);
        let id = OperationId::from_uuid(Uuid::from_u128(id));
        let asked = Asked {
            object,
            id,
            claimant: None,
        };
        (Command { asked, answer }, answered)
    }

    fn ids(commands: &[Command]) -> Vec<u128> {
        let id = |command: &Command| command.asked.id.as_uuid().as_u128();
        commands.iter().map(id).collect()
    }

    #[test]
    fn an_account_is_asked_for_once_at_a_time_by_who_came_first() {
        let (commands, _answers): (Vec<_>, Vec<_>) = [(1, 10), (2, 20), (1, 11), (3, 30), (1, 12)]
            .map(|(object, id)| command(object, id))
            .into_iter()
            .unzip();
        let (batch, again) = distinct(commands);
        assert_eq!(ids(&batch), [10, 20, 30]);
        assert_eq!(ids(&again), [11, 12]);
        let (batch, again) = distinct(again);
        assert_eq!(ids(&batch), [11]);
        assert_eq!(ids(&again), [12]);
    }

    #[test]
    fn who_gave_up_is_not_asked_for() {
        let (gone, answer) = command(1, 10);
        drop(answer);
        let (waits, _answer) = command(1, 11);
        let (batch, again) = distinct(vec![gone, waits]);
        assert_eq!(ids(&batch), [11]);
        assert!(again.is_empty());
    }
}
