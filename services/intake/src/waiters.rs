//! Who in this replica waits for which operation: reports from the reply queue find them here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use operation::OperationId;
use proto::v1;
use tokio::sync::oneshot;

type Waiting = HashMap<OperationId, Vec<oneshot::Sender<v1::Report>>>;

/// The callers waiting. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Waiters(Arc<Mutex<Waiting>>);

/// One caller's place. Leaving it, by an answer, a time-out or a closed connection, frees it.
pub(crate) struct Place {
    id: OperationId,
    waiters: Waiters,
    report: oneshot::Receiver<v1::Report>,
}

impl Waiters {
    /// Takes a place. Must happen before the operation is published, or its report may come first.
    pub(crate) fn wait_for(&self, id: OperationId) -> Place {
        let (sender, report) = oneshot::channel();
        self.with(|waiting| waiting.entry(id).or_default().push(sender));
        Place {
            id,
            waiters: self.clone(),
            report,
        }
    }

    /// Hands a terminal report to everybody who waits for it.
    pub(crate) fn complete(&self, id: OperationId, report: &v1::Report) {
        let senders = self.with(|waiting| waiting.remove(&id)).unwrap_or_default();
        for sender in senders {
            // A caller that has left meanwhile asks the ledger when it comes back.
            let _ = sender.send(report.clone());
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.with(|waiting| waiting.len())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Waiting) -> T) -> T {
        // Nothing inside can panic halfway through a change, so a poisoned map is still whole.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Place {
    /// The terminal report; never ends if there will be none.
    pub(crate) async fn report(&mut self) -> v1::Report {
        match (&mut self.report).await {
            Ok(report) => report,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.report.close();
        self.waiters.with(|waiting| {
            if let Some(senders) = waiting.get_mut(&self.id) {
                senders.retain(|sender| !sender.is_closed());
                if senders.is_empty() {
                    waiting.remove(&self.id);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(last: u8) -> OperationId {
        format!("0193b0de-0000-7000-8000-0000000000{last:02x}")
            .parse()
            .unwrap()
    }

    #[tokio::test]
    async fn a_report_reaches_everybody_who_waits_and_nobody_else() {
        let waiters = Waiters::default();
        let mut first = waiters.wait_for(id(1));
        let mut second = waiters.wait_for(id(1));
        let other = waiters.wait_for(id(2));
        let report = v1::Report {
            operation_id: id(1).to_string(),
            ..v1::Report::default()
        };
        waiters.complete(id(1), &report);
        assert_eq!(first.report().await, report);
        assert_eq!(second.report().await, report);
        assert_eq!(waiters.len(), 1);
        drop(other);
        assert_eq!(waiters.len(), 0);
    }

    #[test]
    fn whoever_leaves_frees_only_their_own_place() {
        let waiters = Waiters::default();
        let first = waiters.wait_for(id(1));
        let second = waiters.wait_for(id(1));
        drop(first);
        assert_eq!(waiters.len(), 1);
        drop(second);
        assert_eq!(waiters.len(), 0);
        waiters.complete(id(1), &v1::Report::default());
    }
}
