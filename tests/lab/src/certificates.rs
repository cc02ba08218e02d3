//! A certificate authority per forest, and its domain controller's certificate.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use crate::secret::{write_private, write_public};

/// Where the authority, the certificate and its key are.
pub struct ServerCertificate {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Makes `ca.pem`, `server.pem` and `server.key` in the folder, for these host names and addresses.
pub fn make(
    folder: &Path,
    authority: &str,
    names: Vec<String>,
) -> anyhow::Result<ServerCertificate> {
    Authority::make(folder, authority)?.certify("server", names)
}

/// An authority for as long as this process wants it: its key is written nowhere.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes `ca.pem` in the folder.
    pub(crate) fn make(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.distinguished_name.push(DnType::CommonName, name);
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (ca.not_before, ca.not_after) = validity();
        let key = KeyPair::generate()?;
        write_public(
            &folder.join("ca.pem"),
            ca.self_signed(&key)?.pem().as_bytes(),
        )?;
        Ok(Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(ca, key),
        })
    }

    /// Makes `<stem>.pem` and `<stem>.key` beside it, for these host names and addresses.
    pub(crate) fn certify(
        &self,
        stem: &str,
        names: Vec<String>,
    ) -> anyhow::Result<ServerCertificate> {
        let subject = names.first().cloned().unwrap_or_default();
        let mut server = CertificateParams::new(names)?;
        server.distinguished_name.push(DnType::CommonName, subject);
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        (server.not_before, server.not_after) = validity();
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &self.issuer)?;
        let made = ServerCertificate {
            authority: self.folder.join("ca.pem"),
            certificate: self.folder.join(format!("{stem}.pem")),
            key: self.folder.join(format!("{stem}.key")),
        };
        write_public(&made.certificate, certificate.pem().as_bytes())?;
        write_private(&made.key, key.serialize_pem().as_bytes())?;
        Ok(made)
    }
}

fn validity() -> (OffsetDateTime, OffsetDateTime) {
    let begins = OffsetDateTime::now_utc() - Duration::days(1);
    (begins, begins + Duration::days(825))
}
