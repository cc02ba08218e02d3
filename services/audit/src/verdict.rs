//! What a dead letter means (pure).

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

    /// The forest's id; none's where no forest was known yet.
    pub(crate) fn forest(&self) -> &str {
        match self {
            Self::Requests => "",
            Self::Forest(forest) => forest.as_str(),
        }
    }
}

/// What follows from a message's death.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody ever had it: nothing was written.
    Expire,
    /// It reached no forest and never will.
    Fail,
    /// A writer had it: a write may have begun.
    Reconcile(ForestId),
    /// Whoever had it may have passed it on, and that message has its own end. If it has not,
    /// the sweeper ends the operation.
    Leave,
}

impl Verdict {
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Expire => "expire",
            Self::Fail => "fail",
            Self::Reconcile(_) => "reconcile",
            Self::Leave => "leave",
        }
    }
}

/// `in_doubt`: the message may have a twin, or a write was already suspected: that nobody took
/// this one says nothing.
pub(crate) fn judge(origin: &Origin, reason: &str, attempts: u32, in_doubt: bool) -> Verdict {
    match (origin, reason) {
        (Origin::Requests | Origin::Forest(_), "expired") if attempts == 0 && !in_doubt => {
            Verdict::Expire
        }
        (Origin::Forest(forest), _) => Verdict::Reconcile(forest.clone()),
        (Origin::Requests, "delivery_limit") => Verdict::Fail,
        (Origin::Requests, _) => Verdict::Leave,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corp() -> Origin {
        Origin::of_queue("writeback.forest.corp").unwrap()
    }

    fn reconcile() -> Verdict {
        Verdict::Reconcile("corp".parse().unwrap())
    }

    #[test]
    fn what_nobody_had_is_expired() {
        assert_eq!(
            judge(&Origin::Requests, "expired", 0, false),
            Verdict::Expire
        );
        assert_eq!(judge(&corp(), "expired", 0, false), Verdict::Expire);
    }

    #[test]
    fn what_a_writer_had_is_reconciled() {
        assert_eq!(judge(&corp(), "expired", 1, false), reconcile());
        assert_eq!(judge(&corp(), "delivery_limit", 20, false), reconcile());
        assert_eq!(judge(&corp(), "rejected", 0, false), reconcile());
    }

    #[test]
    fn what_may_have_a_twin_is_never_expired_here() {
        assert_eq!(judge(&corp(), "expired", 0, true), reconcile());
        assert_eq!(judge(&Origin::Requests, "expired", 0, true), Verdict::Leave);
    }

    #[test]
    fn a_request_that_a_resolver_had_may_have_been_passed_on() {
        assert_eq!(
            judge(&Origin::Requests, "expired", 1, false),
            Verdict::Leave
        );
        assert_eq!(
            judge(&Origin::Requests, "delivery_limit", 20, false),
            Verdict::Fail
        );
    }

    #[test]
    fn only_our_queues_are_known() {
        assert_eq!(
            Origin::of_queue("writeback.requests"),
            Some(Origin::Requests)
        );
        assert_eq!(Origin::of_queue("writeback.forest.Not One"), None);
        assert_eq!(Origin::of_queue("elsewhere"), None);
    }
}
