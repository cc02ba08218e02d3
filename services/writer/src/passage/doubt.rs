//! What is not known is found out: whether a write that may have been sent has happened.

use std::{collections::BTreeSet, time::Duration};

use directory::{Account, Opens, PasswordWrite, PwdLastSet, rules::is_expired_at_once};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use operation::{Applied, Outcome, Reason, Refusal};
use proto::{to_micros, v1};
use sealing::Contents;
use telemetry::trouble::Trouble;
use time::OffsetDateTime;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, sleep_until},
};

use super::{ASK_AGAIN_AFTER, End, Passage};
use crate::{
    Domain,
    decide::{Precedent, Sent, happened, is_set_since_admission_perhaps, written_by},
    ledger::{Standing, tell},
    observe::Doubt,
    work::Work,
};

/// How soon an account that is locked is tried again.
const LOCKED_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How often it is tried to unlock an account that a try of the password may have locked.
const UNDOES_AT_MOST: usize = 10;

/// A modify whose answer was lost.
pub(super) struct Lost<'a> {
    /// Where it was sent to.
    pub(super) domain_controller: String,
    pub(super) before: &'a Account,
    pub(super) sent: Sent,
}

/// When a password that was seen to be set was set, by the domain controller's clock: an operation after it has to
/// tell it from a newer one, as it does where the answer has come.
pub(super) fn seen_write(work: &Work, account: &Account) -> Option<v1::Write> {
    let PwdLastSet::At(at) = account.pwd_last_set else {
        return None;
    };
    let at = to_micros(at);
    work.operation.kind.sets_password().then(|| v1::Write {
        domain_controller: account.domain_controller.clone(),
        began: at,
        // an account's times are in tenths of it
        ended: at.saturating_add(1),
    })
}

/// When passwords were set that ours is not: each try with a wrong one counts towards the lockout, and the same password is
/// known by its time, at whichever domain controller.
#[derive(Default)]
struct Others {
    tried_in_vain: BTreeSet<OffsetDateTime>,
    /// Between which times other operations have set theirs, as the ledger knows.
    set: Vec<(OffsetDateTime, OffsetDateTime)>,
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
        let by_another = |(began, ended): &(_, _)| (*began..=*ended).contains(&at);
        self.tried_in_vain.contains(&at) || self.set.iter().any(by_another)
    }
}

/// What a domain controller shows of a write that it may have been sent.
enum Shown {
    Written(Box<Account>),
    NotWritten,
    /// It is none of the domain's controllers any more.
    Gone,
}

