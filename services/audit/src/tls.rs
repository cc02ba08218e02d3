//! The certificate that gRPC is served with, and whose certificates are believed there.

use chassis::config::{self, Audit, ConfigError};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

/// None without a certificate: then the listener is plain, for a network that ends TLS before it.
pub(crate) fn server_config(settings: &Audit) -> Result<Option<ServerTlsConfig>, ConfigError> {
    let (certificate, key) = match (&settings.certificate_file, &settings.key_file) {
        (None, None) if settings.client_ca_file.is_none() => return Ok(None),
        // half of a pair, or an authority alone, must not become plain text in silence
        (Some(_), None) => return Err(ConfigError::Required("audit.key_file")),
        (None, _) => return Err(ConfigError::Required("audit.certificate_file")),
        (Some(certificate), Some(key)) => (certificate, key),
    };
    let identity = Identity::from_pem(config::read_file(certificate)?, config::read_file(key)?);
    let mut tls = ServerTlsConfig::new().identity(identity);
    if let Some(file) = &settings.client_ca_file {
        let authority = Certificate::from_pem(config::read_file(file)?);
        // operators have none: who shows nothing is told by the guard what to show
        tls = tls.client_ca_root(authority).client_auth_optional(true);
    }
    Ok(Some(tls))
}

#[cfg(test)]
mod tests;
