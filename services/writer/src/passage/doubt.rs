//! What is not known is found out: whether a write that may have been sent has happened.

use std::collections::BTreeSet;

use directory::{
    Account, Explained, LateAnswer, PwdLastSet, WriteReceipt, rules::is_expired_at_once,
};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use operation::{Applied, Outcome, Reason, Refusal};
use proto::{to_micros, v1};
use sealing::Contents;
use telemetry::trouble::Trouble;
use tokio::time::{Instant, sleep};

use super::{
    ASK_AGAIN_AFTER, End, Passage,
    inquiry::{Inquiry, Shown},
};
use crate::{
    Domain,
    decide::Sent,
    ledger::{Standing, tell},
    observe::Doubt,
    work::Work,
};

/// A modify whose answer was lost, or has not come in time.
pub(super) struct Lost<'a> {
    /// Where it was sent to.
    pub(super) domain_controller: String,
    pub(super) before: &'a Account,
    pub(super) sent: Sent,
    /// The answer, if it may come yet.
    pub(super) late: Option<Box<LateAnswer>>,
}

/// What came of it.
enum Learnt {
    Answered(Result<WriteReceipt, Explained>),
    Seen(Shown),
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

impl Passage {
    /// The modify was sent and its answer did not come: found out however long it takes, holding the message.
    pub(super) async fn reconcile(
        &self,
        domain: &Domain,
        work: &mut Work,
        contents: Option<&Contents>,
        lost: Lost<'_>,
    ) -> End {
        self.observer.in_doubt(Doubt::AnswerLost);
        let _in_doubt = self.doubts.enter(Instant::now());
        let (before, sent) = (lost.before, lost.sent);
        let written = match self.learn(domain, work, contents, lost).await {
            Learnt::Answered(answer) => {
                let told = match &answer {
                    Ok(_) => "the answer came late: it was written",
                    Err(_) => "the answer came late: it was refused",
                };
                work.step(&self.service, "reconciled", told);
                self.observer.reconciled(answer.is_ok());
                return match answer {
                    Ok(receipt) => self.written(domain, work, before, receipt),
                    Err(explained) => Refusal::from(explained).into(),
                };
            }
            Learnt::Seen(Shown::Written(account)) => Some(account),
            Learnt::Seen(Shown::NotWritten) => None,
            // what it had written before it was taken out of service, the others have from it
            Learnt::Seen(Shown::Gone) => self.look_everywhere(domain, work, contents).await,
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

    /// Looks, and listens for the answer as long as it may come: until it has, or its connection is lost, "not" is nothing
    /// that looking can tell. A domain controller that keeps one request waiting answers others.
    async fn learn(
        &self,
        domain: &Domain,
        work: &Work,
        contents: Option<&Contents>,
        lost: Lost<'_>,
    ) -> Learnt {
        let Lost {
            domain_controller,
            before,
            late,
            ..
        } = lost;
        let is_other = |account: &Account| {
            !work.operation.kind.sets_password() || account.pwd_last_set != before.pwd_last_set
        };
        // it tells no password from another: each would be tried at each look
        let is_zero = |account: &Account| account.pwd_last_set == PwdLastSet::MustChange;
        let inquiry = Inquiry::new(self, domain, work, contents);
        if let Some(mut late) = late {
            let is_touched = |account: &Account| is_other(account) && !is_zero(account);
            let looks = async {
                loop {
                    match inquiry.look_at(&domain_controller, is_touched).await {
                        Shown::NotWritten => {}
                        shown => break shown,
                    }
                }
            };
            tokio::pin!(looks);
            let answer = tokio::select! {
                answer = late.come() => answer,
                shown = &mut looks => return Learnt::Seen(shown),
            };
            tokio::select! {
                biased;
                () = inquiry.tries_nothing() => {}
                shown = &mut looks => if answer.is_none() {
                    return Learnt::Seen(shown);
                },
            }
            if let Some(answer) = answer {
                return Learnt::Answered(answer);
            }
        }
        let is_touched = |account: &Account| is_other(account) || is_zero(account);
        Learnt::Seen(inquiry.look_at(&domain_controller, is_touched).await)
    }

    /// Looks for a write that nobody knows where it was sent to: the account, if it has happened.
    ///
    /// Domain controllers tell each other what was written, but not at once, and one that is away has
    /// told nobody. So "not" is said only when every one that may have been sent it has said so; the
    /// first that shows it is enough.
    pub(super) async fn look_everywhere(
        &self,
        domain: &Domain,
        work: &Work,
        contents: Option<&Contents>,
    ) -> Option<Box<Account>> {
        let inquiry = &Inquiry::new(self, domain, work, contents);
        let mut asked = BTreeSet::new();
        let mut looks = FuturesUnordered::new();
        let mut trouble = Trouble::none();
        loop {
            // more may have become known meanwhile
            for controller in domain.directory.perhaps_written_at() {
                if asked.insert(controller.clone()) {
                    looks.push(async move { inquiry.look_at(&controller, |_| true).await });
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

    /// What the ledger knows, if it answers now.
    pub(super) async fn standing(&self, work: &Work) -> Result<Standing, String> {
        self.ledger.standing(work.operation.id, &work.target).await
    }

    pub(super) async fn standing_in_ledger(&self, work: &Work) -> Standing {
        let mut trouble = Trouble::none();
        loop {
            let asked = self.standing(work).await;
            let what = "in doubt, and the ledger cannot be asked yet";
            tell(&mut trouble, &asked, what);
            if let Ok(standing) = asked {
                return standing;
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }
}
