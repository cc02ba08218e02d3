//! The bound connections to one endpoint.

mod wellbeing;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use time::OffsetDateTime;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use crate::{
    ControllerReport, DirectoryError, Endpoint, RootDse,
    breaker::{Breaker, BreakerState, Failure},
    connection::Connection,
    credentials::Credentials,
    dns::Dns,
    error::ConnectError,
    facts::{Facts, LATELY},
    observe::{Counted, Watched},
    reported::Reported,
    trust::Trust,
};

/// How long a host is taken to stay at its addresses. A domain controller often serves DNS too: when it is
/// away, nobody should have to ask it first.
const ADDRESSES_HOLD: Duration = Duration::from_mins(1);

#[derive(Debug)]
struct State {
    idle: Vec<Connection>,
    breaker: Breaker,
    watched: Watched,
    /// It is asked last for a while after this.
    failed_at: Option<Instant>,
    answered_at: Option<Instant>,
    checked_at: Option<Instant>,
    checking: bool,
    last_success: Option<OffsetDateTime>,
    last_error: Option<(OffsetDateTime, DirectoryError)>,
    /// Where its name was last found.
    addresses: Vec<SocketAddr>,
    found_at: Option<Instant>,
}

/// What every pool of a directory is made with.
#[derive(Debug, Clone)]
pub(crate) struct Blueprint {
    pub(crate) trust: Arc<Trust>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) connections: usize,
    pub(crate) time_out: Duration,
    /// Where names are looked up; none leaves that to the system.
    pub(crate) dns: Option<Arc<Dns>>,
    /// Told when a breaker opens: a probe will be due.
    pub(crate) opened: Arc<Notify>,
}

