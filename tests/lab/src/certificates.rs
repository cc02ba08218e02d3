//! A certificate authority per forest, and its domain controller's certificate; and one for the services.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use crate::place::Place;
use crate::secret::{write_private, write_public};

const LIFETIME: Duration = Duration::days(825);

/// The services that ask audit.
pub(crate) const ASKING: [&str; 3] = ["intake", "resolver", "writer"];

/// Where the authority, the certificate and its key are.
pub struct ServerCertificate {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Signs certificates. Its own key is kept nowhere.
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    begins: OffsetDateTime,
    lifetime: Duration,
}

impl Authority {
    /// Makes `ca.pem` in the folder.
    pub fn make(folder: &Path, name: &str) -> anyhow::Result<Self> {
        Self::lasting(folder, name, LIFETIME)
    }

    /// The same for another lifetime, which began a day ago; what it signs lasts as long.
    pub fn lasting(folder: &Path, name: &str, lifetime: Duration) -> anyhow::Result<Self> {
        let begins = OffsetDateTime::now_utc() - Duration::days(1);
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.distinguished_name.push(DnType::CommonName, name);
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        ca.not_before = begins;
        ca.not_after = begins + lifetime;
        let key = KeyPair::generate()?;
        let certificate = ca.self_signed(&key)?;
        let made = Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(ca, key),
            begins,
            lifetime,
        };
        write_public(&made.file(), certificate.pem().as_bytes())?;
        Ok(made)
    }

    pub fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Makes `<stem>.pem` and `<stem>.key` beside it, for these host names and addresses.
    pub fn certify(
        &self,
        stem: &str,
        names: Vec<String>,
        usage: ExtendedKeyUsagePurpose,
    ) -> anyhow::Result<ServerCertificate> {
        let subject = names.first().cloned().unwrap_or_default();
        let mut wanted = CertificateParams::new(names)?;
        wanted.distinguished_name.push(DnType::CommonName, subject);
        wanted.extended_key_usages = vec![usage];
        wanted.use_authority_key_identifier_extension = true;
        wanted.not_before = self.begins;
        wanted.not_after = self.begins + self.lifetime;
        let key = KeyPair::generate()?;
        let certificate = wanted.signed_by(&key, &self.issuer)?;
        let made = ServerCertificate {
            authority: self.file(),
            certificate: self.folder.join(format!("{stem}.pem")),
            key: self.folder.join(format!("{stem}.key")),
        };
        write_public(&made.certificate, certificate.pem().as_bytes())?;
        write_private(&made.key, key.serialize_pem().as_bytes())?;
        Ok(made)
    }
}

/// Makes `ca.pem`, `server.pem` and `server.key` in the folder, for these host names and addresses.
pub fn make(
    folder: &Path,
    authority: &str,
    names: Vec<String>,
) -> anyhow::Result<ServerCertificate> {
    let authority = Authority::make(folder, authority)?;
    authority.certify("server", names, ExtendedKeyUsagePurpose::ServerAuth)
}

/// Where what one kind of service shows to audit is: its certificate and key.
pub fn of_service(place: &Place, kind: &str) -> (PathBuf, PathBuf) {
    let file = |extension: &str| place.path(format!("services/{kind}.{extension}"));
    (file("pem"), file("key"))
}

/// Who signs what audit and the services show to one another.
pub fn services_authority(place: &Place) -> PathBuf {
    place.path("services/ca.pem")
}

/// The certificates of audit and of every kind of service that asks it.
pub(crate) fn make_for_services(place: &Place) -> anyhow::Result<()> {
    let authority = Authority::make(&place.path("services"), "Writeback lab services")?;
    authority.certify(
        "audit",
        vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
        ExtendedKeyUsagePurpose::ServerAuth,
    )?;
    for kind in ASKING {
        authority.certify(
            kind,
            vec![kind.to_owned()],
            ExtendedKeyUsagePurpose::ClientAuth,
        )?;
    }
    Ok(())
}
