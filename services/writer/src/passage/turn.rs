//! Whose turn it is: passwords of one person are set in the order of their admission, and of one account one at a time.
//!
//! An operation that has to wait gives way to what is behind it in the queue, where the earlier one may well be: were it
//! to wait in its place, a few of them would take all places there are, and nobody's turn would come.

use std::time::Duration;

use bus::Delivery;
use operation::{OperationId, Reason, Refusal};
use telemetry::trouble::Trouble;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, sleep_until};

use super::{ASK_AGAIN_AFTER, Passage, Passed};
use crate::{
    ledger::{Claim, Late, tell, tell_of_all},
    work::Work,
};

/// How soon the ledger is asked again whether an earlier operation has ended: its end may be on its way there.
const ASK_AT_FIRST_AFTER: Duration = Duration::from_millis(20);
/// The longest it comes to, doubled each time.
const ASK_AT_LAST_AFTER: Duration = Duration::from_millis(100);
/// What may lie between the times of two clocks of ours that tell how long something took.
const CLOSE: Duration = Duration::from_millis(100);
/// As many as end while an operation keeps its place: who waits for more gives way at once.
const FEW: u32 = 2;
/// For how long an operation keeps its place while it waits.
const WAITS_IN_PLACE: Duration = Duration::from_millis(250);
/// From when on the ledger is asked to let a later operation go first; it has the last word (`OVERTAKEN_AFTER`).
const OVERTAKES_AFTER: time::Duration = time::Duration::seconds(15);
/// When a write that was not taken up in the ledger has ended at the latest, since admission. The ledger counts on it: it
/// lets a later operation go first only some seconds after.
const UNTAKEN_ENDS_WITHIN: Duration = Duration::from_secs(10);
/// For what comes between deciding that and the write: a connection to be had.
const ROOM: Duration = Duration::from_secs(1);

/// Whether a late write may begin.
pub(super) enum Beginning {
    /// And by when it must have ended, if not by the deadline only.
    Allowed(Option<Instant>),
    Over(Passed),
}

/// Whether an account may be written to.
pub(super) enum Claimed {
    Ours {
        /// What was read of it since may be as it was before another operation's write.
        look_again: bool,
        /// The ledger knows that neither this operation nor a newer one has ended, or that one has. None where it could not
        /// be asked.
        none_ended: Option<bool>,
    },
    /// Another operation keeps it.
    Held,
    /// Another delivery of this operation keeps it.
    HeldByTwin,
}

/// The place of an operation that waits, at a writer.
struct Place {
    keeps: bool,
    until: Instant,
    pause: Duration,
}

impl Place {
    fn of(delivery: &Delivery) -> Self {
        Self {
            // that somebody may have begun with it is known of this delivery alone
            keeps: delivery.redelivered || delivery.attempts > 0,
            until: Instant::now() + WAITS_IN_PLACE,
            pause: ASK_AT_FIRST_AFTER,
        }
    }

    /// A while, if it still has the place.
    async fn waited(&mut self, delivery: &Delivery) -> bool {
        let now = Instant::now();
        if now >= self.until && !self.keeps || !delivery.is_held() {
            return false;
        }
        let next = now + self.pause;
        sleep_until(if self.keeps {
            next
        } else {
            next.min(self.until)
        })
        .await;
        self.pause = (self.pause * 2).min(ASK_AT_LAST_AFTER);
        true
    }
}

impl Passage {
    /// Whether the operation has to wait longer than it may keep its place, or has lost it: it is to give way.
    pub(super) async fn gives_way(&self, work: &Work, delivery: &Delivery) -> bool {
        let mut trouble = Trouble::none();
        let mut place = Place::of(delivery);
        loop {
            let waits_for = self.waits_for(work.operation.id).await;
            let what = "the ledger cannot be asked for an earlier operation yet";
            tell(&mut trouble, &waits_for, what);
            if waits_for == Ok(0) || work.is_late() {
                return false;
            }
            let long = waits_for.is_ok_and(|waits_for| waits_for > FEW);
            if long && !place.keeps || !place.waited(delivery).await {
                return true;
            }
        }
    }

