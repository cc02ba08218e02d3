//! Which replica of audit is asked: each in turn, but for those that left somebody without an answer.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tonic::transport::{Channel, Endpoint};

/// How long one that did not answer is left alone; then one call tries it again.
const LEFT_ALONE: Duration = Duration::from_secs(10);

/// The addresses of the configuration, and where they lead.
#[derive(Debug)]
pub(super) struct Replicas {
    all: Vec<Arc<Replica>>,
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Replica {
    endpoint: Endpoint,
    addresses: Addresses,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    channel: Channel,
    /// Grows with each new channel.
    generation: u64,
    left_alone_until: Option<Instant>,
}

/// One replica as it was chosen for a call.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    replica: Arc<Replica>,
    generation: u64,
    pub(super) channel: Channel,
}

impl Replicas {
    pub(super) fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            all: endpoints.into_iter().map(Replica::new).collect(),
            turn: AtomicUsize::new(some_number()),
        }
    }

    /// One that was not tried yet, and that is well as far as is known; else the one that has been left
    /// alone for the longest. None only if there is none at all.
    pub(super) fn choose(&self, tried: &[Chosen]) -> Option<Chosen> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (before, after) = self.all.split_at(turn.checked_rem(self.all.len())?);
        let in_turn = || after.iter().chain(before);
        let untried = |replica: &&Arc<Replica>| {
            !tried
                .iter()
                .any(|tried| Arc::ptr_eq(&tried.replica, replica))
        };
        let now = Instant::now();
        in_turn()
            .filter(untried)
            .find(|replica| replica.may_be_asked(now))
            .or_else(|| {
                in_turn()
                    .filter(untried)
                    .min_by_key(|replica| replica.state().left_alone_until)
            })
            .or_else(|| in_turn().next())
            .map(Replica::chosen)
    }
}

impl Replica {
    fn new(endpoint: Endpoint) -> Arc<Self> {
        let addresses = Addresses(Arc::new(AtomicUsize::new(some_number())));
        let state = State {
            channel: addresses.channel(&endpoint),
            generation: 0,
            left_alone_until: None,
        };
        Arc::new(Self {
            endpoint,
            addresses,
            state: Mutex::new(state),
        })
    }

    /// When it has been left alone for long enough, whoever asks first tries it, and the others wait
    /// for what comes of it.
    fn may_be_asked(&self, now: Instant) -> bool {
        let mut state = self.state();
        match state.left_alone_until {
            None => true,
            Some(until) if until <= now => {
                state.left_alone_until = Some(now + LEFT_ALONE);
                true
            }
            Some(_) => false,
        }
    }

    fn chosen(self: &Arc<Self>) -> Chosen {
        let state = self.state();
        Chosen {
            replica: Arc::clone(self),
            generation: state.generation,
            channel: state.channel.clone(),
        }
    }

    /// Never held across an await; each change is one statement.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chosen {
    pub(super) fn answered(&self) {
        let mut state = self.replica.state();
        if state.generation == self.generation {
            state.left_alone_until = None;
        }
    }

    /// The connection is gone, or none was made: the next goes to the next address by itself.
    pub(super) fn lost(&self) {
        self.replica.state().left_alone_until = Some(Instant::now() + LEFT_ALONE);
    }

    /// No answer, though the connection stands: the next call goes over a new one, which leads to
    /// another address if the name has several. What is still under way there may end.
    pub(super) fn hung(&self) {
        let mut state = self.replica.state();
        state.left_alone_until = Some(Instant::now() + LEFT_ALONE);
        // of many calls over one channel the first replaces it
        if state.generation == self.generation {
            state.generation += 1;
            state.channel = self.replica.addresses.channel(&self.replica.endpoint);
        }
    }
}

/// The addresses of a name: each new connection takes the next, so that of a name with several (a
/// headless service of Kubernetes) the one that hangs is not asked again and again.
#[derive(Debug, Clone)]
struct Addresses(Arc<AtomicUsize>);

impl Addresses {
    fn channel(&self, endpoint: &Endpoint) -> Channel {
        let turn = Arc::clone(&self.0);
        let connector = tower::service_fn(move |uri: Uri| {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            connect(uri, turn)
        });
        endpoint.connect_with_connector_lazy(connector)
    }
}

/// The endpoint's time-out to connect holds for all of it.
async fn connect(uri: Uri, turn: usize) -> io::Result<TokioIo<TcpStream>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let host = uri.host().ok_or_else(invalid)?;
    // an IPv6 address stands in brackets (RFC 3986 3.2.2)
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let mut addresses: Vec<_> = lookup_host((host, port)).await?.collect();
    // name servers shuffle them
    addresses.sort_unstable();
    addresses.dedup();
    let (before, after) = addresses.split_at(turn.checked_rem(addresses.len()).unwrap_or(0));
    let mut problem = io::Error::from(io::ErrorKind::NotFound);
    for address in after.iter().chain(before) {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(TokioIo::new(stream));
            }
            Err(error) => problem = error,
        }
    }
    Err(problem)
}

/// So that not everybody begins with the same replica; as random as the keys of the standard library's
/// hash maps.
fn some_number() -> usize {
    // half of it, so that counting on does not overflow
    usize::try_from(RandomState::new().build_hasher().finish() >> 33).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicas(count: usize) -> Replicas {
        let endpoint =
            |number| Endpoint::from_shared(format!("http://127.0.0.1:{number}")).unwrap();
        Replicas::new((1..=count).map(endpoint).collect())
    }

    fn name(chosen: &Chosen) -> String {
        chosen.replica.endpoint.uri().to_string()
    }

    #[tokio::test]
    async fn each_is_asked_in_turn_but_not_who_hangs() {
        let replicas = replicas(3);
        let choose = || replicas.choose(&[]).unwrap();
        let first: std::collections::BTreeSet<_> = (0..3).map(|_| name(&choose())).collect();
        assert_eq!(first.len(), 3);
        let hanging = choose();
        hanging.hung();
        for _ in 0..9 {
            assert_ne!(name(&choose()), name(&hanging));
        }
        // one call tries it again, and it is as before when that is answered
        hanging.replica.state().left_alone_until = Some(Instant::now());
        let next: Vec<_> = (0..9).map(|_| choose()).collect();
        let tried: Vec<_> = { next.iter() }
            .filter(|next| name(next) == name(&hanging))
            .collect();
        let [tried] = tried[..] else {
            panic!("tried {} times", tried.len());
        };
        assert_ne!(
            tried.generation, hanging.generation,
            "over another connection"
        );
        hanging.answered();
        assert!(
            hanging.replica.state().left_alone_until.is_some(),
            "an answer from before"
        );
        tried.answered();
        assert!((0..3).any(|_| name(&choose()) == name(&hanging)));
    }

    #[tokio::test]
    async fn if_all_hang_all_are_asked() {
        let replicas = replicas(2);
        let mut tried = Vec::new();
        for _ in 0..2 {
            let chosen = replicas.choose(&tried).unwrap();
            chosen.hung();
            tried.push(chosen);
        }
        assert_ne!(name(&tried[0]), name(&tried[1]));
        let again: std::collections::BTreeSet<_> = (0..2)
            .map(|_| {
                let chosen = replicas.choose(&[]).unwrap();
                chosen.hung();
                name(&chosen)
            })
            .collect();
        assert_eq!(again.len(), 2);
        assert!(replicas.choose(&tried).is_some());
        assert!(super::Replicas::new(Vec::new()).choose(&[]).is_none());
    }
}