#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) endpoint: Endpoint,
    pub(crate) reported: Arc<Reported>,
    pub(crate) time_out: Duration,
    pub(crate) facts: Facts,
    made_with: Blueprint,
    made_at: Instant,
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
    pub(crate) fn new(endpoint: Endpoint, made_with: &Blueprint) -> Self {
        let connections = made_with.connections.min(Semaphore::MAX_PERMITS);
        let state = State {
            idle: Vec::new(),
            breaker: Breaker::default(),
            watched: Watched::new(&endpoint, BreakerState::Closed),
            failed_at: None,
            answered_at: None,
            checked_at: None,
            checking: false,
            last_success: None,
            last_error: None,
            addresses: Vec::new(),
            found_at: None,
        };
        let reported = Reported::new(
            endpoint.clone(),
            Arc::clone(&made_with.trust),
            Arc::clone(&made_with.credentials),
        );
        Self {
            endpoint,
            reported,
            time_out: made_with.time_out,
            facts: Facts::default(),
            made_with: made_with.clone(),
            made_at: Instant::now(),
            permits: Arc::new(Semaphore::new(connections)),
            state: Mutex::new(state),
        }
    }

    /// A bound connection: an idle one, else a new one. None to a controller that is left alone.
    pub(crate) async fn lease(&self) -> Result<Lease, DirectoryError> {
        self.admit()?;
        let permits = Arc::clone(&self.permits);
        let Ok(Ok(permit)) = timeout(self.time_out, permits.acquire_owned()).await else {
            let busy = ConnectError::Unreachable("every connection is in use".to_owned());
            return Err(busy.at(&self.endpoint));
        };
        // those who had the connections may have found out meanwhile
        self.admit()?;
        if let Some(connection) = self.idle() {
            return Ok(self.lent(connection, true, permit));
        }
        if let Some(refusal) = self.standing_refusal() {
            return Err(refusal);
        }
        Ok(self.lent(self.connect().await?, false, permit))
    }

    async fn connect(&self) -> Result<Connection, DirectoryError> {
        let connection = self.open().await?;
        self.bind(&connection).await?;
        tracing::debug!(endpoint = %self.endpoint, "connected");
        Ok(connection)
    }

    async fn bind(&self, connection: &Connection) -> Result<(), DirectoryError> {
        let began = Instant::now();
        let credentials = &self.made_with.credentials;
        let bound = credentials
            .sign_in(connection, &self.endpoint, self.time_out)
            .await;
        match &bound {
            Ok(()) => {}
            Err(error @ DirectoryError::Unavailable { .. }) => {
                self.came_to_nothing(began, error);
            }
            // the controller answers; it is the account that is refused
            Err(error) => {
                let mut state = self.state();
                state.failed_at = Some(Instant::now());
                state.last_error = Some((OffsetDateTime::now_utc(), error.clone()));
            }
        }
        bound
    }

    /// An idle connection, if there is one.
    pub(crate) fn idle_lease(&self) -> Option<Lease> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(self.lent(self.idle()?, true, permit))
    }

    /// Binds a connection that was opened apart from the pool, and takes it in if there is room.
    pub(crate) async fn sign_in(&self, connection: Connection) -> Option<Lease> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        self.bind(&connection).await.ok()?;
        Some(self.lent(connection, false, permit))
    }

    fn lent(&self, connection: Connection, reused: bool, permit: OwnedSemaphorePermit) -> Lease {
        Lease {
            connection,
            reused,
            _counted: Counted::used(&self.endpoint),
            _permit: permit,
        }
    }

    /// A connection that is not bound. It is no part of the pool.
    pub(crate) async fn open(&self) -> Result<Connection, DirectoryError> {
        let opened = match self.addresses().await {
            Ok(addresses) => {
                let tls = self.made_with.trust.tls();
                Connection::open(&self.endpoint, tls, addresses, self.time_out).await
            }
            Err(problem) => Err(ConnectError::Unreachable(problem)),
        };
        if let Ok(connection) = &opened {
            self.reported.connected(connection.not_after());
        }
        opened.map_err(|error| {
            let error = error.at(&self.endpoint);
            self.failed(Failure::Unanswered, &error);
            error
        })
    }

    /// Where to connect to, if that is not left to the system. What was known serves on when nothing
    /// can be looked up.
    async fn addresses(&self) -> Result<Option<Vec<SocketAddr>>, String> {
        let Some(dns) = &self.made_with.dns else {
            return Ok(None);
        };
        {
            let state = self.state();
            if state
                .found_at
                .is_some_and(|at| at.elapsed() < ADDRESSES_HOLD)
            {
                return Ok(Some(state.addresses.clone()));
            }
        }
        match dns.addresses(&self.endpoint).await {
            Ok(addresses) => {
                let mut state = self.state();
                state.addresses.clone_from(&addresses);
                state.found_at = Some(Instant::now());
                Ok(Some(addresses))
            }
            Err(problem) => {
                let known = self.state().addresses.clone();
                if known.is_empty() {
                    Err(problem)
                } else {
                    Ok(Some(known))
                }
            }
        }
    }

    /// Takes back a connection whose last exchange ended well.
    pub(crate) fn give_back(&self, lease: Lease) {
        self.answered();
        self.state().idle.push(lease.connection);
    }

    /// An exchange failed: what is idle is as suspect as the connection it failed on.
    pub(crate) fn forget_idle(&self) {
        let suspects = std::mem::take(&mut self.state().idle);
        drop(suspects);
    }

    /// What it just said of itself.
    pub(crate) fn observe(&self, root: RootDse) {
        self.reported.remind();
        self.facts.observe(root);
    }

    /// Everything that is known of the controller.
    pub(crate) fn report(&self) -> ControllerReport {
        let root = self.facts.root();
        let root = root.as_ref();
        let state = self.state();
        ControllerReport {
            endpoint: self.endpoint.to_string(),
            host_name: root.and_then(|root| root.dns_host_name.clone()),
            site: root.and_then(|root| root.site.clone()),
            writable: self.facts.is_read_only().map(|is| !is),
            pdc: self.facts.is_pdc(),
            breaker: state.breaker.state(),
            latency: self.facts.latency(),
            clock_offset: self.facts.clock().skew(),
            policy_hints: root.and_then(RootDse::policy_hints_control),
            controller_level: root.and_then(|root| root.domain_controller_functionality),
            domain_level: root.and_then(|root| root.domain_functionality),
            forest_level: root.and_then(|root| root.forest_functionality),
            capabilities: root
                .map(|root| root.supported_capabilities.clone())
                .unwrap_or_default(),
            last_success: state.last_success,
            last_error: state.last_error.clone(),
            refusal: self.made_with.credentials.lasting_refusal(),
        }
    }

    fn idle(&self) -> Option<Connection> {
        let trusted = self.made_with.trust.tls();
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
        self.made_with.credentials.standing_refusal()
    }

    /// Never held across an await; a panic while it was held leaves nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
