//! The bound connections to one endpoint.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use crate::{
    DirectoryError, Endpoint, RootDse, clock::ControllerClock, connection::Connection,
    credentials::Credentials, error::ConnectError, observe::Counted, reported::Reported,
    trust::Trust,
};

/// How long an endpoint that failed is asked last.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How long an answer proves that a connection is alive, and an observation that the controller's
/// clock runs as we know it. The golden section of a second: observations at this distance fall
/// evenly over the second that `currentTime` is cut to, which narrows the clock's offset fastest.
pub(crate) const LATELY: Duration = Duration::from_millis(618);

/// How long a reset that left the password valid proves that the next one will. The right is one on
/// the domain object, the same for everybody in it, and hardly ever taken away; to read every account
/// again would cost each reset a round trip. Where it was found missing, every reset is looked at.
const UNEXPIRE_PROVEN_FOR: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    clock: ControllerClock,
    policy_hints: Option<&'static str>,
    clock_observed_at: Option<Instant>,
    unexpire_proven_at: Option<Instant>,
    failed_at: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) endpoint: Endpoint,
    pub(crate) trust: Arc<Trust>,
    pub(crate) reported: Arc<Reported>,
    pub(crate) time_out: Duration,
    credentials: Arc<Credentials>,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

/// A connection in use. Given back with [`Pool::give_back`]; dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) connection: Connection,
    /// It was used before, and may have died since.
    pub(crate) reused: bool,
    _counted: Counted,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// It answered a moment ago.
    pub(crate) fn is_proven(&self) -> bool {
        self.connection.answered_within(LATELY)
    }
}

impl Pool {
    pub(crate) fn new(
        endpoint: Endpoint,
        trust: Arc<Trust>,
        credentials: Arc<Credentials>,
        connections: usize,
        time_out: Duration,
    ) -> Self {
        let reported = Reported::new(
            endpoint.clone(),
            Arc::clone(&trust),
            Arc::clone(&credentials),
        );
        Self {
            endpoint,
            trust,
            reported,
            time_out,
            credentials,
            permits: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            state: Mutex::default(),
        }
    }

    /// A bound connection: an idle one, else a new one.
    pub(crate) async fn lease(&self) -> Result<Lease, DirectoryError> {
        let permits = Arc::clone(&self.permits);
        let Ok(Ok(permit)) = timeout(self.time_out, permits.acquire_owned()).await else {
            let busy = ConnectError::Unreachable("every connection is in use".to_owned());
            return Err(busy.at(&self.endpoint));
        };
        if let Some(connection) = self.idle() {
            return Ok(Lease {
                connection,
                reused: true,
                _counted: Counted::used(&self.endpoint),
                _permit: permit,
            });
        }
        if let Some(refusal) = self.standing_refusal() {
            return Err(refusal);
        }
        match self.connect().await {
            Ok(connection) => Ok(Lease {
                connection,
                reused: false,
                _counted: Counted::used(&self.endpoint),
                _permit: permit,
            }),
            Err(error) => {
                self.failed();
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<Connection, DirectoryError> {
        let tls = self.trust.tls();
        let connection = Connection::open(&self.endpoint, tls, self.time_out)
            .await
            .map_err(|error| error.at(&self.endpoint))?;
        self.reported.connected(connection.not_after());
        self.credentials
            .sign_in(&connection, &self.endpoint, self.time_out)
            .await?;
        tracing::debug!(endpoint = %self.endpoint, "connected");
        Ok(connection)
    }

    /// Takes back a connection whose last exchange ended well.
    pub(crate) fn give_back(&self, lease: Lease) {
        let mut state = self.state();
        state.failed_at = None;
        state.idle.push(lease.connection);
    }

    /// An exchange failed: what is idle is as suspect as the connection it failed on.
    pub(crate) fn forget_idle(&self) {
        let suspects = std::mem::take(&mut self.state().idle);
        drop(suspects);
    }

    pub(crate) fn failed(&self) {
        self.state().failed_at = Some(Instant::now());
    }

    /// Failed a moment ago: others are asked first.
    pub(crate) fn rests(&self) -> bool {
        self.state()
            .failed_at
            .is_some_and(|at| at.elapsed() < REST_AFTER_FAILURE)
    }

    pub(crate) fn observe(&self, root: &RootDse) {
        self.reported.remind();
        let mut state = self.state();
        state
            .clock
            .observe(root.sent, root.received, root.current_time);
        state.policy_hints = root.policy_hints_control();
        state.clock_observed_at = Some(Instant::now());
    }

    /// The policy-hints control that the controller named when it was last asked.
    pub(crate) fn policy_hints(&self) -> Option<&'static str> {
        self.state().policy_hints
    }

    /// The clock was observed a moment ago: were it set since, we would not know.
    pub(crate) fn clock_is_fresh(&self) -> bool {
        self.state()
            .clock_observed_at
            .is_some_and(|at| at.elapsed() < LATELY)
    }

    /// A reset here left the password valid a while ago.
    pub(crate) fn unexpire_is_proven(&self) -> bool {
        self.state()
            .unexpire_proven_at
            .is_some_and(|at| at.elapsed() < UNEXPIRE_PROVEN_FOR)
    }

    pub(crate) fn unexpire_seen(&self, valid: bool) {
        self.state().unexpire_proven_at = valid.then(Instant::now);
    }

    pub(crate) fn clock(&self) -> ControllerClock {
        self.state().clock.clone()
    }

    fn idle(&self) -> Option<Connection> {
        let trusted = self.trust.tls();
        let mut state = self.state();
        while let Some(mut connection) = state.idle.pop() {
            if !connection.is_closed() && connection.is_trusted_by(&trusted) {
                return Some(connection);
            }
        }
        None
    }

    /// The service account was refused a moment ago, here or at another of the same directory.
    pub(crate) fn standing_refusal(&self) -> Option<DirectoryError> {
        self.credentials.standing_refusal()
    }

    /// Never held across an await; a panic while it was held leaves nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
