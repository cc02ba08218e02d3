//! What the directory tells of itself: a span and a duration for each exchange with a domain
//! controller, and how many connections there are.

use std::{sync::OnceLock, time::Instant};

use opentelemetry::{
    KeyValue,
    metrics::{Histogram, UpDownCounter},
};
use telemetry::{metric, span};
use tracing::Instrument as _;

use crate::{BreakerState, Endpoint, connection::CallError, error::ConnectError};

/// What an exchange ended with, for telemetry.
pub(crate) trait Ended {
    /// RFC 4511 4.1.9, if there was an answer.
    fn result(&self) -> Option<u32>;
    /// Why there was none: one of a small set.
    fn error(&self) -> &'static str;
}

impl<T: Answered> Ended for Result<T, CallError> {
    fn result(&self) -> Option<u32> {
        self.as_ref().ok().map(Answered::code)
    }
    fn error(&self) -> &'static str {
        match self {
            Ok(answer) if answer.code() == 0 => "",
            Ok(_) => "refused",
            Err(CallError::NotSent) => "not-sent",
            Err(CallError::Lost(_)) => "lost",
        }
    }
}

impl<T> Ended for Result<T, ConnectError> {
    fn result(&self) -> Option<u32> {
        None
    }
    fn error(&self) -> &'static str {
        match self {
            Ok(_) => "",
            Err(ConnectError::Unreachable(_)) => "unreachable",
            Err(ConnectError::Untrusted(_)) => "untrusted",
            Err(ConnectError::BindRefused(_) | ConnectError::WrongPassword) => "refused",
        }
    }
}

/// An answer with a result code.
pub(crate) trait Answered {
    fn code(&self) -> u32;
}

fn durations() -> &'static Histogram<f64> {
    static DURATIONS: OnceLock<Histogram<f64>> = OnceLock::new();
    DURATIONS.get_or_init(|| {
        metric::seconds(
            "writeback.directory.request.duration",
            "How long exchanges with a domain controller took",
        )
    })
}

/// One exchange, as a span of its own. It is boxed: exchanges are nested deep, and each layer would
/// hold the whole of it once more.
pub(crate) fn exchange<T: Ended>(
    operation: &'static str,
    endpoint: &Endpoint,
    exchange: impl Future<Output = T>,
) -> impl Future<Output = T> {
    let span = span::ldap(operation, endpoint.host(), endpoint.port());
    let exchange = Box::pin(exchange.instrument(span.clone()));
    async move {
        let began = Instant::now();
        let ended = exchange.await;
        match (ended.result(), ended.error()) {
            (Some(result), _) => span::ldap_answered(&span, result),
            (None, "") => {}
            (None, error) => span::failed(&span, error),
        }
        durations().record(
            began.elapsed().as_secs_f64(),
            &[
                KeyValue::new("server.address", endpoint.host().to_owned()),
                KeyValue::new("ldap.operation", operation),
                KeyValue::new("error.type", ended.error()),
            ],
        );
        ended
    }
}

/// Counted for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted {
    counter: &'static UpDownCounter<i64>,
    host: String,
}

impl Counted {
    fn new(counter: &'static UpDownCounter<i64>, endpoint: &Endpoint) -> Self {
        let host = endpoint.host().to_owned();
        counter.add(1, &[KeyValue::new("server.address", host.clone())]);
        Self { counter, host }
    }

    /// A connection that is open.
    pub(crate) fn open(endpoint: &Endpoint) -> Self {
        static OPEN: OnceLock<UpDownCounter<i64>> = OnceLock::new();
        Self::new(
            OPEN.get_or_init(|| {
                up_down(
                    "writeback.directory.connections.open",
                    "Connections to a domain controller",
                )
            }),
            endpoint,
        )
    }

    /// A connection of the pool that somebody is using.
    pub(crate) fn used(endpoint: &Endpoint) -> Self {
        static USED: OnceLock<UpDownCounter<i64>> = OnceLock::new();
        Self::new(
            USED.get_or_init(|| {
                up_down(
                    "writeback.directory.connections.used",
                    "Connections to a domain controller that are in use",
                )
            }),
            endpoint,
        )
    }
}

fn up_down(name: &'static str, description: &'static str) -> UpDownCounter<i64> {
    metric::meter()
        .i64_up_down_counter(name)
        .with_description(description)
        .build()
}

impl Drop for Counted {
    fn drop(&mut self) {
        let host = std::mem::take(&mut self.host);
        self.counter
            .add(-1, &[KeyValue::new("server.address", host)]);
    }
}

/// What state a domain controller's breaker is in, for as long as it lives. It is counted, for several
/// domains' directories may know one controller.
#[derive(Debug)]
pub(crate) struct Watched {
    labels: [KeyValue; 2],
}

impl Watched {
    pub(crate) fn new(endpoint: &Endpoint, state: BreakerState) -> Self {
        let host = endpoint.host().to_owned();
        let labels = [
            KeyValue::new("server.address", host),
            KeyValue::new("state", state.as_str()),
        ];
        controllers().add(1, &labels);
        Self { labels }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        controllers().add(-1, &self.labels);
    }
}

fn controllers() -> &'static UpDownCounter<i64> {
    static CONTROLLERS: OnceLock<UpDownCounter<i64>> = OnceLock::new();
    CONTROLLERS.get_or_init(|| {
        up_down(
            "writeback.directory.controllers",
            "Domain controllers known, by the state of their breaker",
        )
    })
}
