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
    let begins = OffsetDateTime::now_utc() - Duration::days(1);
    let ends = begins + Duration::days(825);

    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name.push(DnType::CommonName, authority);
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.not_before = begins;
    ca.not_after = ends;
    let ca_key = KeyPair::generate()?;
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let subject = names.first().cloned().unwrap_or_default();
    let mut server = CertificateParams::new(names)?;
    server.distinguished_name.push(DnType::CommonName, subject);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    server.not_before = begins;
    server.not_after = ends;
    let server_key = KeyPair::generate()?;
    let server_certificate = server.signed_by(&server_key, &issuer)?;

    let made = ServerCertificate {
        authority: folder.join("ca.pem"),
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
    };
    write_public(&made.authority, ca_certificate.pem().as_bytes())?;
    write_public(&made.certificate, server_certificate.pem().as_bytes())?;
    write_private(&made.key, server_key.serialize_pem().as_bytes())?;
    Ok(made)
}
