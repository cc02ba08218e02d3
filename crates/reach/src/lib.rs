//! A configured forest as a directory that can be asked: what `[[forests]]` says, in the words of the
//! crate that speaks to domain controllers.
//!
//! It stands between the two so that neither must know the other, and so that a writer, the resolver
//! and the operator's command line reach a domain in the same way. It asks nobody and decides nothing.

use std::{sync::Arc, time::Duration};

use chassis::config::{self, PointedTo};
use directory::{
    ConfigurationError, ControllerChoice, Directory, DirectoryConfig, PolicyHints, Topology,
};
use secrecy::SecretString;

/// How much of a domain controller one directory may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections to one domain controller.
    pub connections: usize,
    /// Of each single exchange.
    pub operation_timeout: Duration,
}

/// One domain, as an account whose passwords are kept in files: both are tried while it is being changed.
///
/// # Errors
/// When the configuration describes no directory.
pub fn connect(
    forest: &config::Forest,
    domain: &config::Domain,
    account: &str,
    held: &PointedTo,
    limits: Limits,
) -> Result<Arc<Directory>, ConfigurationError> {
    let password = held.password.clone();
    let directory = connect_as(
        forest,
        domain,
        account,
        password,
        held.ca_pem.clone(),
        limits,
    )?;
    directory.renew_passwords(held.password.clone(), held.next_password.clone())?;
    Ok(directory)
}

/// One domain, as whoever has this password.
///
/// # Errors
/// When the configuration describes no directory.
pub fn connect_as(
    forest: &config::Forest,
    domain: &config::Domain,
    account: &str,
    password: SecretString,
    ca_pem: Vec<u8>,
    limits: Limits,
) -> Result<Arc<Directory>, ConfigurationError> {
    Directory::new(DirectoryConfig {
        endpoints: domain.domain_controllers.clone(),
        topology: topology(forest, domain),
        ca_pem,
        account: account.to_owned(),
        password,
        connections: limits.connections,
        operation_timeout: limits.operation_timeout,
    })
}

/// Takes over what the forest's files hold now. What cannot be used is left, and what was in force stays.
///
/// # Errors
/// When it cannot be used.
pub fn renew(directory: &Directory, now: &PointedTo) -> Result<(), ConfigurationError> {
    directory.renew_authority(&now.ca_pem)?;
    directory.renew_passwords(now.password.clone(), now.next_password.clone())
}

/// Whether resets are sent with policy hints.
pub const fn hints(setting: config::SendHints) -> PolicyHints {
    match setting {
        config::SendHints::Required => PolicyHints::Required,
        config::SendHints::WhenAvailable => PolicyHints::WhenAvailable,
        config::SendHints::Never => PolicyHints::Never,
    }
}

/// Where the domain's controllers come from, and which is asked first.
fn topology(forest: &config::Forest, domain: &config::Domain) -> Topology {
    Topology {
        discover: Some(domain.name.clone()),
        dns_servers: forest.dns_servers.clone(),
        site: forest.site.clone(),
        choice: match forest.domain_controller_choice {
            config::ControllerChoice::PdcFirst => ControllerChoice::PdcFirst,
            config::ControllerChoice::Nearest => ControllerChoice::Nearest,
            config::ControllerChoice::Listed => ControllerChoice::Listed,
        },
        referral_hosts: forest.referral_hosts.clone(),
    }
}
