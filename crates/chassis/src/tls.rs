//! TLS towards servers whose certificate authority the configuration names, and for listeners with
//! a certificate of their own.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the CA file is not PEM: {0}")]
    NotPem(rustls::pki_types::pem::Error),
    #[error("the CA file holds no certificate")]
    NoCertificate,
    #[error("the certificate file is not PEM with at least one certificate")]
    UnusableCertificate,
    /// Says nothing of what is in the file.
    #[error("the key file is not PEM with one unencrypted private key")]
    UnusableKey,
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Trusts the given CAs and no other, not even the system's; TLS 1.2 or later.
pub fn client_config(ca_pem: &[u8]) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem) {
        roots.add(certificate.map_err(TlsError::NotPem)?)?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// For a listener: its certificate, those that lead to its CA, and its key; TLS 1.2 or later, HTTP/1.1.
pub fn server_config(
    certificate_pem: &[u8],
    key_pem: &[u8],
) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(certificate_pem)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or(TlsError::UnusableCertificate)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| TlsError::UnusableKey)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_needs_both_halves() {
        assert!(matches!(
            server_config(b"", b""),
            Err(TlsError::UnusableCertificate)
        ));
        let certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            server_config(certificate, certificate),
            Err(TlsError::UnusableKey)
        ));
    }

    #[test]
    fn without_a_certificate_there_is_no_trust() {
        assert!(matches!(
            client_config(b"nothing here"),
            Err(TlsError::NoCertificate)
        ));
        assert!(
            client_config(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
                .is_err()
        );
    }
}
