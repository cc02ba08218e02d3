//! What a section says of the service's own certificate, its key and the authority it believes: the files, and what they hold.
//!
//! They change while their paths stay: a certificate is renewed every few weeks, by a machine. What they hold is taken whole
//! or not at all.

use std::{path::PathBuf, sync::Arc};

use expiry::Validity;
use rustls::{
    RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Audit, ConfigError, Intake, Ledger, read_file, read_secret};

/// Of the configuration: which certificate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// What audit shows, and whose certificates it believes.
    Audit,
    /// What intake's door shows.
    Intake,
    /// What a service shows to audit, and whose certificate it believes there.
    Ledger,
}

impl Section {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Intake => "intake",
            Self::Ledger => "ledger",
        }
    }

    const fn authority_key(self) -> &'static str {
        match self {
            Self::Audit => "client_ca_file",
            Self::Intake | Self::Ledger => "ca_file",
        }
    }
}

/// Where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    section: Section,
    /// A certificate and its key.
    pair: Option<(PathBuf, PathBuf)>,
    authority: Option<PathBuf>,
}

/// What the files hold, as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Texts {
    pub(crate) pair: Option<(Vec<u8>, SecretString)>,
    pub(crate) authority: Option<Vec<u8>>,
}

impl PartialEq for Texts {
    fn eq(&self, other: &Self) -> bool {
        let exposed = |held: &Self| {
            let pair = held.pair.as_ref();
            pair.map(|(chain, key)| (chain.clone(), key.expose_secret().to_owned()))
        };
        self.authority == other.authority && exposed(self) == exposed(other)
    }
}

/// What the files hold, found to fit.
pub(crate) struct Held {
    pub(crate) texts: Texts,
    pub(crate) identity: Option<Arc<CertifiedKey>>,
    pub(crate) authority: Option<RootCertStore>,
    /// Of the certificates that are shown the first to end, and of those that are believed.
    pub(crate) shown: Option<Validity>,
    pub(crate) believed: Option<Validity>,
}

impl Audit {
    /// None without a certificate: then the listener is plain, for a network that ends TLS before it.
    ///
    /// # Errors
    /// Half of a pair, or an authority alone, must not become plain text in silence.
    pub fn certificate_files(&self) -> Result<Option<CertificateFiles>, ConfigError> {
        let pair = match (&self.certificate_file, &self.key_file) {
            (None, None) if self.client_ca_file.is_none() => return Ok(None),
            (Some(_), None) => return Err(ConfigError::Required("audit.key_file")),
            (None, _) => return Err(ConfigError::Required("audit.certificate_file")),
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        };
        Ok(Some(CertificateFiles {
            section: Section::Audit,
            pair: Some(pair),
            authority: self.client_ca_file.clone(),
        }))
    }
}

impl Intake {
    /// None without a certificate: then the door is plain.
    ///
    /// # Errors
    /// Half of a pair is a mistake.
    pub fn certificate_files(&self) -> Result<Option<CertificateFiles>, ConfigError> {
        let pair = match (&self.certificate_file, &self.key_file) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(ConfigError::Required("intake.key_file")),
            (None, Some(_)) => return Err(ConfigError::Required("intake.certificate_file")),
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        };
        Ok(Some(CertificateFiles {
            section: Section::Intake,
            pair: Some(pair),
            authority: None,
        }))
    }
}

impl Ledger {
    /// # Errors
    /// Half of a pair is a mistake.
    pub fn certificate_files(&self) -> Result<CertificateFiles, ConfigError> {
        let pair = match (&self.certificate_file, &self.key_file) {
            (None, None) => None,
            (Some(_), None) => return Err(ConfigError::Required("ledger.key_file")),
            (None, Some(_)) => return Err(ConfigError::Required("ledger.certificate_file")),
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        };
        Ok(CertificateFiles {
            section: Section::Ledger,
            pair,
            authority: self.ca_file.clone(),
        })
    }
}

impl CertificateFiles {
    pub const fn section(&self) -> Section {
        self.section
    }

    /// There is nothing to follow.
    pub(crate) const fn is_empty(&self) -> bool {
        self.pair.is_none() && self.authority.is_none()
    }

    pub(crate) fn read(&self) -> Result<Texts, ConfigError> {
        let pair = self.pair.as_ref();
        Ok(Texts {
            pair: pair
                .map(|(certificate, key)| Ok((read_file(certificate)?, read_secret(key)?)))
                .transpose()?,
            authority: self.authority.as_deref().map(read_file).transpose()?,
        })
    }

    /// Whether this can be used, all of it.
    pub(crate) fn judge(&self, texts: Texts) -> Result<Held, ConfigError> {
        let mut held = Held {
            identity: None,
            authority: None,
            shown: None,
            believed: None,
            texts,
        };
        if let (Some((chain, key)), Some((certificate_file, key_file))) =
            (&held.texts.pair, &self.pair)
        {
            let unusable =
                |problem: &str| self.unusable("certificate_file", certificate_file, problem);
            let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
                .collect::<Result<_, _>>()
                .map_err(|_| unusable("it is not PEM"))?;
            held.shown = Some(
                first_to_end(&chain)
                    .ok_or_else(|| unusable("it holds no certificate, or one that cannot be read; put the whole chain there, the service's own certificate first"))?,
            );
            // says nothing of what is in the file
            let key =
                PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).map_err(|_| {
                    self.unusable(
                        "key_file",
                        key_file,
                        "it holds no private key in PEM without a passphrase",
                    )
                })?;
            let identity = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
                .map_err(|error| match error {
                    rustls::Error::InconsistentKeys(_) => self.unusable(
                        "key_file",
                        key_file,
                        &format!(
                            "it is not the key of the certificate in {}; replace both together",
                            certificate_file.display()
                        ),
                    ),
                    other => unusable(&other.to_string()),
                })?;
            held.identity = Some(Arc::new(identity));
        }
        if let (Some(pem), Some(file)) = (&held.texts.authority, &self.authority) {
            let unusable =
                |problem: &str| self.unusable(self.section.authority_key(), file, problem);
            let authorities: Vec<_> = CertificateDer::pem_slice_iter(pem)
                .collect::<Result<_, _>>()
                .map_err(|_| unusable("it is not PEM"))?;
            held.believed = Some(first_to_end(&authorities).ok_or_else(|| {
                unusable("it holds no certificate of an authority, or one that cannot be read")
            })?);
            let mut roots = RootCertStore::empty();
            for authority in authorities {
                roots
                    .add(authority)
                    .map_err(|error| unusable(&error.to_string()))?;
            }
            held.authority = Some(roots);
        }
        Ok(held)
    }

    fn unusable(&self, key: &str, path: &std::path::Path, problem: &str) -> ConfigError {
        ConfigError::Unusable {
            key: format!("{}.{key}", self.section.as_str()),
            path: path.to_owned(),
            problem: problem.to_owned(),
        }
    }
}

/// None if there is none, or one cannot be read.
fn first_to_end(certificates: &[CertificateDer<'_>]) -> Option<Validity> {
    let validities: Option<Vec<_>> = certificates.iter().map(|der| Validity::of(der)).collect();
    validities?.into_iter().min_by_key(|validity| validity.ends)
}

#[cfg(test)]
mod tests;
