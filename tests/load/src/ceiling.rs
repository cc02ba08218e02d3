//! The ceiling: one pooled LDAPS client that sends the same modify as a writer, and nothing else.

use std::{collections::HashSet, fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, Mod, Scope, SearchEntry};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde::Deserialize;
use tokio::task::JoinHandle;

use crate::round::Worker;

const PATIENCE: Duration = Duration::from_secs(10);

/// What the configuration file says of the account that writes.
#[derive(Deserialize)]
struct Configuration {
    forests: Vec<Forest>,
}

#[derive(Deserialize)]
struct Forest {
    id: String,
    account: String,
    account_password_file: PathBuf,
}

/// One bound connection.
pub(crate) struct Connection {
    ldap: Ldap,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A reset to be sent: whose, and to what.
pub(crate) struct Modify {
    pub(crate) target: String,
    pub(crate) password: String,
}

/// So many connections to a forest's domain controller, bound as the writers' account.
pub(crate) async fn connections(
    forest: &lab::Forest,
    place: &lab::Place,
    count: usize,
) -> anyhow::Result<Vec<Connection>> {
    let file = place.directory().join("config.toml");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let configuration: Configuration = toml::from_str(&text)?;
    let writing = configuration
        .forests
        .into_iter()
        .find(|one| one.id == forest.id)
        .with_context(|| format!("the configuration has no forest {}", forest.id))?;
    let password = fs::read_to_string(&writing.account_password_file)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&fs::read(&forest.ca)?) {
        roots.add(certificate?)?;
    }
    let tls = Arc::new(
        ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth(),
    );
    let mut connections = Vec::new();
    for _ in 0..count {
        let settings = LdapConnSettings::new()
            .set_conn_timeout(PATIENCE)
            .set_config(Arc::clone(&tls));
        let (driver, mut ldap) = LdapConnAsync::with_settings(settings, &forest.ldaps).await?;
        let driver = tokio::spawn(async move {
            // how it ended is told by the call that was waiting
            let _ = driver.drive().await;
        });
        ldap.with_timeout(PATIENCE)
            .simple_bind(&writing.account, password.trim_end())
            .await?
            .success()?;
        connections.push(Connection { ldap, driver });
    }
    Ok(connections)
}

impl Connection {
    /// The person's name in an LDAP request, as the writers address people too: `<GUID=…>` (MS-ADTS 3.1.1.3.1.2.4).
    pub(crate) async fn target_of(
        &mut self,
        forest: &lab::Forest,
        user_principal_name: &str,
    ) -> anyhow::Result<String> {
        let filter = format!(
            "(userPrincipalName={})",
            ldap3::ldap_escape(user_principal_name)
        );
        let (entries, _) = self
            .ldap
            .with_timeout(PATIENCE)
            .search(&forest.base_dn, Scope::Subtree, &filter, vec!["objectGUID"])
            .await?
            .success()?;
        let entry = entries
            .into_iter()
            .filter(|entry| !entry.is_ref() && !entry.is_intermediate())
            .map(SearchEntry::construct)
            .next()
            .with_context(|| format!("{user_principal_name} is not in forest {}", forest.id))?;
        let guid = entry
            .bin_attrs
            .get("objectGUID")
            .and_then(|values| values.first())
            .and_then(|bytes| <[u8; 16]>::try_from(bytes.as_slice()).ok())
            .with_context(|| format!("{user_principal_name} has no objectGUID"))?;
        Ok(format!(
            "<GUID={}>",
            operation::ObjectGuid::from_bytes(guid)
        ))
    }
}

impl Worker for Connection {
    type Operation = Modify;

    async fn carry_out(&mut self, modify: Modify) -> anyhow::Result<()> {
        // MS-ADTS 3.1.1.3.1.5: the quoted password in UTF-16, little-endian
        let quoted: Vec<u8> = format!("\"{}\"", modify.password)
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        self.ldap
            .with_timeout(PATIENCE)
            .modify(
                &modify.target,
                vec![
                    Mod::Replace(b"unicodePwd".to_vec(), HashSet::from([quoted])),
                    // a reset unlocks too, unless the event says otherwise
                    Mod::Replace(b"lockoutTime".to_vec(), HashSet::from([b"0".to_vec()])),
                ],
            )
            .await?
            .success()?;
        Ok(())
    }
}
