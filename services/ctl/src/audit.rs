//! The way to the audit service: where it is, whom to trust there, and the operator's token.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use chassis::config::Config;
use secrecy::ExposeSecret as _;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::{failure, token, web};

const CONNECT_TIME_OUT: Duration = Duration::from_secs(5);
/// For a question about one or a few operations.
pub(crate) const ANSWER_TIME_OUT: Duration = Duration::from_secs(30);
const TOKEN_FILE: &str = "WRITEBACK_TOKEN_FILE";
const TRUST: &str = "give that authority's certificate with --audit-ca FILE, or as ca_file in [ledger] of the configuration";
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Where the audit service is, and who asks.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Address {
    /// The audit service; may be repeated, the first that answers is asked
    #[arg(long, global = true, value_name = "URL")]
    audit: Vec<String>,
    /// Trust only this CA for the audit service, a PEM file
    #[arg(long, global = true, value_name = "FILE")]
    audit_ca: Option<PathBuf>,
    /// A configuration file with the audit service's address ([ledger]), the operator's token file and the keys' places ([ctl], [sealing])
    #[arg(long, global = true, value_name = "FILE", env = "WRITEBACK_CONFIG")]
    config: Option<PathBuf>,
    /// A file with the access token: the operator's for the audit service, the caller's for `send`. Without it, the operator's is token_file in [ctl] of the configuration, else, as the caller's, the file that WRITEBACK_TOKEN_FILE names
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// A channel on which every call bears the operator's token.
pub(crate) type AuditChannel = InterceptedService<Channel, Bearer>;

/// The operator's token, if there is one. Who has none is told by the audit service.
#[derive(Debug, Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    fn of(file: Option<PathBuf>) -> anyhow::Result<Self> {
        let Some(file) = file else {
            return Ok(Self(None));
        };
        let token = token::read(&file)?;
        let value = format!("Bearer {}", token.expose_secret());
        let mut value: MetadataValue<Ascii> = value
            .parse()
            .with_context(|| format!("{}: no token", file.display()))?;
        // its Debug says nothing, and no table of compressed headers keeps it
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

impl Address {
    /// Whether it was said where the audit service is.
    pub(crate) const fn is_known(&self) -> bool {
        !self.audit.is_empty() || self.config.is_some()
    }

    /// Where the configuration is, whether there is one or not yet.
    pub(crate) fn config_file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The whole configuration, for commands that reach further than the audit service.
    pub(crate) fn configuration(&self) -> anyhow::Result<Config> {
        let config = self.loaded()?;
        config.context("say where the forests are described: --config FILE")
    }

    /// The configuration, where one was given.
    pub(crate) fn loaded(&self) -> anyhow::Result<Option<Config>> {
        let config = self.config.as_deref().map(Config::load).transpose()?;
        Ok(config)
    }

    /// What `--token-file` says, or the environment.
    pub(crate) fn token_file(&self) -> Option<PathBuf> {
        self.token_file
            .clone()
            .or_else(token_file_of_the_environment)
    }

    /// Connects to the first of the addresses that answers.
    pub(crate) async fn connect(&self) -> anyhow::Result<AuditChannel> {
        let mut failures = Vec::new();
        for replica in self.replicas()? {
            match replica.connect().await {
                Ok(channel) => return Ok(channel),
                Err(error) => failures.push(format!("{}: {error}", replica.url)),
            }
        }
        bail!(
            "the audit service cannot be reached: {}",
            failures.join("; ")
        )
    }

    /// Each of the addresses, for who asks another when one does not know.
    pub(crate) fn replicas(&self) -> anyhow::Result<Vec<Replica>> {
        let way = self.resolve()?;
        let bearer = Bearer::of(way.token_file)?;
        let ca = way.ca_file.as_deref().map(web::read_file).transpose()?;
        way.urls
            .into_iter()
            .map(|url| {
                Ok(Replica {
                    endpoint: endpoint(&url, ca.as_deref(), &bearer)?,
                    bearer: bearer.clone(),
                    url,
                })
            })
            .collect()
    }

    fn resolve(&self) -> anyhow::Result<Way> {
        let config = self.loaded()?;
        let ledger = config.as_ref().map(|config| &config.ledger);
        let urls = match ledger {
            _ if !self.audit.is_empty() => self.audit.clone(),
            Some(ledger) if !ledger.urls.is_empty() => ledger.urls.clone(),
            Some(_) => bail!("[ledger] urls is empty in the configuration"),
            None => bail!("say where the audit service is: --audit URL, or --config FILE"),
        };
        let configured = |config: &Config| config.ctl.token_file.clone();
        Ok(Way {
            urls,
            ca_file: { self.audit_ca.clone() }
                .or_else(|| ledger.and_then(|ledger| ledger.ca_file.clone())),
            token_file: { self.token_file.clone() }
                .or_else(|| config.as_ref().and_then(configured))
                // last: it may be there for `send`
                .or_else(token_file_of_the_environment),
        })
    }
}

fn token_file_of_the_environment() -> Option<PathBuf> {
    std::env::var_os(TOKEN_FILE)
        .filter(|file| !file.is_empty())
        .map(PathBuf::from)
}

/// One of the addresses of the audit service.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) url: String,
    endpoint: Endpoint,
    bearer: Bearer,
}

impl Replica {
    pub(crate) async fn connect(&self) -> anyhow::Result<AuditChannel> {
        let connecting = self.endpoint.connect().await;
        let channel = connecting.map_err(|error| failure::unasked(error, TRUST))?;
        Ok(InterceptedService::new(channel, self.bearer.clone()))
    }
}

struct Way {
    urls: Vec<String>,
    ca_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
}

fn endpoint(url: &str, ca: Option<&[u8]>, bearer: &Bearer) -> anyhow::Result<Endpoint> {
    if bearer.0.is_some() {
        web::parse_url(url).context("the token is not sent there")?;
    }
    let endpoint = Endpoint::from_shared(url.to_owned())
        .with_context(|| format!("{url:?} is no URL"))?
        .connect_timeout(CONNECT_TIME_OUT)
        // notices a peer that has gone while a stream is quiet
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    if !url.starts_with("https://") {
        return Ok(endpoint);
    }
    let tls = match ca {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    endpoint
        .tls_config(tls)
        .with_context(|| format!("{url}: TLS"))
}

/// A request that ends by itself, on both sides.
pub(crate) fn bounded<T>(message: T, time_out: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(time_out);
    request
}

/// The answer, or what its absence means; also when the connection is dead and nobody says so.
pub(crate) async fn answer<T>(
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    time_out: Duration,
) -> anyhow::Result<T> {
    tokio::time::timeout(time_out, call)
        .await
        .context("the audit service did not answer in time")?
        .map(tonic::Response::into_inner)
        .map_err(|status| failure::explain(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer() -> Bearer {
        let mut value: MetadataValue<Ascii> = "Bearer secret-token".parse().unwrap();
        value.set_sensitive(true);
        Bearer(Some(value))
    }

    #[test]
    fn a_token_is_not_shown_and_not_sent_in_the_clear() {
        assert!(!format!("{:?}", bearer()).contains("secret-token"));
        assert!(endpoint("http://audit.example.com:9500", None, &bearer()).is_err());
        assert!(endpoint("http://audit.example.com:9500", None, &Bearer(None)).is_ok());
        assert!(endpoint("http://127.0.0.1:9500", None, &bearer()).is_ok());
    }
}
