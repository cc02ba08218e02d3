//! The certificate that gRPC is served with.

use chassis::config::{self, Audit, ConfigError};
use tonic::transport::{Identity, ServerTlsConfig};

/// None without a certificate: then the listener is plain, for a network that ends TLS before it.
pub(crate) fn server_config(settings: &Audit) -> Result<Option<ServerTlsConfig>, ConfigError> {
    let (certificate, key) = match (&settings.certificate_file, &settings.key_file) {
        (None, None) => return Ok(None),
        // half of a pair must not become plain text in silence
        (Some(_), None) => return Err(ConfigError::Required("audit.key_file")),
        (None, Some(_)) => return Err(ConfigError::Required("audit.certificate_file")),
        (Some(certificate), Some(key)) => (certificate, key),
    };
    let identity = Identity::from_pem(config::read_file(certificate)?, config::read_file(key)?);
    Ok(Some(ServerTlsConfig::new().identity(identity)))
}

#[cfg(test)]
mod tests;
