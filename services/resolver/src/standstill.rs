//! A domain that stands still must not hold up lookups in others: its own are bounded, and refused
//! at once while nothing comes back.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use directory::DirectoryError;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

/// How long a lookup waits for others of its domain to come back.
const PATIENCE: Duration = Duration::from_millis(500);

/// A failure this soon after an answer is a mishap of its own.
const STANDS_STILL_AFTER: Duration = Duration::from_secs(2);

/// Lets a bounded number of lookups at a domain, and one at a time once it has stopped answering.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    silence: Silence,
    answered_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// As far as is known, it answers.
    None,
    /// It did not answer, and nobody is asking it.
    Quiet,
    /// It did not answer, and somebody is asking it again.
    Probed,
}

/// What is made of a lookup that was not let at its domain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unasked {
    #[error("the domain has stopped answering")]
    Silent,
    #[error("the domain answers too slowly: too many lookups wait for it")]
    Crowded,
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Ends the probe however the lookup ends, also by being dropped.
struct Probe<'a>(&'a Gate);

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if state.silence == Silence::Probed {
            state.silence = Silence::Quiet;
        }
    }
}

impl Gate {
    /// For a resolver that has this many requests under way: half of them may be stuck here.
    pub(crate) fn new(requests_under_way: usize) -> Self {
        let places = (requests_under_way / 2).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            places: Semaphore::new(places),
            state: Mutex::new(State {
                silence: Silence::None,
                answered_at: None,
            }),
        }
    }

    pub(crate) async fn pass<T>(
        &self,
        lookup: impl Future<Output = Result<T, DirectoryError>>,
    ) -> Result<T, Unasked> {
        let Ok(Ok(_place)) = timeout(PATIENCE, self.places.acquire()).await else {
            return Err(Unasked::Crowded);
        };
        let _probe = {
            let mut state = self.state();
            match state.silence {
                Silence::None => None,
                Silence::Probed => return Err(Unasked::Silent),
                Silence::Quiet => {
                    state.silence = Silence::Probed;
                    Some(Probe(self))
                }
            }
        };
        let answer = lookup.await;
        let mut state = self.state();
        if matches!(answer, Err(DirectoryError::Unavailable { .. })) {
            let answered_lately = state
                .answered_at
                .is_some_and(|at| at.elapsed() < STANDS_STILL_AFTER);
            // one that was already under way says nothing new of a domain that is being probed
            if state.silence == Silence::None && !answered_lately {
                state.silence = Silence::Quiet;
            }
        } else {
            state.silence = Silence::None;
            state.answered_at = Some(Instant::now());
        }
        drop(state);
        Ok(answer?)
    }

    /// Never held across an await, and nothing inside can panic halfway through a change.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::{FutureExt as _, future::join};
    use tokio::sync::oneshot;

    use super::*;

    fn unavailable() -> DirectoryError {
        DirectoryError::Unavailable {
            endpoint: "ldaps://dc1.corp.example.com:636".to_owned(),
            cause: "no answer".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_domain_that_does_not_answer_is_asked_by_one_at_a_time() {
        let gate = Gate::new(8);
        let failed = gate.pass(ready(Err::<(), _>(unavailable()))).await;
        assert!(matches!(failed, Err(Unasked::Directory(_))), "{failed:?}");
        let (answer, answered) = oneshot::channel();
        let probe = gate.pass(async {
            answered.await.unwrap();
            Ok(())
        });
        let others = async {
            let refused = gate.pass(pending::<Result<(), _>>()).await;
            answer.send(()).unwrap();
            refused
        };
        let (probed, refused) = join(probe, others).await;
        assert!(matches!(refused, Err(Unasked::Silent)), "{refused:?}");
        assert!(probed.is_ok(), "{probed:?}");
        assert!(gate.pass(ready(Ok(()))).await.is_ok(), "it answers again");
    }

    #[tokio::test]
    async fn a_mishap_shuts_nobody_out() {
        let gate = Gate::new(8);
        assert!(gate.pass(ready(Ok(()))).await.is_ok());
        let failed = gate.pass(ready(Err::<(), _>(unavailable()))).await;
        assert!(failed.is_err());
        let mut under_way = Box::pin(gate.pass(pending::<Result<(), _>>()));
        assert!(under_way.as_mut().now_or_never().is_none());
        assert!(gate.pass(ready(Ok(()))).await.is_ok());
    }

    #[tokio::test]
    async fn a_probe_that_is_given_up_lets_the_next_one_in() {
        let gate = Gate::new(8);
        let _ = gate.pass(ready(Err::<(), _>(unavailable()))).await;
        let mut given_up = Box::pin(gate.pass(pending::<Result<(), _>>()));
        assert!(given_up.as_mut().now_or_never().is_none());
        drop(given_up);
        assert!(gate.pass(ready(Ok(()))).await.is_ok());
    }

    #[tokio::test]
    async fn lookups_that_do_not_come_back_leave_room_for_other_domains() {
        let gate = Gate::new(2);
        let mut stuck = Box::pin(gate.pass(pending::<Result<(), _>>()));
        assert!(stuck.as_mut().now_or_never().is_none());
        let crowded = gate.pass(ready(Ok(()))).await;
        assert!(matches!(crowded, Err(Unasked::Crowded)), "{crowded:?}");
    }
}
