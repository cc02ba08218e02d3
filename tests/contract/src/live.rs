//! A real forest as a target: Samba in the lab, or whatever it is pointed to.
//!
//! It makes an organizational unit of its own with a person per case, and takes both away again.

use std::{
    collections::HashSet,
    fs,
    path::PathBuf,
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context as _, bail, ensure};
use directory::{Directory, DirectoryConfig};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, Mod, Scope, SearchEntry};
use operation::ObjectGuid;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::{Given, Person, Scene, TIME_OUT, Target};

/// How to reach a forest, and as whom.
#[derive(Debug, Clone)]
pub struct LiveConfig {
    /// For the head of its column.
    pub name: String,
    /// `ldaps://host:port`
    pub url: String,
    pub ca: PathBuf,
    /// Where the organizational unit is made; the service account's rights must reach it.
    pub base_dn: String,
    pub account: Account,
    /// Makes and removes people, locks and disables them.
    pub administrator: Account,
    /// May read and nothing else.
    pub reader: Option<Account>,
    /// The DN of somebody who may not change their password; it is not changed.
    pub may_not_change: Option<String>,
}

#[derive(Clone)]
pub struct Account {
    pub name: String,
    pub password: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl LiveConfig {
    /// A forest of the lab.
    pub fn of_lab(forest: &lab::Forest) -> anyhow::Result<Self> {
        let secrets = lab::Place::of_this_repository()?
            .directory()
            .join("secrets");
        let account = |login: &str| {
            let path = secrets.join(format!("{}-{login}", forest.id));
            Ok::<_, anyhow::Error>(Account {
                name: format!("{login}@{}", forest.domain),
                password: secret(&path)?,
            })
        };
        Ok(Self {
            name: format!("Samba 4.17, the lab's {}", forest.id),
            url: forest.ldaps.clone(),
            ca: forest.ca.clone(),
            base_dn: forest.base_dn.clone(),
            account: account("svc-writeback")?,
            administrator: Account {
                name: forest.administrator.clone(),
                password: forest.administrator_password.clone(),
            },
            reader: Some(account("svc-writeback-read")?),
            may_not_change: Some(format!("CN=Frida Fixed,OU=People,{}", forest.base_dn)),
        })
    }

    /// A forest named by the environment: `WRITEBACK_CONTRACT_URL` and its like. None without it.
    pub fn of_environment() -> anyhow::Result<Option<Self>> {
        let variable = |name: &str| std::env::var(format!("WRITEBACK_CONTRACT_{name}")).ok();
        let required = |name: &str| {
            variable(name).with_context(|| format!("WRITEBACK_CONTRACT_{name} is not set"))
        };
        let Some(url) = variable("URL") else {
            return Ok(None);
        };
        let account = |name: &str| {
            Ok::<_, anyhow::Error>(Account {
                name: required(name)?,
                password: secret(&required(&format!("{name}_PASSWORD_FILE"))?.into())?,
            })
        };
        Ok(Some(Self {
            name: variable("NAME").unwrap_or_else(|| url.clone()),
            url,
            ca: required("CA")?.into(),
            base_dn: required("BASE_DN")?,
            account: account("ACCOUNT")?,
            administrator: account("ADMINISTRATOR")?,
            reader: variable("READER").map(|_| account("READER")).transpose()?,
            may_not_change: variable("MAY_NOT_CHANGE"),
        }))
    }

    fn directory(&self, account: &Account) -> anyhow::Result<Arc<Directory>> {
        Ok(Directory::new(DirectoryConfig {
            endpoints: vec![self.url.clone()],
            topology: directory::Topology::default(),
            ca_pem: fs::read(&self.ca)?,
            account: account.name.clone(),
            password: account.password.as_str().into(),
            connections: 2,
            operation_timeout: TIME_OUT,
        })?)
    }
}

fn secret(path: &PathBuf) -> anyhow::Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A forest with our organizational unit in it, until [`Live::leave`].
pub struct Live {
    config: LiveConfig,
    ou: String,
    directory: Arc<Directory>,
    reader: Option<Arc<Directory>>,
    administrator: Ldap,
    driver: tokio::task::JoinHandle<()>,
    lockout_threshold: usize,
    made: AtomicUsize,
}

impl Live {
    pub async fn enter(config: LiveConfig) -> anyhow::Result<Self> {
        let settings = LdapConnSettings::new()
            .set_conn_timeout(TIME_OUT)
            .set_config(tls(&config.ca)?);
        let (connection, mut ldap) = LdapConnAsync::with_settings(settings, &config.url).await?;
        let driver = tokio::spawn(async move {
            // how it ended is told by the call that was waiting
            let _ = connection.drive().await;
        });
        let Account { name, password } = &config.administrator;
        ldap.with_timeout(TIME_OUT)
            .simple_bind(name, password)
            .await?
            .success()
            .context("the administrator cannot sign in")?;
        let domain = read(&mut ldap, "", "defaultNamingContext").await?;
        let domain = domain.context("its rootDSE names no domain")?;
        let threshold = read(&mut ldap, &domain, "lockoutThreshold").await?;
        let threshold = threshold.and_then(|text| text.parse().ok()).unwrap_or(0);
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let ou = format!("OU=Writeback contract {unique},{}", config.base_dn);
        let classes = values(&["top", "organizationalUnit"]);
        add(&mut ldap, &ou, vec![(b"objectClass".to_vec(), classes)]).await?;
        Ok(Self {
            directory: config.directory(&config.account)?,
            reader: config
                .reader
                .as_ref()
                .map(|reader| config.directory(reader))
                .transpose()?,
            administrator: ldap,
            driver,
            ou,
            lockout_threshold: threshold,
            made: AtomicUsize::new(0),
            config,
        })
    }

