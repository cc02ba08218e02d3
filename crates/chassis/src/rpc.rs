//! gRPC towards the ledger: balanced over audit's replicas, traced from end to end.

use std::time::Duration;

use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
};
use tonic::{
    Code, Request, Status,
    metadata::{KeyRef, MetadataKey, MetadataMap, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::{
    config::{self, ConfigError},
    trace,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Until the first answer; a stream may then last as long as it likes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A replica that vanished without a word is noticed within the sum of these two.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// tonic's balancer takes no more (its queue of changes) and would panic beyond.
const MOST_REPLICAS: usize = 1024;

/// The channel with the current span's context sent along on every call.
pub type LedgerChannel = InterceptedService<Channel, SendTraceContext>;

#[derive(Debug, Clone, Copy, Default)]
pub struct SendTraceContext;

impl Interceptor for SendTraceContext {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        Ok(inject(request))
    }
}

pub fn traced(channel: Channel) -> LedgerChannel {
    InterceptedService::new(channel, SendTraceContext)
}

#[derive(Debug, thiserror::Error)]
pub enum LedgerChannelError {
    #[error("`ledger.urls` names no address, or more than {MOST_REPLICAS}")]
    Addresses,
    #[error("`ledger.urls`: {url} is not an address: {reason}")]
    Address { url: String, reason: String },
    #[error("`ledger.ca_file` cannot be used for {url}: {reason}")]
    Tls { url: String, reason: String },
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A channel over all of audit's replicas; it connects when first used, inside a Tokio runtime. A
/// call that was given to a replica that cannot be reached fails with `Unavailable`; see [`failover`].
pub fn ledger_channel(config: &config::Ledger) -> Result<Channel, LedgerChannelError> {
    if config.urls.is_empty() || config.urls.len() > MOST_REPLICAS {
        return Err(LedgerChannelError::Addresses);
    }
    let certificate = config
        .ca_file
        .as_deref()
        .map(config::read_file)
        .transpose()?
        .map(Certificate::from_pem);
    let endpoints = config
        .urls
        .iter()
        .map(|url| endpoint(url, certificate.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Channel::balance_list(endpoints.into_iter()))
}

fn endpoint(url: &str, ca: Option<&Certificate>) -> Result<Endpoint, LedgerChannelError> {
    let address = |reason: String| LedgerChannelError::Address {
        url: url.to_owned(),
        reason,
    };
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|error| address(error.to_string()))?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    match endpoint.uri().scheme_str() {
        Some("http") => Ok(endpoint),
        Some("https") => {
            let tls = match ca {
                Some(ca) => ClientTlsConfig::new().ca_certificate(ca.clone()),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            endpoint
                .tls_config(tls)
                .map_err(|error| LedgerChannelError::Tls {
                    url: url.to_owned(),
                    reason: error.to_string(),
                })
        }
        _ => Err(address("it must begin with http:// or https://".to_owned())),
    }
}

/// Calls again, up to `attempts` times in all, while the answer is `Unavailable`: the balancer then
/// picks another replica. Only for calls that may be carried out twice without harm, because
/// `Unavailable` does not say that the first was not carried out.
pub async fn failover<T, Call, Fut>(attempts: usize, mut call: Call) -> Result<T, Status>
where
    Call: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Status>>,
{
    for _ in 1..attempts {
        match call().await {
            Err(status) if status.code() == Code::Unavailable => {}
            answered => return answered,
        }
    }
    call().await
}

/// Puts the current span's context into the request's metadata.
pub fn inject<T>(mut request: Request<T>) -> Request<T> {
    let context = trace::current_context();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut Metadata(request.metadata_mut()));
    });
    request
}

/// Takes the caller's context from the metadata; an empty one if there is none.
pub fn extract(metadata: &MetadataMap) -> Context {
    global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &ReceivedMetadata(metadata))
    })
}

struct Metadata<'a>(&'a mut MetadataMap);

impl Injector for Metadata<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (
            MetadataKey::from_bytes(key.as_bytes()),
            MetadataValue::try_from(value),
        ) {
            self.0.insert(key, value);
        }
    }
}

struct ReceivedMetadata<'a>(&'a MetadataMap);

impl Extractor for ReceivedMetadata<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }
    fn keys(&self) -> Vec<&str> {
        self.0
            .keys()
            .map(|key| match key {
                KeyRef::Ascii(key) => key.as_str(),
                KeyRef::Binary(key) => key.as_str(),
            })
            .collect()
    }
}
