//! Reading the account and writing to it.

use std::time::Duration;

use directory::{
    Account, DirectoryError, PasswordWrite, WriteError, WriteReceipt, clock::Comparison,
};
use operation::{Applied, Kind, Outcome, Reason, Refusal};
use proto::{to_micros, v1};
use sealing::Contents;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use bus::Delivery;

use super::{
    ASK_AGAIN_AFTER, End, PATIENCE, Passage, Passed,
    doubt::Lost,
    turn::{Beginning, Claimed},
};
use crate::{
    Domain,
    decide::{Overtaken, Rules, Sent, permit, set_since_admission, superseded},
    work::Work,
};

/// How long the report of an operation on an account takes to the ledger, where it waits for company.
const REPORT_TRAVELS: Duration = Duration::from_millis(500);

/// How long after a look at the account a write may begin. With its own time-out it has ended before the broker misses this
/// writer, by heartbeats of 5 s that it waits for twice.
const HELD_FOR: Duration = Duration::from_secs(3);

/// What a look at the account led to.
enum Looked {
    /// With when it was begun.
    Permitted(Box<Account>, Instant),
    Over(Passed),
}

impl From<Refusal> for Looked {
    fn from(refusal: Refusal) -> Self {
        Self::Over(refusal.into())
    }
}

impl Passage {
    /// Reads and writes, and again while the domain controllers are merely away.
    pub(super) async fn write(
        &self,
        domain: &Domain,
        work: &mut Work,
        contents: Option<&Contents>,
        seen: Instant,
        delivery: &Delivery,
    ) -> Passed {
        let mut unasked = None;
        loop {
            let now = OffsetDateTime::now_utc();
            let budget =
                time::Duration::try_from(self.write_time_out).unwrap_or(time::Duration::MAX);
            if !work.operation.allows_write(now, budget) {
                let refusal = Refusal::new(
                    Reason::DeadlineExceeded,
                    "too late: a write could no longer have ended before the deadline",
                );
                return unasked.unwrap_or(refusal).into();
            }
            let away = match self.try_once(domain, work, contents, delivery).await {
                Ok(passed) => return passed,
                Err(refusal) => refusal,
            };
            let in_time_only = away.reason == Reason::DeadlineExceeded;
            if seen.elapsed() > PATIENCE && !in_time_only {
                return away.into();
            }
            unasked = in_time_only.then_some(away);
            sleep(ASK_AGAIN_AFTER).await;
            if !delivery.is_held() {
                return Passed::Elsewhere;
            }
        }
    }

    /// # Errors
    /// The refusal to give if no later try succeeds: nothing was written.
    async fn try_once(
        &self,
        domain: &Domain,
        work: &mut Work,
        contents: Option<&Contents>,
        delivery: &Delivery,
    ) -> Result<Passed, Refusal> {
        // what may take long comes before the look at the account, so that little happens in between
        let until = match self.may_begin(work, delivery).await {
            Beginning::Allowed(until) => until,
            Beginning::Over(passed) => return Ok(passed),
        };
        let (account, looked_at) = match self.look(domain, work, delivery).await? {
            Looked::Permitted(account, at) => (account, at),
            Looked::Over(passed) => return Ok(passed),
        };
        let Some(change) = change(work, contents, self.rules) else {
            let missing = "sealedPassword: it holds no current password";
            return Ok(Refusal::new(Reason::SealInvalid, missing).into());
        };
        if let Some(refusal) = self
            .switch
            .refusal(work.operation.kind, work.operation.admitted_at)
        {
            work.step(&self.service, "refused", "by the settings");
            return Ok(refusal.into());
        }
        // with its connection lost the message goes to another writer, which counts on no write
        // beginning here any more
        if !delivery.is_held() {
            return Ok(Passed::Elsewhere);
        }
        // a writer that stands still meanwhile loses the message, and another one carries it out
        let held = looked_at + self.write_time_out + HELD_FOR;
        let until = until.map_or(held, |until| until.min(held));
        self.send(domain, work, contents, &account, &change, until)
            .await
    }

