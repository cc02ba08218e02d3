//! Names looked up in DNS: services, and the addresses of hosts.

use std::{fmt, net::SocketAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::RData,
};
use tokio::time::timeout;

use crate::{ConfigurationError, Endpoint, srv::Record};

/// Of one question to one server.
const TIME_OUT: Duration = Duration::from_secs(2);
/// Of all questions that answer one of ours.
const PATIENCE: Duration = Duration::from_secs(6);

pub(crate) struct Dns {
    resolver: TokioResolver,
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").finish_non_exhaustive()
    }
}

/// The records of a service, and how long they hold.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) records: Vec<Record>,
    pub(crate) hold_for: Duration,
}

impl Dns {
    /// Asks these servers; the system's, if none are given.
    pub(crate) fn new(servers: &[SocketAddr]) -> Result<Self, ConfigurationError> {
        let unusable = |error: NetError| ConfigurationError::Dns(error.to_string());
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(unusable)?
        } else {
            let servers = servers.iter().copied().map(name_server).collect();
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = TIME_OUT;
        options.attempts = 1;
        // what is known is kept where it is used
        options.cache_size = 0;
        Ok(Self {
            resolver: builder.build().map_err(unusable)?,
        })
    }

    /// The records of a service; none where it is not offered.
    ///
    /// # Errors
    /// In words, when nobody can tell.
    pub(crate) async fn services(&self, name: &str) -> Result<Services, String> {
        let found = match timeout(PATIENCE, self.resolver.srv_lookup(format!("{name}."))).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) if error.is_no_records_found() => {
                return Ok(Services {
                    records: Vec::new(),
                    hold_for: Duration::ZERO,
                });
            }
            Ok(Err(error)) => return Err(format!("{name}: {error}")),
            Err(_) => return Err(format!("{name}: no answer")),
        };
        let hold_for = found.answers().iter().map(|record| record.ttl).min();
        let records = found.answers().iter().filter_map(|record| {
            let RData::SRV(service) = &record.data else {
                return None;
            };
            let target = service.target.to_ascii().to_ascii_lowercase();
            let target = target.trim_end_matches('.');
            // a lone dot says that the service is decidedly not there (RFC 2782)
            (!target.is_empty()).then(|| Record {
                priority: service.priority,
                weight: service.weight,
                target: target.to_owned(),
            })
        });
        Ok(Services {
            records: records.collect(),
            hold_for: Duration::from_secs(hold_for.unwrap_or(0).into()),
        })
    }

    /// Where an endpoint's host is.
    ///
    /// # Errors
    /// In words.
    pub(crate) async fn addresses(&self, endpoint: &Endpoint) -> Result<Vec<SocketAddr>, String> {
        let (host, port) = (endpoint.host(), endpoint.port());
        if let Ok(address) = host.parse() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        match timeout(PATIENCE, self.resolver.lookup_ip(format!("{host}."))).await {
            Ok(Ok(found)) => Ok(found
                .iter()
                .map(|address| SocketAddr::new(address, port))
                .collect()),
            Ok(Err(error)) => Err(format!("its name is not found in DNS: {error}")),
            Err(_) => Err("its name is not found: DNS does not answer".to_owned()),
        }
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.to_vec())
}
