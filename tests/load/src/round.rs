//! One round: as many operations as fit, so many at a time.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    time::{Duration, Instant},
};

use futures_util::future::join_all;

/// Something that carries out one operation after the other.
pub(crate) trait Worker {
    type Operation;
    async fn carry_out(&mut self, operation: Self::Operation) -> anyhow::Result<()>;
}

/// What a round brought.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Operations that ended within the round.
    pub(crate) counted: usize,
    pub(crate) lasted: Duration,
    /// Of all operations, those that were still under way at the end included.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) failures: Vec<String>,
}

impl Round {
    /// A round that could not even be prepared.
    pub(crate) fn failed(error: &anyhow::Error) -> Self {
        Self {
            failures: vec![format!("{error:#}")],
            ..Self::default()
        }
    }
}

/// Keeps every worker busy until the time is up or the operations are used up; what is under way then may end, but is
/// not counted.
pub(crate) async fn round<W: Worker>(
    workers: &mut [W],
    operations: &mut VecDeque<W::Operation>,
    length: Duration,
) -> Round {
    let queue = RefCell::new(operations);
    let result = RefCell::new(Round::default());
    let used_up: Cell<Option<Instant>> = Cell::new(None);
    let began = Instant::now();
    let ended = RefCell::new(Vec::new());
    join_all(workers.iter_mut().map(|worker| async {
        while began.elapsed() < length && used_up.get().is_none() {
            let Some(operation) = queue.borrow_mut().pop_front() else {
                used_up.set(Some(Instant::now()));
                return;
            };
            let sent = Instant::now();
            let outcome = worker.carry_out(operation).await;
            let end = Instant::now();
            ended.borrow_mut().push(end);
            let mut result = result.borrow_mut();
            match outcome {
                Ok(()) => result.latencies.push(end - sent),
                Err(error) => result.failures.push(format!("{error:#}")),
            }
        }
    }))
    .await;
    let end = used_up.get().unwrap_or(began + length).min(began + length);
    let mut result = result.into_inner();
    result.lasted = end - began;
    result.counted = ended.into_inner().iter().filter(|at| **at <= end).count();
    result
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    struct Counter(u32);

    impl Worker for Counter {
        type Operation = u32;
        async fn carry_out(&mut self, operation: u32) -> anyhow::Result<()> {
            tokio::task::yield_now().await;
            self.0 += 1;
            if operation == 13 {
                bail!("an unlucky one");
            }
            Ok(())
        }
    }

    #[tokio::test]
    async fn ends_when_the_operations_are_used_up() {
        let mut workers = [Counter(0), Counter(0), Counter(0)];
        let mut operations = (0..50).collect();
        let round = round(&mut workers, &mut operations, Duration::from_hours(1)).await;
        assert_eq!(workers.iter().map(|worker| worker.0).sum::<u32>(), 50);
        assert!(workers.iter().all(|worker| worker.0 > 10));
        assert_eq!(round.latencies.len(), 49);
        assert_eq!(round.failures, ["an unlucky one"]);
        assert!(round.counted >= 48 && round.lasted < Duration::from_hours(1));
    }

    #[tokio::test]
    async fn begins_nothing_when_the_time_is_up() {
        let mut operations = (0..50).collect();
        let round = round(&mut [Counter(0)], &mut operations, Duration::ZERO).await;
        assert_eq!((round.counted, operations.len()), (0, 50));
    }
}