    /// Reads the account, and whether it may be written to.
    ///
    /// # Errors
    /// As [`Passage::try_once`].
    async fn look(
        &self,
        domain: &Domain,
        work: &Work,
        delivery: &Delivery,
    ) -> Result<Looked, Refusal> {
        let mut looked_before = false;
        let mut claimed = !work.operation.kind.sets_password();
        let mut none_ended = None;
        loop {
            let since = Instant::now();
            let read = domain.directory.read_account(work.object_guid);
            let read = if claimed {
                read.await
            } else {
                let (read, claim) = tokio::join!(read, self.claim(work, delivery, since));
                match claim {
                    Claimed::Ours {
                        look_again,
                        none_ended: told,
                    } => {
                        claimed = true;
                        none_ended = told;
                        if look_again {
                            continue;
                        }
                    }
                    // a message that is not marked was in nobody's hands before: the other delivery's is another one, and
                    // there until the operation has ended. Left to wait, this one would expire as if nobody had begun.
                    Claimed::HeldByTwin if !work.perhaps_begun => {
                        tracing::info!("left to another delivery of the operation");
                        return Ok(Looked::Over(Passed::Elsewhere));
                    }
                    Claimed::Held | Claimed::HeldByTwin => {
                        return Ok(Looked::Over(Passed::GivesWay));
                    }
                }
                read
            };
            let account = match read {
                Ok(Some(account)) => account,
                Ok(None) => {
                    let gone = "the account has been deleted or moved";
                    return Ok(Refusal::new(Reason::UserNotFound, gone).into());
                }
                Err(error @ DirectoryError::Unavailable { .. }) => {
                    return Err(Refusal::new(error.reason(), error.to_string()));
                }
                Err(error) => {
                    return Ok(Refusal::new(error.reason(), error.to_string()).into());
                }
            };
            let permitted = permit(&work.operation, &account, &domain.scope, self.rules)
                .and_then(|()| self.own_accounts.spare(&account));
            if let Err(refusal) = permitted {
                return Ok(refusal.into());
            }
            let Some(overtaken) = self.overtaken(domain, work, &account, none_ended).await? else {
                return Ok(Looked::Over(Passed::Elsewhere));
            };
            match overtaken {
                Overtaken::No => return Ok(Looked::Permitted(Box::new(account), since)),
                Overtaken::Perhaps(_) if !looked_before => {
                    looked_before = true;
                    sleep(REPORT_TRAVELS).await;
                }
                Overtaken::Perhaps(refusal) | Overtaken::ByANewer(refusal) => {
                    return Ok(refusal.into());
                }
            }
        }
    }

    /// Newer wins: the ledger is asked only where the password may have been set since admission. Where that is not sure it
    /// need not be if it told with the claim that neither a newer operation nor this one has ended; it is asked in any case
    /// if it told that one has. None when it says that it is this one.
    ///
    /// # Errors
    /// When the ledger cannot be asked.
    async fn overtaken(
        &self,
        domain: &Domain,
        work: &Work,
        account: &Account,
        none_ended: Option<bool>,
    ) -> Result<Option<Overtaken>, Refusal> {
        if !work.operation.kind.sets_password() {
            return Ok(Some(Overtaken::No));
        }
        let clock = domain.directory.clock_of(&account.domain_controller);
        let since = set_since_admission(&work.operation, account, &clock, self.rules);
        let by_no_newer = match none_ended {
            Some(none_ended) => none_ended && since != Comparison::Later,
            None => since == Comparison::Earlier,
        };
        if by_no_newer && !work.perhaps_begun && work.after.is_none() {
            return Ok(Some(Overtaken::No));
        }
        let standing = self
            .ledger
            .standing(work.operation.id, &work.target)
            .await
            .map_err(|problem| {
                // told already: the account could not be claimed either
                tracing::debug!(problem, "the ledger cannot be asked who set the password");
                Refusal::new(
                    Reason::DeadlineExceeded,
                    "the ledger could not be asked before the deadline who had set the password; nothing was changed",
                )
            })?;
        // it may have a twin, and that one's report may have come in only now
        if standing.status.is_terminal() {
            tracing::info!(status = %standing.status, "ended meanwhile");
            return Ok(None);
        }
        Ok(Some(superseded(account, since, &standing.precedents)))
    }