impl Passage {
    /// The modify was sent and its answer lost: read until it is known, holding the message.
    pub(super) async fn reconcile(
        &self,
        domain: &Domain,
        work: &mut Work,
        contents: Option<&Contents>,
        lost: Lost<'_>,
    ) -> End {
        let Lost {
            domain_controller,
            before,
            sent,
        } = lost;
        self.observer.in_doubt(Doubt::AnswerLost);
        let _in_doubt = self.doubts.begin();
        let is_touched = |account: &Account| {
            !work.operation.kind.sets_password()
                || account.pwd_last_set != before.pwd_last_set
                // 0 after 0 tells nothing
                || account.pwd_last_set == PwdLastSet::MustChange
        };
        let others = Mutex::default();
        let shown = self
            .look_at(
                domain,
                work,
                contents,
                &domain_controller,
                is_touched,
                &others,
            )
            .await;
        let written = match shown {
            Shown::Written(account) => Some(account),
            Shown::NotWritten => None,
            // what it had written before it was taken out of service, the others have from it
            Shown::Gone => self.look_everywhere(domain, work, contents, &[]).await,
        };
        if let Some(after) = written {
            work.step(&self.service, "reconciled", "it had been written");
            self.observer.reconciled(true);
            let mut notes = self.notes(domain, work, before, sent);
            if is_expired_at_once(&work.operation, &after) {
                notes.push(self.expired_at_once(work));
            }
            return End {
                outcome: Outcome::Applied(Applied { notes }),
                write: seen_write(work, &after),
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

    /// Looks for a write that nobody knows where it was sent to: the account, if it has happened.
    ///
    /// Domain controllers tell each other what was written, but not at once, and one that is away has
    /// told nobody. So "not" is said only when every one that may have been sent it has said so; the
    /// first that shows it is enough. A password that one of the precedents has set is not tried.
    pub(super) async fn look_everywhere(
        &self,
        domain: &Domain,
        work: &Work,
        contents: Option<&Contents>,
        precedents: &[Precedent],
    ) -> Option<Box<Account>> {
        let others = &Mutex::new(Others {
            set: written_by(precedents),
            ..Others::default()
        });
        let mut asked = BTreeSet::new();
        let mut looks = FuturesUnordered::new();
        let mut trouble = Trouble::none();
        loop {
            // more may have become known meanwhile
            for controller in domain.directory.perhaps_written_at() {
                if asked.insert(controller.clone()) {
                    looks.push(async move {
                        self.look_at(domain, work, contents, &controller, |_| true, others)
                            .await
                    });
                }
            }
            match looks.next().await {
                Some(Shown::Written(account)) => return Some(account),
                Some(Shown::NotWritten | Shown::Gone) => {}
                None if asked.is_empty() => {
                    if let Some(so_far) = trouble.failed() {
                        tracing::warn!(
                            seconds = so_far.seconds,
                            tries = so_far.tries,
                            "in doubt, and no domain controller is known yet"
                        );
                    }
                    sleep(ASK_AGAIN_AFTER).await;
                }
                None => return None,
            }
        }
    }

    /// Looks for a write at one domain controller.
    ///
    /// One that stood still carries out on waking what it had received before, and answers others
    /// meanwhile. So "not" is said only of an account read again, a write's whole time-out after the
    /// domain controller has answered.
    async fn look_at(
        &self,
        domain: &Domain,
        work: &Work,
        contents: Option<&Contents>,
        controller: &str,
        is_touched: impl Fn(&Account) -> bool,
        others: &Mutex<Others>,
    ) -> Shown {
        for wait in [self.write_time_out, Duration::ZERO] {
            let account = match self.read_surely(domain, work, controller).await {
                Some(Some(account)) => account,
                Some(None) => return Shown::NotWritten,
                None => return Shown::Gone,
            };
            let answered = Instant::now();
            if is_touched(&account)
                && self
                    .did_happen(domain, work, contents, &account, others)
                    .await
            {
                // it may have been set between the two
                let now = self.read_surely(domain, work, controller).await;
                return Shown::Written(Box::new(now.flatten().unwrap_or(account)));
            }
            sleep_until(answered + wait).await;
        }
        Shown::NotWritten
    }

    /// Reads the account however long it takes, which may be none; None once a domain controller that
    /// does not answer is no place to which a write can have been sent.
    async fn read_surely(
        &self,
        domain: &Domain,
        work: &Work,
        controller: &str,
    ) -> Option<Option<Account>> {
        let mut trouble = Trouble::none();
        loop {
            let directory = &domain.directory;
            match directory
                .read_account_at(work.object_guid, controller)
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

    async fn did_happen(
        &self,
        domain: &Domain,
        work: &Work,
        contents: Option<&Contents>,
        account: &Account,
        others: &Mutex<Others>,
    ) -> bool {
        let clock = domain.directory.clock_of(&account.domain_controller);
        let Some(contents) = contents else {
            return happened(&work.operation, account, None, &clock, self.rules);
        };
        if !is_set_since_admission_perhaps(&work.operation, account, &clock, self.rules) {
            return false;
        }
        let mut trouble = Trouble::none();
        loop {
            // one domain controller after the other, for as long as one try takes: what one has said is what the others
            // would say, and one that is away keeps nobody from asking them
            let mut others = others.lock().await;
            if others.have_set(account) {
                return false;
            }
            let opens = domain
                .directory
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
                    if work.operation.unlock && !work.is_late() && self.unlock(domain, work).await {
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
                        self.undo_lockout(domain, work, account).await;
                    }
                    return happened(&work.operation, account, Some(opens), &clock, self.rules);
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
    async fn undo_lockout(&self, domain: &Domain, work: &Work, before: &Account) {
        if before.locked {
            return;
        }
        let directory = &domain.directory;
        let controller = &before.domain_controller;
        for _ in 0..UNDOES_AT_MOST {
            let now = directory
                .read_account_at(work.object_guid, controller)
                .await;
            let undone = match now {
                Ok(Some(account)) if account.locked => self.unlock(domain, work).await,
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

    async fn unlock(&self, domain: &Domain, work: &Work) -> bool {
        let at = Instant::now() + self.write_time_out * 2;
        let written = domain
            .directory
            .write(work.object_guid, &PasswordWrite::Unlock, at)
            .await;
        if let Err(error) = &written {
            tracing::warn!(?error, "in doubt, and the account could not be unlocked");
        }
        written.is_ok()
    }

    pub(super) async fn standing_in_ledger(&self, work: &Work) -> Standing {
        let mut trouble = Trouble::none();
        loop {
            let asked = self.ledger.standing(work.operation.id, &work.target).await;
            let what = "in doubt, and the ledger cannot be asked yet";
            tell(&mut trouble, &asked, what);
            if let Ok(standing) = asked {
                return standing;
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }
}
