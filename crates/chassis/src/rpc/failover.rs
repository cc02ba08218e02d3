//! A question that another replica may answer if the first does not.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};

use super::LedgerChannel;

const ATTEMPTS: usize = 3;

impl LedgerChannel {
    /// Calls again, over another replica if there is one, while the answer is `Unavailable` or there is
    /// none: the first try has three eighths of the time there is, and whoever is tried after it all the
    /// rest. Only for calls that may be carried out twice without harm, because neither says that the
    /// first was not carried out.
    ///
    /// # Errors
    /// What the last one answered; `DeadlineExceeded` if nobody did within this time.
    pub async fn failover<T, Call, Fut>(
        &self,
        within: Duration,
        mut call: Call,
    ) -> Result<T, Status>
    where
        Call: FnMut(Self) -> Fut,
        Fut: Future<Output = Result<T, Status>>,
    {
        let began = Instant::now();
        let until = began + within;
        let mut try_until = began + within * 3 / 8;
        let mut last = Status::deadline_exceeded("the ledger did not answer in time");
        let mut tried = Vec::new();
        for _ in 0..ATTEMPTS {
            let Some(chosen) = self.choose(&tried) else {
                break;
            };
            match timeout_at(try_until, call(self.over(chosen.clone()))).await {
                Ok(Err(status)) if status.code() == Code::Unavailable => last = status,
                Ok(answered) => return answered,
                Err(_) => {
                    chosen.hung();
                    try_until = until;
                }
            }
            if Instant::now() >= until {
                break;
            }
            tried.push(chosen);
        }
        Err(last)
    }
}
