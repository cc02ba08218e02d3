//! Looking for one write: whether it has happened, as far as the account can tell.

use std::{collections::BTreeSet, time::Duration};

use directory::{Account, Opens, PasswordWrite, PwdLastSet};
use sealing::Contents;
use telemetry::trouble::Trouble;
use time::OffsetDateTime;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, sleep_until},
};

use super::{ASK_AGAIN_AFTER, Passage};
use crate::{
    Domain,
    decide::{Precedent, happened, is_set_since_admission_perhaps},
    work::Work,
};

/// How soon an account that is locked is tried again.
const LOCKED_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How often it is tried to unlock an account that a try of the password may have locked.
const UNDOES_AT_MOST: usize = 10;

/// What is to be found out, and what has been.
pub(super) struct Inquiry<'a> {
    passage: &'a Passage,
    domain: &'a Domain,
    work: &'a Work,
    contents: Option<&'a Contents>,
    /// Kept for as long as a password is tried.
    others: Mutex<Others>,
}

/// When passwords were set that ours is not: each try with a wrong one counts towards the lockout, and the same password is
/// known by its time, at whichever domain controller.
#[derive(Default)]
struct Others {
    tried_in_vain: BTreeSet<OffsetDateTime>,
    /// As the ledger last told them.
    precedents: Vec<Precedent>,
}

impl Others {
    fn in_vain(&mut self, account: &Account) {
        if let PwdLastSet::At(at) = account.pwd_last_set {
            self.tried_in_vain.insert(at);
        }
    }

    fn have_set(&self, account: &Account) -> bool {
        let PwdLastSet::At(at) = account.pwd_last_set else {
            return false;
        };
        let by_another = |precedent: &Precedent| precedent.has_written_at(at);
        self.tried_in_vain.contains(&at) || self.precedents.iter().any(by_another)
    }
}

/// What a domain controller shows of a write that it may have been sent.
pub(super) enum Shown {
    Written(Box<Account>),
    NotWritten,
    /// It is none of the domain's controllers any more.
    Gone,
}

impl<'a> Inquiry<'a> {
    pub(super) fn new(
        passage: &'a Passage,
        domain: &'a Domain,
        work: &'a Work,
        contents: Option<&'a Contents>,
    ) -> Self {
        Self {
            passage,
            domain,
            work,
            contents,
            others: Mutex::default(),
        }
    }

    /// Looks for the write at one domain controller.
    ///
    /// One that stood still carries out on waking what it had received before, and answers others
    /// meanwhile. So "not" is said only of an account read again, a write's whole time-out after the
    /// domain controller has answered.
    pub(super) async fn look_at(
        &self,
        controller: &str,
        is_touched: impl Fn(&Account) -> bool,
    ) -> Shown {
        for wait in [self.passage.write_time_out, Duration::ZERO] {
            let account = match self.read_surely(controller).await {
                Some(Some(account)) => account,
                Some(None) => return Shown::NotWritten,
                None => return Shown::Gone,
            };
            let answered = Instant::now();
            if is_touched(&account) && self.did_happen(&account).await {
                // it may have been set between the two
                let now = self.read_surely(controller).await;
                return Shown::Written(Box::new(now.flatten().unwrap_or(account)));
            }
            sleep_until(answered + wait).await;
        }
        Shown::NotWritten
    }

    /// Waits until no password is being tried: a try that is given up may leave a lockout behind.
    pub(super) async fn tries_nothing(&self) {
        drop(self.others.lock().await);
    }

