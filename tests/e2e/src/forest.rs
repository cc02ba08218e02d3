//! A forest's domain controller, over LDAPS: sign in as a person, arrange the scene as its administrator.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, Mod, Scope, SearchEntry};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinHandle;

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// One more than the lab's lockout threshold.
const WRONG_PASSWORDS_TO_LOCK: usize = 6;

/// How the domain controller answers a simple bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignIn {
    Opens,
    /// The password is right and must be changed first.
    MustChange,
    Locked,
    Disabled,
    /// The password is wrong, or another cause, by its code.
    Refused(String),
}

pub struct DomainController {
    pub(crate) forest: lab::Forest,
    tls: Arc<ClientConfig>,
}

/// By what an event can name an object.
#[derive(Debug, Clone)]
pub struct Identifiers {
    /// As the directory stores it.
    pub object_guid: Vec<u8>,
    /// Base64 of `objectGUID`: nobody of the lab's ordinary people has a `mS-DS-ConsistencyGuid`.
    pub source_anchor: String,
    /// None for contacts.
    pub security_identifier: Option<String>,
}

/// An open connection, closed when it is dropped.
pub(crate) struct Connection {
    pub(crate) ldap: Ldap,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl DomainController {
    /// Trusts the forest's own CA and no other.
    pub fn new(forest: &lab::Forest) -> anyhow::Result<Self> {
        let pem =
            fs::read(&forest.ca).with_context(|| format!("cannot read {}", forest.ca.display()))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate?)?;
        }
        let tls = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            forest: forest.clone(),
            tls: Arc::new(tls),
        })
    }

    pub fn id(&self) -> &str {
        &self.forest.id
    }

    pub fn domain(&self) -> &str {
        &self.forest.domain
    }

    /// Where it listens, `ldaps://host:port`.
    pub fn ldaps(&self) -> &str {
        &self.forest.ldaps
    }

    /// The same as the services name it: by its name in DNS, where they find it there.
    pub fn known_as(&self) -> &str {
        &self.forest.known_as
    }

    /// Another domain controller of the same domain.
    #[must_use]
    pub fn at(&self, ldaps: &str) -> Self {
        Self {
            forest: lab::Forest {
                ldaps: ldaps.to_owned(),
                ..self.forest.clone()
            },
            tls: Arc::clone(&self.tls),
        }
    }

    /// The ordinary person with this number, by user principal name.
    pub fn person(&self, number: usize) -> anyhow::Result<&str> {
        self.forest
            .users
            .get(number)
            .map(String::as_str)
            .with_context(|| format!("forest {} has no person {number}", self.forest.id))
    }

    /// Somebody who is not among the ordinary people.
    pub fn named(&self, login: &str) -> String {
        format!("{login}@{}", self.forest.domain)
    }

    async fn connect(&self) -> anyhow::Result<Connection> {
        let settings = LdapConnSettings::new()
            .set_conn_timeout(PATIENCE)
            .set_config(Arc::clone(&self.tls));
        let (connection, ldap) = LdapConnAsync::with_settings(settings, &self.forest.ldaps)
            .await
            .with_context(|| format!("cannot connect to {}", self.forest.ldaps))?;
        let driver = tokio::spawn(async move {
            // how it ended is told by the call that was waiting
            let _ = connection.drive().await;
        });
        Ok(Connection { ldap, driver })
    }

    /// A real sign-in on a connection of its own.
    pub async fn sign_in(&self, person: &str, password: &str) -> anyhow::Result<SignIn> {
        let mut connection = self.connect().await?;
        let answer = connection
            .ldap
            .with_timeout(PATIENCE)
            .simple_bind(person, password)
            .await
            .context("the bind brought no answer")?;
        // MS-ADTS 5.1.1.5: the extended error is in the text, as `, data <hex>`
        let code: String = answer.text.split_once(", data ").map_or_else(
            || answer.text.clone(),
            |(_, rest)| rest.chars().take_while(char::is_ascii_hexdigit).collect(),
        );
        Ok(match (answer.rc, code.as_str()) {
            (0, _) => SignIn::Opens,
            (49, "773") => SignIn::MustChange,
            (49, "775") => SignIn::Locked,
            (49, "533") => SignIn::Disabled,
            (49, _) => SignIn::Refused(code),
            (result, _) => bail!("the bind ended with LDAP result {result}: {}", answer.text),
        })
    }

    pub async fn opens(&self, person: &str, password: &str) -> anyhow::Result<bool> {
        Ok(self.sign_in(person, password).await? == SignIn::Opens)
    }

    /// The new password signs in and the old one does not. The right one comes last: it clears the count of wrong ones.
    pub async fn prove(&self, person: &str, old: &str, new: &str) -> anyhow::Result<()> {
        ensure!(
            !self.opens(person, old).await?,
            "{person} still signs in with the old password"
        );
        let signed_in = self.sign_in(person, new).await?;
        ensure!(
            signed_in == SignIn::Opens,
            "{person} does not sign in with the new password: {signed_in:?}"
        );
        Ok(())
    }

    pub(crate) async fn as_administrator(&self) -> anyhow::Result<Connection> {
        let mut connection = self.connect().await?;
        connection
            .ldap
            .with_timeout(PATIENCE)
            .simple_bind(
                &self.forest.administrator,
                &self.forest.administrator_password,
            )
            .await?
            .success()
            .context("the administrator cannot sign in")?;
        Ok(connection)
    }

    /// The one object that a filter finds.
    async fn find(&self, connection: &mut Connection, filter: &str) -> anyhow::Result<SearchEntry> {
        let (entries, _) = connection
            .ldap
            .with_timeout(PATIENCE)
            .search(
                &self.forest.base_dn,
                Scope::Subtree,
                filter,
                vec!["distinguishedName", "objectGUID", "objectSid"],
            )
            .await?
            .success()?;
        let mut found = entries
            .into_iter()
            .filter(|entry| !entry.is_ref() && !entry.is_intermediate())
            .map(SearchEntry::construct);
        let first = found
            .next()
            .with_context(|| format!("{filter} is not in forest {}", self.forest.id))?;
        ensure!(found.next().is_none(), "{filter} finds more than one");
        Ok(first)
    }

    async fn find_person(
        &self,
        connection: &mut Connection,
        person: &str,
    ) -> anyhow::Result<SearchEntry> {
        let filter = format!("(userPrincipalName={})", ldap3::ldap_escape(person));
        self.find(connection, &filter).await
    }

    /// By what else than their user principal name a person can be named.
    pub async fn identifiers(&self, person: &str) -> anyhow::Result<Identifiers> {
        let mut connection = self.as_administrator().await?;
        identifiers(&self.find_person(&mut connection, person).await?)
    }

    pub(crate) async fn identifiers_of(
        &self,
        connection: &mut Connection,
        dn: &str,
    ) -> anyhow::Result<Identifiers> {
        let (entries, _) = connection
            .ldap
            .with_timeout(PATIENCE)
            .search(
                dn,
                Scope::Base,
                "(objectClass=*)",
                vec!["distinguishedName", "objectGUID", "objectSid"],
            )
            .await?
            .success()?;
        let entry = entries
            .into_iter()
            .next()
            .with_context(|| format!("there is no {dn}"))?;
        identifiers(&SearchEntry::construct(entry))
    }

    /// How often the person's password has been set (MS-ADTS 3.1.1.4.5.16, msDS-KeyVersionNumber).
    pub async fn passwords_set(&self, person: &str) -> anyhow::Result<u32> {
        let mut connection = self.as_administrator().await?;
        let dn = self.find_person(&mut connection, person).await?.dn;
        let (entries, _) = connection
            .ldap
            .with_timeout(PATIENCE)
            .search(
                &dn,
                Scope::Base,
                "(objectClass=*)",
                vec!["msDS-KeyVersionNumber"],
            )
            .await?
            .success()?;
        let entry = entries.into_iter().next().map(SearchEntry::construct);
        let number = entry
            .as_ref()
            .and_then(|entry| entry.attrs.get("msDS-KeyVersionNumber")?.first())
            .with_context(|| format!("{person} has no msDS-KeyVersionNumber"))?;
        Ok(number.parse()?)
    }

    /// The domain controller's own account.
    pub async fn computer(&self) -> anyhow::Result<Identifiers> {
        let mut connection = self.as_administrator().await?;
        // MS-ADTS 2.2.16: 0x2000, told from other computers by a bit of userAccountControl (3.1.1.3.4.4.1)
        let filter = "(userAccountControl:1.2.840.113556.1.4.803:=8192)";
        identifiers(&self.find(&mut connection, filter).await?)
    }

    /// A built-in account, by its login name.
    pub async fn built_in(&self, login: &str) -> anyhow::Result<Identifiers> {
        let mut connection = self.as_administrator().await?;
        let filter = format!("(sAMAccountName={})", ldap3::ldap_escape(login));
        identifiers(&self.find(&mut connection, &filter).await?)
    }

    /// A contact beside the people, new if it is not there.
    pub async fn contact(&self, name: &str) -> anyhow::Result<Identifiers> {
        let mut connection = self.as_administrator().await?;
        let dn = format!("CN={name},OU=People,{}", self.forest.base_dn);
        let class = HashSet::from(["contact"]);
        let added = connection
            .ldap
            .with_timeout(PATIENCE)
            .add(&dn, vec![("objectClass", class)])
            .await?;
        // 68: entryAlreadyExists
        ensure!(matches!(added.rc, 0 | 68), "no contact: {added}");
        identifiers(
            &self
                .find(
                    &mut connection,
                    &format!("(&(objectClass=contact)(cn={name}))"),
                )
                .await?,
        )
    }

    /// The account's time is over.
    pub async fn expire_account(&self, person: &str) -> anyhow::Result<()> {
        self.replace(person, "accountExpires", "1").await
    }

    /// The account's time is never over (MS-ADA1, accountExpires: 0).
    pub async fn extend_account(&self, person: &str) -> anyhow::Result<()> {
        self.replace(person, "accountExpires", "0").await
    }

    async fn replace(&self, person: &str, attribute: &str, value: &str) -> anyhow::Result<()> {
        let mut connection = self.as_administrator().await?;
        let dn = self.find_person(&mut connection, person).await?.dn;
        connection
            .ldap
            .with_timeout(PATIENCE)
            .modify(&dn, vec![Mod::Replace(attribute, HashSet::from([value]))])
            .await?
            .success()
            .with_context(|| format!("{attribute} of {person} cannot be set"))?;
        Ok(())
    }

    /// Sets the scene: a fresh password, and no lockout left from before.
    pub async fn start_with_fresh_password(&self, person: &str) -> anyhow::Result<String> {
        let password = crate::fresh_password();
        self.set_password(person, &password).await?;
        Ok(password)
    }

    /// The same with a password of the caller's.
    pub async fn set_password(&self, person: &str, password: &str) -> anyhow::Result<()> {
        let mut connection = self.as_administrator().await?;
        let dn = self.find_person(&mut connection, person).await?.dn;
        // MS-ADTS 3.1.1.3.1.5: the quoted password in UTF-16, little-endian
        let quoted: Vec<u8> = format!("\"{password}\"")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        connection
            .ldap
            .with_timeout(PATIENCE)
            .modify(
                &dn,
                vec![
                    Mod::Replace(b"unicodePwd".to_vec(), HashSet::from([quoted])),
                    Mod::Replace(b"lockoutTime".to_vec(), HashSet::from([b"0".to_vec()])),
                ],
            )
            .await?
            .success()
            .with_context(|| format!("the administrator cannot set the password of {person}"))?;
        Ok(())
    }

    /// Locks the person the way it happens: by wrong passwords.
    pub async fn lock(&self, person: &str, password: &str) -> anyhow::Result<()> {
        for _ in 0..WRONG_PASSWORDS_TO_LOCK {
            ensure!(
                !self.opens(person, "not the password").await?,
                "a wrong password signs {person} in"
            );
        }
        ensure!(
            !self.opens(person, password).await?,
            "{person} is not locked after {WRONG_PASSWORDS_TO_LOCK} wrong passwords"
        );
        Ok(())
    }
}

fn identifiers(entry: &SearchEntry) -> anyhow::Result<Identifiers> {
    // whatever happens to be UTF-8 is among the texts
    let bytes = |name: &str| {
        let texts = entry.attrs.get(name).and_then(|values| values.first());
        let raw = entry.bin_attrs.get(name).and_then(|values| values.first());
        raw.cloned()
            .or_else(|| texts.map(|text| text.clone().into_bytes()))
    };
    let guid = bytes("objectGUID").with_context(|| format!("{} has no objectGUID", entry.dn))?;
    let security_identifier = bytes("objectSid")
        .map(|sid| operation::SecurityIdentifier::from_bytes(&sid))
        .transpose()?
        .map(|sid| sid.to_string());
    Ok(Identifiers {
        source_anchor: STANDARD.encode(&guid),
        object_guid: guid,
        security_identifier,
    })
}