    /// Takes away what was made.
    pub async fn leave(mut self) -> anyhow::Result<()> {
        let ldap = &mut self.administrator;
        let (people, _) = ldap
            .with_timeout(TIME_OUT)
            .search(&self.ou, Scope::OneLevel, "(objectClass=user)", vec!["cn"])
            .await?
            .success()?;
        for person in people {
            let dn = SearchEntry::construct(person).dn;
            ldap.with_timeout(TIME_OUT).delete(&dn).await?.success()?;
        }
        ldap.with_timeout(TIME_OUT)
            .delete(&self.ou)
            .await?
            .success()?;
        Ok(())
    }

    async fn make(&self, password: &str) -> anyhow::Result<(String, ObjectGuid)> {
        let mut ldap = self.administrator.clone();
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let unique = uuid::Uuid::new_v4().simple().to_string();
        // at most 20 characters (MS-SAMR 3.1.1.8.4), and no part of any password
        let login: String = format!("wbc{number}-{unique}").chars().take(18).collect();
        let dn = format!("CN={login},{}", self.ou);
        let attributes = vec![
            (b"objectClass".to_vec(), values(&["user"])),
            (b"sAMAccountName".to_vec(), values(&[&login])),
            (b"userAccountControl".to_vec(), values(&["512"])),
            (b"unicodePwd".to_vec(), HashSet::from([quoted(password)])),
        ];
        add(&mut ldap, &dn, attributes).await?;
        let (entries, _) = ldap
            .with_timeout(TIME_OUT)
            .search(&dn, Scope::Base, "(objectClass=*)", vec!["objectGUID"])
            .await?
            .success()?;
        let entry = entries.into_iter().next().context("the person is gone")?;
        Ok((dn, guid(entry)?))
    }

