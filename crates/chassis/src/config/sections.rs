//! The sections of the configuration file, one struct each; a field's name is its TOML key.

use std::{net::SocketAddr, path::PathBuf};

use operation::{EnabledInTwoForests, ForestId};
use secrecy::SecretString;
use serde::Deserialize;

use super::{ConfigError, Forest, ProtectedAccounts, read_file, read_secret};

/// The whole file. Every service reads the same file and takes what it needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub service: Service,
    #[serde(default)]
    pub telemetry: Telemetry,
    pub broker: Broker,
    pub ledger: Ledger,
    #[serde(default)]
    pub sealing: Sealing,
    #[serde(default)]
    pub intake: Intake,
    #[serde(default)]
    pub resolver: Resolver,
    #[serde(default)]
    pub writer: Writer,
    #[serde(default)]
    pub audit: Audit,
    #[serde(default)]
    pub ctl: Ctl,
    #[serde(default)]
    pub forests: Vec<Forest>,
}

impl Config {
    pub fn forest(&self, id: &ForestId) -> Option<&Forest> {
        self.forests.iter().find(|forest| forest.id == *id)
    }

    /// Whether they differ in more than their forests, and who is meant in two of them: in what a
    /// service reads only when it starts.
    pub(crate) fn differs_beyond_forests(&self, other: &Self) -> bool {
        let without_forests = |config: &Self| {
            let mut rest = config.clone();
            rest.forests = Vec::new();
            rest.resolver.enabled_in_two_forests = EnabledInTwoForests::default();
            rest
        };
        without_forests(self) != without_forests(other)
    }

    /// Every path of the file, so that relative ones can be resolved in one place.
    pub(super) fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let Self {
            service: _,
            telemetry: _,
            broker,
            ledger,
            sealing,
            intake,
            resolver,
            writer: _,
            audit,
            ctl,
            forests,
        } = self;
        let mut paths = vec![
            &mut broker.password_file,
            &mut sealing.public_keys_file,
            &mut sealing.private_keys_directory,
        ];
        paths.extend(broker.ca_file.as_mut());
        paths.extend(ledger.ca_file.as_mut());
        paths.extend(ledger.certificate_file.as_mut());
        paths.extend(ledger.key_file.as_mut());
        paths.extend(intake.certificate_file.as_mut());
        paths.extend(intake.key_file.as_mut());
        if let Some(tokens) = &mut intake.tokens {
            paths.extend(tokens.jwks_file.as_mut());
        }
        paths.extend(resolver.state_directory.as_mut());
        paths.extend(audit.database_password_file.as_mut());
        paths.extend(audit.owner_database_password_file.as_mut());
        paths.extend(audit.signing_key_file.as_mut());
        paths.extend(audit.certificate_file.as_mut());
        paths.extend(audit.key_file.as_mut());
        paths.extend(audit.client_ca_file.as_mut());
        if let Some(tokens) = &mut audit.tokens {
            paths.extend(tokens.jwks_file.as_mut());
        }
        paths.extend(ctl.token_file.as_mut());
        paths.extend(ctl.keys_directory.as_mut());
        for forest in forests {
            paths.push(&mut forest.ca_file);
            paths.push(&mut forest.account_password_file);
            paths.extend(forest.account_next_password_file.as_mut());
            paths.extend(forest.reader_account_password_file.as_mut());
            paths.extend(forest.reader_account_next_password_file.as_mut());
        }
        paths
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    /// What this process calls itself in logs, traces and broker connections; the host's name unless given.
    pub name: String,
    /// `/livez`, `/readyz` and `/metrics`, never on a public address.
    pub admin_listen: SocketAddr,
    /// How long running work may take to end once shutdown was asked.
    pub shutdown_grace_seconds: u64,
    /// How often it tells audit that it lives and how it is.
    pub heartbeat_seconds: u64,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            name: host_name(),
            admin_listen: local(9090),
            shutdown_grace_seconds: 20,
            heartbeat_seconds: 5,
        }
    }
}

fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "writeback".to_owned())
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    pub log_format: LogFormat,
    /// A `tracing` filter such as `debug,lapin=error`. Without it, and without `RUST_LOG`,
    /// [`LOG_FILTER`](crate::telemetry::LOG_FILTER) holds.
    pub log_filter: Option<String>,
    /// OTLP over gRPC; without it no trace is recorded.
    pub otlp_endpoint: Option<String>,
    /// How many of the traces that begin here are recorded, from 0 to 1. One that a caller began is
    /// recorded if the caller records it.
    pub trace_sample_ratio: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Auto,
            log_filter: None,
            otlp_endpoint: None,
            trace_sample_ratio: 1.0,
        }
    }
}

/// `auto` is text on a terminal and JSON elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Auto,
    Json,
    Text,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// `amqp://` or `amqps://`, the virtual host in the path, no credentials in it.
    pub url: String,
    pub username: String,
    pub password_file: PathBuf,
    pub ca_file: Option<PathBuf>,
}

impl Broker {
    /// # Errors
    /// When its file cannot be read or is empty.
    pub fn password(&self) -> Result<SecretString, ConfigError> {
        read_secret(&self.password_file)
    }

