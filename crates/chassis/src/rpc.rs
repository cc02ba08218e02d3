//! gRPC towards the ledger: over audit's replicas in turn, past those that hang, traced from end to end.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

pub use self::observed::{LedgerChannel, ObserveCalls};
use self::replicas::Replicas;
use crate::{
    config::{self, ConfigError, Texts},
    tls::{Following, Take},
};

mod failover;
mod observed;
mod replicas;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Until the first answer; a stream may then last as long as it likes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A replica that vanished without a word, or hangs, loses its connection within the sum of these two.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// More is a mistake.
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
/// call that was given to a replica that cannot be reached fails with `Unavailable`; see
/// [`LedgerChannel::failover`].
/// Each call is a span, and takes the current span's context along.
///
/// While it is followed, calls go over new connections as soon as the certificates changed; those that are under way end on
/// the old ones, which close when the last has.
pub fn ledger_channel(
    config: &config::Ledger,
) -> Result<(LedgerChannel, Following), LedgerChannelError> {
    if config.urls.is_empty() || config.urls.len() > MOST_REPLICAS {
        return Err(LedgerChannelError::Addresses);
    }
    let files = config.certificate_files()?;
    let held = files.judge(files.read()?)?;
    let channel = LedgerChannel::new(replicas(&config.urls, &held.texts)?);
    let (replaced, urls) = (channel.clone(), config.urls.clone());
    let take: Take = Box::new(move |held| {
        let renewed = replicas(&urls, &held.texts).map_err(|error| error.to_string())?;
        replaced.replace(renewed);
        Ok(())
    });
    Ok((channel, Following::new(files, held, take)))
}

fn replicas(urls: &[String], texts: &Texts) -> Result<Replicas, LedgerChannelError> {
    let certificate = texts.authority.as_ref().map(Certificate::from_pem);
    let pair = texts.pair.as_ref();
    let identity = pair.map(|(chain, key)| Identity::from_pem(chain, key.expose_secret()));
    let endpoints = urls
        .iter()
        .map(|url| endpoint(url, certificate.as_ref(), identity.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Replicas::new(endpoints))
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