    /// Reads the account however long it takes, which may be none; None once a domain controller that
    /// does not answer is no place to which a write can have been sent.
    async fn read_surely(&self, controller: &str) -> Option<Option<Account>> {
        let directory = &self.domain.directory;
        let mut trouble = Trouble::none();
        loop {
            match directory
                .read_account_at(self.work.object_guid, controller)
                .await
            {
                Ok(account) => {
                    if let Some(so_far) = trouble.over() {
                        tracing::info!(
                            controller,
                            seconds = so_far.seconds,
                            tries = so_far.tries,
                            "the account can be read again"
                        );
                    }
                    return Some(account);
                }
                Err(error) => {
                    if let Some(so_far) = trouble.failed() {
                        tracing::warn!(controller, %error, seconds = so_far.seconds, tries = so_far.tries,
                            "in doubt, and the account cannot be read yet: the message is held until it can");
                    }
                }
            }
            let known = directory.perhaps_written_at();
            if !known.iter().any(|known| known == controller) {
                return None;
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }

    async fn did_happen(&self, account: &Account) -> bool {
        let (directory, operation) = (&self.domain.directory, &self.work.operation);
        let rules = self.passage.rules;
        let clock = directory.clock_of(&account.domain_controller);
        let Some(contents) = self.contents else {
            return happened(operation, account, None, &clock, rules);
        };
        if !is_set_since_admission_perhaps(operation, account, &clock, rules) {
            return false;
        }
        let mut trouble = Trouble::none();
        loop {
            // one domain controller after the other, for as long as one try takes: what one has said is what the others
            // would say, and one that is away keeps nobody from asking them
            let mut others = self.others.lock().await;
            // past its deadline it keeps newer ones waiting no more: they may have set theirs since it was last asked
            match self.passage.standing(self.work).await {
                Ok(standing) => others.precedents = standing.precedents,
                Err(problem) => tracing::debug!(problem, "who set the password cannot be asked"),
            }
            if others.have_set(account) {
                return false;
            }
            let opens = directory
                .opens_at(
                    account.bind_name(),
                    &contents.new_password,
                    &account.domain_controller,
                )
                .await;
            let again_after = match opens {
                Ok(Opens::Locked) => {
                    if let Some(so_far) = trouble.failed() {
                        tracing::warn!(
                            seconds = so_far.seconds,
                            tries = so_far.tries,
                            "in doubt, and the account is locked: the password can be tried once it is unlocked"
                        );
                    }
                    // which the operation is to undo anyway
                    if operation.unlock && !self.work.is_late() && self.unlock().await {
                        Duration::ZERO
                    } else {
                        LOCKED_AGAIN_AFTER
                    }
                }
                Ok(opens) => {
                    if let Some(so_far) = trouble.over() {
                        tracing::info!(
                            seconds = so_far.seconds,
                            tries = so_far.tries,
                            "the password could be tried"
                        );
                    }
                    if opens == Opens::No {
                        others.in_vain(account);
                        self.undo_lockout(account).await;
                    }
                    return happened(operation, account, Some(opens), &clock, rules);
                }
                Err(error) => {
                    if let Some(so_far) = trouble.failed() {
                        tracing::warn!(%error, seconds = so_far.seconds, tries = so_far.tries,
                            "in doubt, and the password cannot be tried yet");
                    }
                    ASK_AGAIN_AFTER
                }
            };
            drop(others);
            sleep(again_after).await;
        }
    }

    /// Where the password that was tried was one wrong password too many, nobody is to be locked out by that.
    async fn undo_lockout(&self, before: &Account) {
        if before.locked {
            return;
        }
        let directory = &self.domain.directory;
        let controller = &before.domain_controller;
        for _ in 0..UNDOES_AT_MOST {
            let now = directory
                .read_account_at(self.work.object_guid, controller)
                .await;
            let undone = match now {
                Ok(Some(account)) if account.locked => self.unlock().await,
                Ok(_) => return,
                Err(_) => false,
            };
            if undone {
                tracing::info!("trying the password had locked the account: unlocked again");
                return;
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
        tracing::warn!(
            "trying the password may have locked the account, and it could not be unlocked again"
        );
    }

    async fn unlock(&self) -> bool {
        let at = Instant::now() + self.passage.write_time_out * 2;
        let written = self
            .domain
            .directory
            .write(self.work.object_guid, &PasswordWrite::Unlock, at)
            .await;
        if let Err(error) = &written {
            tracing::warn!(?error, "in doubt, and the account could not be unlocked");
        }
        written.is_ok()
    }
}
