//! The one task of a replica that appends: what waits is committed together in one transaction.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection as _, PgPool, Postgres, pool::PoolConnection};
use telemetry::trouble::Trouble;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    batch::{Answer, Item},
    news::News,
    observe::{self, Committed, Observer},
    signing::SigningKey,
    store::{self, StoreError},
};

const QUEUE: usize = 1024;
const LARGEST_BATCH: usize = 128;
/// From asking to the commit; longer than every time-out of the database together is of no use to callers.
const ANSWER_TIME_OUT: Duration = Duration::from_secs(6);
/// A connection in use so lately need not be tried before it is used again.
const LATELY: Duration = Duration::from_secs(1);
const TRANSACTION_TIME_OUT: Duration = Duration::from_secs(5);

/// Why something is not known to be recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    #[error("the ledger has too much to record")]
    Overloaded,
    #[error("the ledger could not record it: {0}")]
    Unavailable(String),
}

struct Command {
    item: Item,
    /// Not to be appended later than this.
    due: Instant,
    answer: oneshot::Sender<Result<Answer, AppendError>>,
}

/// Where items are handed in.
#[derive(Clone)]
pub(crate) struct Appender(mpsc::Sender<Command>);

impl Appender {
    /// Answers after the commit.
    pub(crate) async fn append(&self, item: Item) -> Result<Answer, AppendError> {
        let (answer, answered) = oneshot::channel();
        let due = Instant::now() + item.patience();
        self.0
            .try_send(Command { item, due, answer })
            .map_err(|_| AppendError::Overloaded)?;
        match tokio::time::timeout(ANSWER_TIME_OUT, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(AppendError::Unavailable("shutting down".to_owned())),
            Err(_) => Err(AppendError::Unavailable("no answer in time".to_owned())),
        }
    }
}

/// Everything the appending task owns.
pub(crate) struct Appending {
    commands: mpsc::Receiver<Command>,
    pool: PgPool,
    /// The one used last, and when.
    connection: Option<(PoolConnection<Postgres>, Instant)>,
    key: Arc<SigningKey>,
    throttle_per_hour: u32,
    service: String,
    news: News,
    observer: Observer,
    trouble: Trouble,
}

pub(crate) fn appender(
    pool: PgPool,
    key: Arc<SigningKey>,
    throttle_per_hour: u32,
    service: String,
    news: News,
) -> (Appender, Appending) {
    let (sender, commands) = mpsc::channel(QUEUE);
    let queue = sender.downgrade();
    observe::observe_waiting(move || Some(QUEUE - queue.upgrade()?.capacity()));
    let appending = Appending {
        commands,
        pool,
        connection: None,
        key,
        throttle_per_hour,
        service,
        news,
        observer: Observer::new(),
        trouble: Trouble::none(),
    };
    (Appender(sender), appending)
}

impl Appending {
    /// Runs until every [`Appender`] is gone.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut commands = Vec::with_capacity(LARGEST_BATCH);
        while self.commands.recv_many(&mut commands, LARGEST_BATCH).await > 0 {
            gather(&mut self.commands, &mut commands).await;
            let (items, answers): (Vec<_>, Vec<_>) = commands
                .drain(..)
                .filter(|command| !command.answer.is_closed())
                .map(|command| (command.item, command.answer))
                .unzip();
            match self.commit_in_time(&items).await {
                Ok(results) => {
                    if let Some(so_far) = self.trouble.calm() {
                        tracing::info!(
                            seconds = so_far.seconds,
                            tries = so_far.tries,
                            "the ledger records again"
                        );
                    }
                    for (sender, result) in answers.into_iter().zip(results) {
                        // whoever asked may have given up
                        let _ = sender.send(Ok(result));
                    }
                }
                Err(CommitError::Rejected(error)) if items.len() > 1 => {
                    tracing::warn!(%error, items = items.len(), "a batch was rejected; appending one by one");
                    for (item, sender) in items.iter().zip(answers) {
                        let result = self.commit_in_time(std::slice::from_ref(item)).await;
                        let _ = sender.send(single(result));
                    }
                }
                Err(error) => {
                    if let Some(so_far) = self.trouble.failed() {
                        tracing::error!(%error, items = items.len(), seconds = so_far.seconds,
                            tries = so_far.tries, "the ledger could not record a batch");
                    }
                    for sender in answers {
                        let _ = sender.send(Err(AppendError::Unavailable(error.to_string())));
                    }
                }
            }
        }
        Ok(())
    }

    async fn commit_in_time(&mut self, items: &[Item]) -> Result<Vec<Answer>, CommitError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let began = Instant::now();
        let committed = tokio::time::timeout(TRANSACTION_TIME_OUT, self.commit(items))
            .await
            .unwrap_or_else(|_| {
                Err(CommitError::Unknown(
                    "the transaction took too long".to_owned(),
                ))
            });
        let result = match &committed {
            Ok(_) => "committed",
            Err(CommitError::Rejected(_)) => "rejected",
            Err(CommitError::Unknown(_)) => "unknown",
        };
        self.observer.transaction(result, began.elapsed());
        committed
    }

    async fn commit(&mut self, items: &[Item]) -> Result<Vec<Answer>, CommitError> {
        let used_lately = self
            .connection
            .take()
            .filter(|(_, at)| at.elapsed() < LATELY);
        let mut connection = match used_lately {
            Some((connection, _)) => connection,
            None => self.pool.acquire().await.map_err(StoreError::from)?,
        };
        let mut transaction =
            { connection.begin_with(store::TAKE_HEAD).await }.map_err(StoreError::from)?;
        let mut batch = store::open_batch(
            &mut transaction,
            items,
            self.throttle_per_hour,
            &self.service,
        )
        .await?;
        let before = observe::ended_before(&batch);
        let answers = items
            .iter()
            .map(|item| batch.decide(item))
            .collect::<Result<Vec<_>, _>>()
            .map_err(StoreError::from)?;
        store::close_batch(&mut transaction, &batch, &self.key).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        self.news.saw(batch.tip.sequence, &batch.tip.hash);
        let committed = Committed::new(&batch, &before, items, &answers);
        self.observer.committed(committed, batch.now);
        self.connection = Some((connection, Instant::now()));
        Ok(answers)
    }
}

