//! What is not known is found out: whether a write that may have been sent has happened.

use std::time::Duration;

use directory::{Account, PwdLastSet, rules::is_expired_at_once};
use operation::{Applied, Outcome, Reason, Refusal, Status};
use sealing::Contents;
use tokio::time::{Instant, sleep, sleep_until};

use super::{ASK_AGAIN_AFTER, End, Passage};
use crate::{
    Domain,
    decide::{Sent, happened, is_set_since_admission_perhaps},
    observe::Doubt,
    work::Work,
};

impl Passage {
    /// The modify was sent and its answer lost: read until it is known, holding the message.
    pub(super) async fn reconcile(
        &self,
        domain: &Domain,
        work: &mut Work,
        contents: Option<&Contents>,
        before: &Account,
        sent: Sent,
    ) -> End {
        self.observer.in_doubt(Doubt::AnswerLost);
        let is_touched = |account: &Account| {
            !work.operation.kind.sets_password()
                || account.pwd_last_set != before.pwd_last_set
                // 0 after 0 tells nothing
                || account.pwd_last_set == PwdLastSet::MustChange
        };
        let at = Some(before.domain_controller.as_str());
        if let Some(after) = self.look_for(domain, work, contents, at, is_touched).await {
            work.step(&self.service, "reconciled", "it had been written");
            self.observer.reconciled(true);
            let mut notes = self.notes(domain, work, before, sent);
            if is_expired_at_once(&work.operation, &after) {
                notes.push(self.expired_at_once(work));
            }
            return End {
                outcome: Outcome::Applied(Applied { notes }),
                write: None,
            };
        }
        work.step(&self.service, "reconciled", "nothing had been written");
        self.observer.reconciled(false);
        Refusal::new(
            Reason::ForestUnavailable,
            "the domain controller did not carry the write out",
        )
        .into()
    }

    /// Looks for a write that may have been sent: the account, if it has happened.
    ///
    /// A domain controller that stood still carries out on waking what it had received before, and
    /// answers others meanwhile. So "not" is said only of an account read again, a write's whole
    /// time-out after a domain controller has answered.
    pub(super) async fn look_for(
        &self,
        domain: &Domain,
        work: &Work,
        contents: Option<&Contents>,
        at: Option<&str>,
        is_touched: impl Fn(&Account) -> bool,
    ) -> Option<Account> {
        for wait in [self.write_time_out, Duration::ZERO] {
            let account = self.read_surely(domain, work, at).await?;
            let answered = Instant::now();
            if is_touched(&account) && self.did_happen(domain, work, contents, &account).await {
                return Some(account);
            }
            sleep_until(answered + wait).await;
        }
        None
    }

    /// Reads the account however long it takes; None if it is gone.
    async fn read_surely(&self, domain: &Domain, work: &Work, at: Option<&str>) -> Option<Account> {
        loop {
            let read = match at {
                Some(controller) => {
                    domain
                        .directory
                        .read_account_at(work.object_guid, controller)
                        .await
                }
                None => domain.directory.read_account(work.object_guid).await,
            };
            match read {
                Ok(account) => return account,
                Err(error) => {
                    tracing::warn!(%error, "in doubt, and the account cannot be read yet");
                }
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }

    async fn did_happen(
        &self,
        domain: &Domain,
        work: &Work,
        contents: Option<&Contents>,
        account: &Account,
    ) -> bool {
        let clock = domain.directory.clock_of(&account.domain_controller);
        let Some(contents) = contents else {
            return happened(&work.operation, account, None, &clock, self.rules);
        };
        if !is_set_since_admission_perhaps(&work.operation, account, &clock, self.rules) {
            return false;
        }
        loop {
            let opens = domain
                .directory
                .opens_at(
                    account.bind_name(),
                    &contents.new_password,
                    &account.domain_controller,
                )
                .await;
            match opens {
                Ok(opens) => {
                    return happened(&work.operation, account, Some(opens), &clock, self.rules);
                }
                Err(error) => {
                    tracing::warn!(%error, "in doubt, and the password cannot be tried yet");
                }
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }

    pub(super) async fn status_in_ledger(&self, work: &Work) -> Status {
        loop {
            match self.ledger.standing(work.operation.id, &work.target).await {
                Ok(standing) => return standing.status,
                Err(problem) => {
                    tracing::warn!(problem, "in doubt, and the ledger cannot be asked yet");
                }
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }
}
