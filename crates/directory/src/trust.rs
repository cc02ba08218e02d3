//! Whom we trust: domain controllers whose certificates the forest's own authority has signed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use time::OffsetDateTime;

use crate::ConfigurationError;

/// The forest's authority. It may be replaced at any time; a connection made under another is not
/// used again.
#[derive(Debug)]
pub(crate) struct Trust(Mutex<Authority>);

#[derive(Debug, Clone)]
struct Authority {
    pem: Vec<u8>,
    tls: Arc<ClientConfig>,
    not_after: OffsetDateTime,
}

impl Trust {
    pub(crate) fn new(ca_pem: &[u8]) -> Result<Self, ConfigurationError> {
        Authority::read(ca_pem).map(|authority| Self(Mutex::new(authority)))
    }

    pub(crate) fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.authority().tls)
    }

    /// When the first of the authority's certificates ends. There are several while one follows the other.
    pub(crate) fn not_after(&self) -> OffsetDateTime {
        self.authority().not_after
    }

    /// Whether it is another one than before. If it cannot be used, the one before stays.
    pub(crate) fn replace(&self, ca_pem: &[u8]) -> Result<bool, ConfigurationError> {
        if self.authority().pem == ca_pem {
            return Ok(false);
        }
        let authority = Authority::read(ca_pem)?;
        *self.authority() = authority;
        Ok(true)
    }

    /// Never held across an await; a panic while it was held leaves nothing half done.
    fn authority(&self) -> MutexGuard<'_, Authority> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authority {
    /// TLS that trusts these certificates alone, 1.2 or newer.
    fn read(ca_pem: &[u8]) -> Result<Self, ConfigurationError> {
        let unusable = |cause: String| ConfigurationError::Authority(cause);
        let mut roots = RootCertStore::empty();
        let mut ends = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(ca_pem) {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            ends.push(
                expiry::not_after(&certificate)
                    .ok_or_else(|| unusable("it is no X.509 certificate".to_owned()))?,
            );
            roots
                .add(certificate)
                .map_err(|error| unusable(error.to_string()))?;
        }
        let not_after = ends
            .into_iter()
            .min()
            .ok_or_else(|| unusable("it holds no certificate".to_owned()))?;
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| unusable(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            pem: ca_pem.to_owned(),
            tls: Arc::new(tls),
            not_after,
        })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn authority(not_after: OffsetDateTime) -> String {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = not_after;
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn of_several_authorities_the_first_to_end_counts() {
        let early = datetime!(2031-05-06 07:08:09 UTC);
        let both = authority(datetime!(2040-01-01 0:00 UTC)) + &authority(early);
        let trust = Trust::new(both.as_bytes()).unwrap();
        assert_eq!(trust.not_after(), early);
    }

    #[test]
    fn what_cannot_be_used_replaces_nothing() {
        let pem = authority(datetime!(2040-01-01 0:00 UTC));
        let trust = Trust::new(pem.as_bytes()).unwrap();
        let before = trust.tls();
        for useless in [
            "",
            "nothing",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            trust.replace(useless.as_bytes()).unwrap_err();
        }
        assert_eq!(trust.replace(pem.as_bytes()), Ok(false));
        assert!(Arc::ptr_eq(&before, &trust.tls()));
        let other = authority(datetime!(2040-01-01 0:00 UTC));
        assert_eq!(trust.replace(other.as_bytes()), Ok(true));
        assert!(!Arc::ptr_eq(&before, &trust.tls()));
    }
}
