//! TLS for listeners and towards audit, by a service's own certificate: as its files say at the moment, so that a renewed one is
//! taken for the next connection, and those that are open stay.
//!
//! The whole of a listener's configuration is replaced, not its certificate alone: a session that was begun under an authority
//! that is no longer believed cannot be resumed, which would pass by the certificate (RFC 8446 2.2).

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier, sign::SingleCertAndKey,
};

use crate::{
    certificates::{Certificates, HeldUntil},
    config::{CertificateFiles, ConfigError, Held},
    reload,
};

/// What HTTP/2 calls itself in the handshake (RFC 9113 3.2), and HTTP/1.1 (RFC 7301 6).
pub const HTTP_2: &[u8] = b"h2";
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// What a listener shows, and whose certificates it believes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ServerTls(Arc<RwLock<Arc<ServerConfig>>>);

/// Looks after files with certificates, and hands on what becomes of them.
#[must_use = "nothing is followed until it runs"]
pub struct Following {
    files: CertificateFiles,
    held: Held,
    take: Take,
}

/// Puts what was found to fit into force. It says why that cannot be.
pub(crate) type Take = Box<dyn FnMut(&Held) -> Result<(), String> + Send>;

impl ServerTls {
    /// As the files are now; TLS 1.2 or later. Who calls need not show a certificate, but one that is shown must be of the
    /// authority, if there is one.
    ///
    /// # Errors
    /// When the files cannot be read, or what is in them cannot be used.
    pub fn read(
        files: CertificateFiles,
        protocol: &'static [u8],
    ) -> Result<(Self, Following), ConfigError> {
        let held = files.judge(files.read()?)?;
        let config = server_config(&held, protocol).map_err(|error| ConfigError::Tls {
            section: files.section().as_str(),
            problem: error,
        })?;
        let tls = Self(Arc::new(RwLock::new(config)));
        let served = tls.clone();
        let take: Take = Box::new(move |held| {
            let config = server_config(held, protocol)?;
            *served.0.write().unwrap_or_else(PoisonError::into_inner) = config;
            Ok(())
        });
        Ok((tls, Following::new(files, held, take)))
    }

    /// For the next connection.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Following {
    pub(crate) const fn new(files: CertificateFiles, held: Held, take: Take) -> Self {
        Self { files, held, take }
    }

    /// Runs until it is dropped, or at once to its end if there is nothing to follow.
    pub async fn run(self, certificates: Certificates) {
        let Self {
            files,
            held,
            mut take,
        } = self;
        if files.is_empty() {
            return;
        }
        let section = files.section();
        certificates.set(section, until(&held));
        let reader = files.clone();
        reload::follow(held.texts, move || reader.read(), |seen| {
            let taken = seen.and_then(|texts| {
                let held = files.judge(texts).map_err(|error| error.to_string())?;
                take(&held).map(|()| until(&held))
            });
            match taken {
                Ok(until) => {
                    certificates.set(section, until);
                    let end = |validity: Option<expiry::Validity>| {
                        validity.map(|validity| validity.ends.to_string())
                    };
                    tracing::info!(
                        section = section.as_str(),
                        certificate_ends = end(until.certificate),
                        authority_ends = end(until.authority),
                        "renewed certificates are in force for new connections"
                    );
                }
                Err(error) => tracing::error!(
                    section = section.as_str(),
                    error,
                    "certificates changed and cannot be used, those before stay in force; put a certificate, its key and the authority into their files, each whole"
                ),
            }
        })
        .await;
    }
}

fn until(held: &Held) -> HeldUntil {
    HeldUntil {
        certificate: held.shown,
        authority: held.believed,
    }
}

fn server_config(held: &Held, protocol: &'static [u8]) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let identity = held.identity.as_ref().ok_or("no certificate is given")?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| error.to_string())?;
    let builder = match &held.authority {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| error.to_string())?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let shown = SingleCertAndKey::from(Arc::clone(identity));
    let mut config = builder.with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;