    /// Claims the account, which was looked at from `since` on. Where the ledger does not answer it is not waited for:
    /// what it has admitted is carried out without it.
    pub(super) async fn claim(&self, work: &Work, delivery: &Delivery, since: Instant) -> Claimed {
        let mut place = Place::of(delivery);
        let mut look_again = false;
        loop {
            let claimant = Some(work.tenure.claimant());
            let claim = self
                .ledger
                .claim(work.operation.id, &work.target, claimant)
                .await;
            let what = "accounts cannot be claimed: operations that name a person differently may be written in any order";
            tell_of_all(&self.unclaimed, &claim, what);
            match claim {
                Ok(Claim::Granted {
                    other_ended_ago,
                    none_ended_since,
                }) => {
                    look_again |= other_ended_ago.is_some_and(|ago| ago < since.elapsed() + CLOSE);
                    work.tenure.begin();
                    return Claimed::Ours {
                        look_again,
                        none_ended: Some(none_ended_since),
                    };
                }
                Ok(Claim::Held) if !work.is_late() => {}
                // its end is this one's: also one that is late has to wait for that
                Ok(Claim::HeldByTwin) => {}
                // the time that went by is none in which the account could not have been written to
                Ok(Claim::Held) | Err(_) => {
                    return Claimed::Ours {
                        look_again: true,
                        none_ended: None,
                    };
                }
            }
            look_again = true;
            if !place.waited(delivery).await {
                return match claim {
                    Ok(Claim::HeldByTwin) => Claimed::HeldByTwin,
                    _ => Claimed::Held,
                };
            }
        }
    }

    /// How many operations are left to wait for. What was waited for may have ended, or been overtaken, while something
    /// before it has not: it need not have waited itself to be refused.
    async fn waits_for(&self, id: OperationId) -> Result<u32, String> {
        while let Some(predecessor) = self.ledger.predecessor(id).await? {
            let since = OffsetDateTime::now_utc() - predecessor.admitted_at;
            if since < OVERTAKES_AFTER
                || predecessor.heard_of
                || !self.ledger.overtake(predecessor.id, &self.service).await?
            {
                return Ok(predecessor.waiting);
            }
        }
        Ok(0)
    }

    /// Asks the ledger once it is so late that a later operation on the person may have gone first.
    /// Waits for its answer while the operation can be carried out here.
    pub(super) async fn may_begin(&self, work: &mut Work, delivery: &Delivery) -> Beginning {
        if work.taken_up {
            return Beginning::Allowed(None);
        }
        // before the clock that counts since admission is read: standing still in between gives no more time
        let now = Instant::now();
        let since = OffsetDateTime::now_utc() - work.operation.admitted_at;
        let since = Duration::try_from(since).unwrap_or_default();
        let left = UNTAKEN_ENDS_WITHIN.saturating_sub(since);
        if left > self.write_time_out + ROOM {
            return Beginning::Allowed(Some(now + left));
        }
        let mut trouble = Trouble::none();
        loop {
            let late = self.ledger.take_up(work.operation.id, &self.service).await;
            let what = "late, and the ledger cannot be asked yet whether it may begin";
            tell(&mut trouble, &late, what);
            match late {
                Ok(Late::TakenUp) => {
                    work.taken_up = true;
                    return Beginning::Allowed(None);
                }
                Ok(Late::Ended(status)) => {
                    tracing::info!(%status, "ended already");
                    return Beginning::Over(Passed::Elsewhere);
                }
                Ok(Late::Overtaken) => {
                    let refusal = Refusal::new(
                        Reason::Superseded,
                        "a later operation on the person went first: nothing had been heard of this one for long",
                    );
                    return Beginning::Over(refusal.into());
                }
                Err(_) => {}
            }
            // the message has gone to another writer
            if !delivery.is_held() {
                return Beginning::Over(Passed::Elsewhere);
            }
            // refused as too late by whoever called
            if work.is_late() {
                return Beginning::Allowed(Some(Instant::now()));
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }
}
