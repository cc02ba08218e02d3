//! The forests of the configuration file: what is known of each, and of its domains.

use std::{net::SocketAddr, path::PathBuf};

use operation::{DomainName, ForestId};
use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forest {
    pub id: ForestId,
    pub ca_file: PathBuf,
    /// The account that writes.
    pub account: String,
    pub account_password_file: PathBuf,
    /// The password that is to follow; it is tried where the first is refused. The file need not be there.
    pub account_next_password_file: Option<PathBuf>,
    /// The account the resolver reads as; it needs no more than to read.
    pub reader_account: Option<String>,
    pub reader_account_password_file: Option<PathBuf>,
    pub reader_account_next_password_file: Option<PathBuf>,
    #[serde(default)]
    pub policy_hints: PolicyHints,
    #[serde(default)]
    pub domain_controller_choice: ControllerChoice,
    /// The Active Directory site that this configuration's services are in.
    pub site: Option<String>,
    /// `address:port`; the system's, unless given.
    #[serde(default)]
    pub dns_servers: Vec<SocketAddr>,
    /// `host` or `host:port`, over LDAPS: where referrals are followed to besides the known controllers.
    #[serde(default)]
    pub referral_hosts: Vec<String>,
    #[serde(default)]
    pub domains: Vec<Domain>,
}

/// Which domain controller of a domain is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControllerChoice {
    /// The PDC emulator.
    #[default]
    PdcFirst,
    /// One of the same site, then by the priority and weight of DNS, then the quickest.
    Nearest,
    /// In the order of `domain_controllers`.
    Listed,
}

/// Whether resets are sent with policy hints, which make them obey the password history (and, as far as
/// the domain controllers know it, the minimum age) as a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyHints {
    /// People's own resets.
    pub users: SendHints,
    /// Administrators' resets; a temporary password may repeat an old one.
    pub administrators: SendHints,
}

impl Default for PolicyHints {
    fn default() -> Self {
        Self {
            users: SendHints::WhenAvailable,
            administrators: SendHints::Never,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SendHints {
    /// A domain controller that does not know policy hints is not written to.
    Required,
    WhenAvailable,
    Never,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    pub name: DomainName,
    /// `ldaps://` URLs, or `ldap://` for StartTLS; without any they are found by DNS.
    #[serde(default)]
    pub domain_controllers: Vec<String>,
    /// DNs of the subtrees in scope; none means the whole domain.
    #[serde(default)]
    pub include: Vec<String>,
    /// DNs of the subtrees taken out of it.
    #[serde(default)]
    pub exclude: Vec<String>,
}