    /// # Errors
    /// As [`Passage::try_once`].
    async fn send(
        &self,
        domain: &Domain,
        work: &mut Work,
        contents: Option<&Contents>,
        account: &Account,
        change: &PasswordWrite,
        until: Instant,
    ) -> Result<Passed, Refusal> {
        // standing still between the two readings gives no more time
        let now = Instant::now();
        let remaining = work.operation.remaining(OffsetDateTime::now_utc());
        let deadline = now + remaining.unsigned_abs();
        let until = until.min(deadline);
        match domain
            .directory
            .write(work.object_guid, change, until)
            .await
        {
            Ok(receipt) => {
                let manner = manner(work, receipt.policy_hints);
                let how = format!("at {}{manner}", receipt.domain_controller);
                work.step(&self.service, "written", how);
                Ok(Passed::Ended(self.written(domain, work, account, receipt)))
            }
            Err(WriteError::CertainlyNot(explained)) => {
                // too late may be too late for a write that was not taken up only
                let again = explained.transient || explained.reason == Reason::DeadlineExceeded;
                let refusal = Refusal::from(explained);
                if again {
                    Err(refusal)
                } else {
                    Ok(refusal.into())
                }
            }
            Err(WriteError::Unknown {
                problem,
                domain_controller,
                policy_hints,
                late,
            }) => {
                tracing::warn!(problem, "in doubt");
                let manner = manner(work, policy_hints);
                work.step(
                    &self.service,
                    "in doubt",
                    format!("the write was sent, and no answer came{manner}"),
                );
                let sent = Sent::ByUs(policy_hints);
                let lost = Lost {
                    domain_controller,
                    before: account,
                    sent,
                    late,
                };
                let end = self.reconcile(domain, work, contents, lost).await;
                Ok(Passed::Ended(end))
            }
        }
    }

    /// The end of an operation that the domain controller has said it carried out.
    pub(super) fn written(
        &self,
        domain: &Domain,
        work: &mut Work,
        before: &Account,
        receipt: WriteReceipt,
    ) -> End {
        let mut notes = self.notes(domain, work, before, Sent::ByUs(receipt.policy_hints));
        if receipt.expired_at_once {
            notes.push(self.expired_at_once(work));
        }
        End {
            outcome: Outcome::Applied(Applied { notes }),
            write: Some(v1::Write {
                domain_controller: receipt.domain_controller,
                began: to_micros(receipt.began),
                ended: to_micros(receipt.ended),
            }),
        }
    }
}

/// How a reset was sent, for the ledger.
fn manner(work: &Work, policy_hints: Option<&str>) -> String {
    match (work.operation.kind, policy_hints) {
        (Kind::Reset, Some(control)) => format!(", with policy hints ({control})"),
        (Kind::Reset, None) => ", without policy hints".to_owned(),
        (Kind::Change | Kind::Unlock, _) => String::new(),
    }
}

fn change(work: &Work, contents: Option<&Contents>, rules: Rules) -> Option<PasswordWrite> {
    let operation = &work.operation;
    match (operation.kind, contents) {
        (Kind::Unlock, _) => Some(PasswordWrite::Unlock),
        (Kind::Reset, Some(contents)) => Some(PasswordWrite::Reset {
            new: contents.new_password.clone(),
            unlock: operation.unlock,
            must_change: operation.must_change_at_next_sign_in,
            policy_hints: rules.policy_hints(operation),
        }),
        (Kind::Change, Some(contents)) => Some(PasswordWrite::Change {
            current: contents.current_password.clone()?,
            new: contents.new_password.clone(),
            unlock: false,
        }),
        (_, None) => None,
    }
}
