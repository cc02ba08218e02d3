//! What a dead letter means (pure).

use std::time::Duration;

use bus::Fate;
use operation::ForestId;

/// Where a message died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Requests,
    Forest(ForestId),
}

impl Origin {
    pub(crate) fn of_queue(queue: &str) -> Option<Self> {
        if queue == "writeback.requests" {
            return Some(Self::Requests);
        }
        let forest = queue.strip_prefix("writeback.forest.")?;
        forest.parse().ok().map(Self::Forest)
    }
}

/// What a dead letter says, with what is known of its operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Death {
    /// Who can have had it in the queue it died in.
    pub(crate) fate: Fate,
    /// The message may have a twin, or a write was suspected before: that nobody took this one
    /// says nothing.
    pub(crate) in_doubt: bool,
    pub(crate) deadline_passed: bool,
    /// How often it had been given back before.
    pub(crate) given_back: u32,
}

/// What follows from a message's death.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody ever had it: nothing was written.
    Expire,
    /// Nobody began with it, and there is time to carry it out: it goes back as it was.
    HandOn,
    /// Somebody may have begun with it, and there is time to carry it out.
    GiveBack,
    /// Somebody may have begun with it: to be found out, and nothing begun any more.
    Reconcile,
}

/// A message that nobody finished with after so many tries is poison to whoever takes it.
pub(crate) const TRIES: u32 = 20;

impl Verdict {
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Expire => "expire",
            Self::HandOn => "hand-on",
            Self::GiveBack => "give-back",
            Self::Reconcile => "reconcile",
        }
    }
}

impl Death {
    pub(crate) const fn verdict(self) -> Verdict {
        match self.fate {
            Fate::Rejected if !self.deadline_passed => return Verdict::HandOn,
            Fate::Untaken | Fate::Rejected if !self.in_doubt => return Verdict::Expire,
            Fate::Untaken | Fate::Rejected | Fate::PerhapsTaken => {}
        }
        if self.deadline_passed || self.given_back >= TRIES {
            return Verdict::Reconcile;
        }
        Verdict::GiveBack
    }
}

/// How long an operation of this age that has to wait for another one rests at most before it is asked after again: the
/// longer it has waited already, the less it matters.
pub(crate) fn rest(age: time::Duration) -> Duration {
    const LONGEST: Duration = Duration::from_secs(2);
    let age = Duration::try_from(age).unwrap_or_default();
    (age / 4).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_long_is_asked_after_seldom() {
        for (age, expected) in [
            (-5, 0),
            (0, 0),
            (400, 100),
            (8_000, 2_000),
            (86_400_000, 2_000),
        ] {
            let age = time::Duration::milliseconds(age);
            assert_eq!(rest(age), Duration::from_millis(expected));
        }
    }

    const UNTAKEN: Death = Death {
        fate: Fate::Untaken,
        in_doubt: false,
        deadline_passed: true,
        given_back: 0,
    };

    #[test]
    fn what_nobody_had_is_expired() {
        assert_eq!(UNTAKEN.verdict(), Verdict::Expire);
    }

    #[test]
    fn what_somebody_had_is_never_expired_here() {
        let taken = Death {
            fate: Fate::PerhapsTaken,
            ..UNTAKEN
        };
        assert_eq!(taken.verdict(), Verdict::Reconcile);
        let in_time = Death {
            deadline_passed: false,
            ..taken
        };
        assert_eq!(in_time.verdict(), Verdict::GiveBack);
    }

    #[test]
    fn what_nobody_began_with_goes_back_while_there_is_time() {
        for in_doubt in [false, true] {
            let rejected = Death {
                fate: Fate::Rejected,
                in_doubt,
                deadline_passed: false,
                given_back: TRIES,
            };
            assert_eq!(rejected.verdict(), Verdict::HandOn);
        }
        let late = Death {
            fate: Fate::Rejected,
            ..UNTAKEN
        };
        assert_eq!(late.verdict(), Verdict::Expire);
        let late_twin = Death {
            in_doubt: true,
            ..late
        };
        assert_eq!(late_twin.verdict(), Verdict::Reconcile);
    }

    #[test]
    fn what_may_have_a_twin_is_never_expired_here() {
        let twin = Death {
            in_doubt: true,
            ..UNTAKEN
        };
        assert_eq!(twin.verdict(), Verdict::Reconcile);
    }

    #[test]
    fn poison_is_not_tried_for_ever() {
        let given_back = |given_back| Death {
            fate: Fate::PerhapsTaken,
            deadline_passed: false,
            given_back,
            ..UNTAKEN
        };
        assert_eq!(given_back(TRIES - 1).verdict(), Verdict::GiveBack);
        assert_eq!(given_back(TRIES).verdict(), Verdict::Reconcile);
    }

    #[test]
    fn only_our_queues_are_known() {
        let corp = Origin::of_queue("writeback.forest.corp");
        assert_eq!(corp, Some(Origin::Forest("corp".parse().unwrap())));
        assert_eq!(
            Origin::of_queue("writeback.requests"),
            Some(Origin::Requests)
        );
        assert_eq!(Origin::of_queue("writeback.forest.Not One"), None);
        assert_eq!(Origin::of_queue("elsewhere"), None);
    }
}
