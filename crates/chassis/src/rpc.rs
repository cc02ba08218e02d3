//! gRPC towards the ledger: balanced over audit's replicas, traced from end to end.

use std::time::Duration;

use tonic::{
    Code, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

pub use self::observed::{LedgerChannel, ObserveCalls};
use crate::config::{self, ConfigError};

mod observed;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Until the first answer; a stream may then last as long as it likes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A replica that vanished without a word is noticed within the sum of these two.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// tonic's balancer takes no more (its queue of changes) and would panic beyond.
const MOST_REPLICAS: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub enum LedgerChannelError {
    #[error("`ledger.urls` names no address, or more than {MOST_REPLICAS}")]
    Addresses,
    #[error("`ledger.urls`: {url} is not an address: {reason}")]
    Address { url: String, reason: String },
    #[error("`ledger.ca_file`, or the certificate and its key, cannot be used for {url}: {reason}")]
    Tls { url: String, reason: String },
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A channel over all of audit's replicas; it connects when first used, inside a Tokio runtime. A
/// call that was given to a replica that cannot be reached fails with `Unavailable`; see [`failover`].
/// Each call is a span, and takes the current span's context along.
pub fn ledger_channel(config: &config::Ledger) -> Result<LedgerChannel, LedgerChannelError> {
    if config.urls.is_empty() || config.urls.len() > MOST_REPLICAS {
        return Err(LedgerChannelError::Addresses);
    }
    let certificate = config
        .ca_file
        .as_deref()
        .map(config::read_file)
        .transpose()?
        .map(Certificate::from_pem);
    let identity = identity(config)?;
    let endpoints = config
        .urls
        .iter()
        .map(|url| endpoint(url, certificate.as_ref(), identity.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(LedgerChannel::new(Channel::balance_list(
        endpoints.into_iter(),
    )))
}

/// What this service shows to audit; half of a pair is a mistake.
fn identity(config: &config::Ledger) -> Result<Option<Identity>, ConfigError> {
    let (certificate, key) = match (&config.certificate_file, &config.key_file) {
        (None, None) => return Ok(None),
        (certificate, key) => (
            config::required(certificate.as_deref(), "ledger.certificate_file")?,
            config::required(key.as_deref(), "ledger.key_file")?,
        ),
    };
    let identity = Identity::from_pem(config::read_file(certificate)?, config::read_file(key)?);
    Ok(Some(identity))
}

fn endpoint(
    url: &str,
    ca: Option<&Certificate>,
    identity: Option<&Identity>,
) -> Result<Endpoint, LedgerChannelError> {
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
            let tls = match identity {
                Some(identity) => tls.identity(identity.clone()),
                None => tls,
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