    async fn replace(&self, dn: &str, attribute: &str, value: Vec<u8>) -> anyhow::Result<()> {
        let mut ldap = self.administrator.clone();
        let change = Mod::Replace(attribute.as_bytes().to_vec(), HashSet::from([value]));
        let answer = ldap.with_timeout(TIME_OUT).modify(dn, vec![change]).await?;
        answer
            .success()
            .with_context(|| format!("{attribute} cannot be set"))?;
        Ok(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Target for Live {
    fn name(&self) -> String {
        self.config.name.clone()
    }

    async fn prepare(&self, given: Given) -> anyhow::Result<Scene> {
        let fresh = || format!("Given-{}", uuid::Uuid::new_v4());
        let (password, used) = (fresh(), fresh());
        if given == Given::MayNotChange {
            let Some(dn) = &self.config.may_not_change else {
                return Ok(Scene::NotHere("nobody is named who may not"));
            };
            let mut ldap = self.administrator.clone();
            let (entries, _) = ldap
                .with_timeout(TIME_OUT)
                .search(dn, Scope::Base, "(objectClass=*)", vec!["objectGUID"])
                .await?
                .success()?;
            let entry = entries.into_iter().next().context("nobody has that name")?;
            return Ok(Scene::Set(Person {
                guid: guid(entry)?,
                name: dn.clone(),
                password,
                used,
                directory: Arc::clone(&self.directory),
            }));
        }
        let mut directory = &self.directory;
        if given == Given::WithoutRights {
            match &self.reader {
                Some(reader) => directory = reader,
                None => return Ok(Scene::NotHere("no account without rights is named")),
            }
        }
        if given == Given::Locked && self.lockout_threshold == 0 {
            return Ok(Scene::NotHere("the domain locks nobody"));
        }
        let first = if given == Given::WithHistory {
            &used
        } else {
            &password
        };
        let (dn, guid) = self.make(first).await?;
        match given {
            Given::Ordinary | Given::WithoutRights | Given::MayNotChange => {}
            Given::WithHistory => self.replace(&dn, "unicodePwd", quoted(&password)).await?,
            Given::Disabled => {
                self.replace(&dn, "userAccountControl", b"514".to_vec())
                    .await?;
            }
            Given::MustChange => self.replace(&dn, "pwdLastSet", b"0".to_vec()).await?,
            Given::Deleted => {
                let mut ldap = self.administrator.clone();
                ldap.with_timeout(TIME_OUT).delete(&dn).await?.success()?;
            }
            Given::Locked => {
                for _ in 0..=self.lockout_threshold {
                    self.directory.opens(&dn, &fresh().into()).await?;
                }
                let account = self.directory.read_account(guid).await?;
                ensure!(
                    account.is_some_and(|account| account.locked),
                    "it is not locked"
                );
            }
        }
        Ok(Scene::Set(Person {
            guid,
            name: dn,
            password,
            used,
            directory: Arc::clone(directory),
        }))
    }
}

fn tls(ca: &PathBuf) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&fs::read(ca)?) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

async fn read(ldap: &mut Ldap, dn: &str, attribute: &str) -> anyhow::Result<Option<String>> {
    let (entries, _) = ldap
        .with_timeout(TIME_OUT)
        .search(dn, Scope::Base, "(objectClass=*)", vec![attribute])
        .await?
        .success()?;
    let entry = entries.into_iter().next().map(SearchEntry::construct);
    Ok(entry.and_then(|mut entry| entry.attrs.remove(attribute)?.pop()))
}

async fn add(
    ldap: &mut Ldap,
    dn: &str,
    attributes: Vec<(Vec<u8>, HashSet<Vec<u8>>)>,
) -> anyhow::Result<()> {
    let answer = ldap.with_timeout(TIME_OUT).add(dn, attributes).await?;
    if answer.rc != 0 {
        bail!(
            "{dn} cannot be made: LDAP result {} {}",
            answer.rc,
            answer.text
        );
    }
    Ok(())
}

fn values(texts: &[&str]) -> HashSet<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// MS-ADTS 3.1.1.3.1.5: the quoted password in UTF-16, little-endian.
fn quoted(password: &str) -> Vec<u8> {
    let quoted = format!("\"{password}\"");
    quoted.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn guid(entry: ldap3::ResultEntry) -> anyhow::Result<ObjectGuid> {
    let mut entry = SearchEntry::construct(entry);
    // `ldap3` sorts values into texts and bytes by what they happen to look like
    let bytes = entry
        .bin_attrs
        .remove("objectGUID")
        .and_then(|mut values| values.pop())
        .or_else(|| Some(entry.attrs.remove("objectGUID")?.pop()?.into_bytes()))
        .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
        .context("it has no objectGUID")?;
    Ok(ObjectGuid::from_bytes(bytes))
}