    /// A certificate authority to trust besides the system's, in PEM.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn ca_pem(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        self.ca_file.as_deref().map(read_file).transpose()
    }
}

/// How the other services reach audit.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    pub urls: Vec<String>,
    pub ca_file: Option<PathBuf>,
    /// With `key_file`: PEM, what a service shows to audit. Operators show a token instead.
    pub certificate_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sealing {
    pub public_keys_file: PathBuf,
    pub private_keys_directory: PathBuf,
    pub clock_skew_seconds: u64,
}

impl Default for Sealing {
    fn default() -> Self {
        Self {
            public_keys_file: "keys/jwks.json".into(),
            private_keys_directory: "keys/private".into(),
            clock_skew_seconds: 60,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Intake {
    pub listen: SocketAddr,
    /// With `key_file`: PEM. Without both the listener is plain and belongs behind something that ends TLS.
    pub certificate_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub default_deadline_seconds: u64,
    pub max_in_flight: usize,
    /// Whose tokens are accepted. Intake does not start without it.
    pub tokens: Option<Tokens>,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            listen: local(8080),
            certificate_file: None,
            key_file: None,
            default_deadline_seconds: 30,
            max_in_flight: 512,
            tokens: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    pub issuer: String,
    pub audience: String,
    /// One of `jwks_file` and `jwks_url`.
    pub jwks_file: Option<PathBuf>,
    pub jwks_url: Option<String>,
    #[serde(default)]
    pub unthrottled_clients: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resolver {
    pub concurrency: usize,
    pub directory_timeout_seconds: u64,
    /// Taken over without a restart, as the forests are.
    pub enabled_in_two_forests: EnabledInTwoForests,
    /// How often each domain is asked which anchors changed; 1 to 20.
    pub index_refresh_seconds: u64,
    /// Where the index of anchors outlives a restart. Without it every start reads it anew.
    pub state_directory: Option<PathBuf>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            concurrency: 32,
            directory_timeout_seconds: 5,
            enabled_in_two_forests: EnabledInTwoForests::default(),
            index_refresh_seconds: 15,
            state_directory: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Writer {
    /// The one forest this writer writes to. A writer does not start without it.
    pub forest: Option<ForestId>,
    pub concurrency: usize,
    pub connections: usize,
    pub write_timeout_seconds: u64,
    pub clock_skew_milliseconds: u64,
    pub protected_accounts: ProtectedAccounts,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            forest: None,
            concurrency: 8,
            connections: 4,
            write_timeout_seconds: 5,
            clock_skew_milliseconds: 500,
            protected_accounts: ProtectedAccounts::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    pub listen: SocketAddr,
    /// With `key_file`: PEM. With both, gRPC is served over TLS only.
    pub certificate_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub database_url: String,
    pub database_password_file: Option<PathBuf>,
    /// Migrations run as the owner, daily work does not.
    pub owner_database_url: Option<String>,
    pub owner_database_password_file: Option<PathBuf>,
    /// PKCS#8 PEM, Ed25519: signs the heads of the chain.
    pub signing_key_file: Option<PathBuf>,
    pub throttle_per_person_per_hour: u32,
    /// Who signs the certificates that services show. Audit does not start without it, unless
    /// `services_without_certificates` says so.
    pub client_ca_file: Option<PathBuf>,
    /// The DNS names in services' certificates, by what the service is.
    pub services: ServiceNames,
    /// Whoever reaches the listener and brings no token is taken for a service: only where nobody
    /// else can reach it, such as behind a proxy that checks certificates itself.
    pub services_without_certificates: bool,
    /// Whose tokens operators bring. Without it no operator is let in.
    pub tokens: Option<OperatorTokens>,
}

/// Which names make a certificate the certificate of one kind of service.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceNames {
    pub intake: Vec<String>,
    pub resolver: Vec<String>,
    pub writer: Vec<String>,
}

impl Default for ServiceNames {
    fn default() -> Self {
        let named = |name: &str| vec![name.to_owned()];
        Self {
            intake: named("intake"),
            resolver: named("resolver"),
            writer: named("writer"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorTokens {
    pub issuer: String,
    pub audience: String,
    /// One of `jwks_file` and `jwks_url`.
    pub jwks_file: Option<PathBuf>,
    pub jwks_url: Option<String>,
}

/// What `writebackctl` reads.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ctl {
    /// The operator's access token, as audit takes it.
    pub token_file: Option<PathBuf>,
    /// The private sealing keys, a folder for each forest.
    pub keys_directory: Option<PathBuf>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            listen: local(9500),
            certificate_file: None,
            key_file: None,
            database_url: "postgres://writeback_audit@127.0.0.1:5432/writeback".to_owned(),
            database_password_file: None,
            owner_database_url: None,
            owner_database_password_file: None,
            signing_key_file: None,
            throttle_per_person_per_hour: 5,
            client_ca_file: None,
            services: ServiceNames::default(),
            services_without_certificates: false,
            tokens: None,
        }
    }
}