/// Waits for more until one of them is due.
async fn gather(waiting: &mut mpsc::Receiver<Command>, commands: &mut Vec<Command>) {
    while commands.len() < LARGEST_BATCH
        && let Some(due) = commands.iter().map(|command| command.due).min()
        && due > Instant::now()
    {
        let room = LARGEST_BATCH - commands.len();
        match tokio::time::timeout_at(due, waiting.recv_many(commands, room)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn single(result: Result<Vec<Answer>, CommitError>) -> Result<Answer, AppendError> {
    let unavailable = |problem: String| AppendError::Unavailable(problem);
    result
        .map_err(|error| unavailable(error.to_string()))?
        .pop()
        .ok_or_else(|| unavailable("no answer".to_owned()))
}

#[derive(Debug, thiserror::Error)]
enum CommitError {
    /// The database refused a statement: one of the items may be the cause.
    #[error("{0}")]
    Rejected(StoreError),
    #[error("{0}")]
    Unknown(String),
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        match &error {
            // class 22 and 23: data that does not fit (PostgreSQL, appendix A)
            StoreError::Database(sqlx::Error::Database(refused))
                if refused
                    .code()
                    .is_some_and(|code| code.starts_with("22") || code.starts_with("23")) =>
            {
                Self::Rejected(error)
            }
            StoreError::Database(_) | StoreError::Standby => Self::Unknown(error.to_string()),
            StoreError::Row(_) | StoreError::Json(_) => Self::Rejected(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use operation::OperationId;
    use uuid::Uuid;

    use super::*;
    use crate::batch::expiry;

    fn command(item: Item) -> Command {
        Command {
            due: Instant::now() + item.patience(),
            item,
            answer: oneshot::channel().0,
        }
    }

    fn step() -> Command {
        let id = OperationId::from_uuid(Uuid::from_u128(1));
        command(Item::Report(id, Box::default()))
    }

    fn end() -> Command {
        let id = OperationId::from_uuid(Uuid::from_u128(1));
        command(Item::Report(id, Box::new(expiry(0, "audit-1", ""))))
    }

    /// Stands for an admission: what somebody waits for.
    fn urgent() -> Command {
        command(Item::Overdue(OperationId::from_uuid(Uuid::from_u128(2))))
    }

    const FOR_EVER: Duration = Duration::from_hours(1);

    fn patient() -> Command {
        Command {
            due: Instant::now() + FOR_EVER,
            ..step()
        }
    }

    #[tokio::test]
    async fn steps_and_ends_wait_for_company_but_not_for_ever() {
        for one in [step, end] {
            let (sender, mut waiting) = mpsc::channel(8);
            let mut commands = vec![one()];
            let due = commands[0].due;
            assert!(due > Instant::now());
            sender.send(step()).await.unwrap();
            gather(&mut waiting, &mut commands).await;
            assert_eq!(commands.len(), 2);
            assert!(Instant::now() >= due);
        }
        assert!(end().due < step().due);
    }

    #[tokio::test]
    async fn what_is_due_first_decides() {
        let (sender, mut waiting) = mpsc::channel(8);
        let mut commands = vec![patient()];
        sender.send(end()).await.unwrap();
        gather(&mut waiting, &mut commands).await;
        assert_eq!(commands.len(), 2);
    }

    #[tokio::test]
    async fn what_is_urgent_takes_along_what_waits_and_leaves_at_once() {
        let (sender, mut waiting) = mpsc::channel(8);
        let mut commands = vec![patient()];
        sender.send(urgent()).await.unwrap();
        sender.send(patient()).await.unwrap();
        gather(&mut waiting, &mut commands).await;
        assert_eq!(commands.len(), 3);
        sender.send(patient()).await.unwrap();
        gather(&mut waiting, &mut commands).await;
        assert_eq!(commands.len(), 3, "it did not even look for more");
    }

    #[tokio::test]
    async fn nothing_is_waited_for_once_nobody_can_send() {
        let (sender, mut waiting) = mpsc::channel(8);
        drop(sender);
        let mut commands = vec![patient()];
        gather(&mut waiting, &mut commands).await;
        assert_eq!(commands.len(), 1);
    }
}
