//! The answer to a write that did not come in time.

use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use crate::{
    Explained, PwdLastSet, WriteReceipt,
    account::pwd_last_set,
    connection::{Connection, Outstanding},
    error::WriteError,
    exchange::{by_guid, read_one},
    pool::Pool,
    writing::{Sent, Unwritten},
};

/// What is left of a write whose answer has not come in time: its connection, on which it may come yet.
///
/// The connection is none of its pool's any more, so that others find as many there as ever. Dropped, it is closed; the
/// domain controller may carry out the write all the same.
#[derive(Debug)]
pub struct LateAnswer {
    pool: Arc<Pool>,
    connection: Connection,
    sent: Sent,
    outstanding: Option<Outstanding>,
}

impl LateAnswer {
    pub(crate) fn new(
        pool: Arc<Pool>,
        connection: Connection,
        sent: Sent,
        outstanding: Outstanding,
    ) -> Self {
        Self {
            pool,
            connection,
            sent,
            outstanding: Some(outstanding),
        }
    }

    /// Waits for the answer however long it takes; to be cancelled at will before it has come. None once the connection is
    /// lost: then nothing is known, and nothing will be.
    pub async fn come(&mut self) -> Option<Result<WriteReceipt, Explained>> {
        let answer = self.outstanding.as_mut()?.answer().await;
        self.outstanding = None;
        let answer = answer.ok()?;
        let ended = OffsetDateTime::now_utc();
        self.pool.answered();
        let told = self.sent.told(&self.pool, &self.connection, answer, ended);
        match told.await {
            Ok(receipt) => Some(Ok(self.narrowed(receipt).await)),
            Err(
                Unwritten::For(WriteError::CertainlyNot(explained))
                | Unwritten::Referred(_, explained),
            ) => Some(Err(explained)),
            Err(Unwritten::For(WriteError::Unknown { .. })) => None,
        }
    }

    /// Between sending and a late answer others may have set the password, too: the time at which it was set, if it can be
    /// read, tells this write from those.
    async fn narrowed(&self, receipt: WriteReceipt) -> WriteReceipt {
        if self.sent.change.new_password().is_none() {
            return receipt;
        }
        let name = by_guid(self.sent.guid);
        let entry = read_one(&self.connection, &name, &["pwdLastSet"]).await;
        let set = entry.map(|entry| pwd_last_set(entry.text("pwdLastSet")));
        match set {
            Some(PwdLastSet::At(at)) if (receipt.began..=receipt.ended).contains(&at) => {
                WriteReceipt {
                    began: at,
                    // an account's times are finer than those that are compared with them
                    ended: at + Duration::MICROSECOND,
                    ..receipt
                }
            }
            _ => receipt,
        }
    }
}
