//! People who come, move and leave, by the hand of their forest's administrator.

use std::{
    collections::HashSet,
    fmt::Write as _,
    hash::Hash,
    time::{Duration, Instant},
};

use anyhow::Context;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ldap3::{Ldap, Mod, Scope, SearchEntry};
use uuid::Uuid;

use crate::forest::{DomainController, Identifiers, PATIENCE};

/// Nobody else may be in the way, whichever test runs beside: every person is a new one.
#[derive(Debug, Clone)]
pub struct Person {
    /// The `objectGUID`: what stays when everything else changes.
    pub object: Uuid,
    pub user_principal_name: String,
    pub password: String,
}

impl Person {
    /// The person's object, wherever it is (MS-ADTS 3.1.1.3.1.2.4).
    pub fn dn(&self) -> String {
        format!("<GUID={}>", self.object)
    }
}

/// What an event calls a person whose `mS-DS-ConsistencyGuid` (or `objectGUID`) this is.
pub fn source_anchor(guid: Uuid) -> String {
    STANDARD.encode(guid.to_bytes_le())
}

impl DomainController {
    /// An enabled person in this unit (its name, directly below the domain).
    pub async fn hire(
        &self,
        login: &str,
        unit: &str,
        consistency_guid: Option<Uuid>,
    ) -> anyhow::Result<Person> {
        self.hire_below(login, &self.unit(unit), consistency_guid)
            .await
    }

    /// An enabled person right below this distinguished name.
    pub async fn hire_below(
        &self,
        login: &str,
        parent: &str,
        consistency_guid: Option<Uuid>,
    ) -> anyhow::Result<Person> {
        let password = crate::fresh_password();
        let user_principal_name = self.named(login);
        let dn = format!("CN={login},{parent}");
        let one = |value: &[u8]| HashSet::from([value.to_vec()]);
        let mut attributes = vec![
            (b"objectClass".to_vec(), one(b"user")),
            (b"sAMAccountName".to_vec(), one(login.as_bytes())),
            (
                b"userPrincipalName".to_vec(),
                one(user_principal_name.as_bytes()),
            ),
            // 512: a normal account, enabled (MS-ADTS 2.2.16)
            (b"userAccountControl".to_vec(), one(b"512")),
            (b"unicodePwd".to_vec(), one(&quoted(&password))),
        ];
        if let Some(guid) = consistency_guid {
            attributes.push((b"mS-DS-ConsistencyGuid".to_vec(), one(&guid.to_bytes_le())));
        }
        let mut connection = self.as_administrator().await?;
        connection
            .ldap
            .with_timeout(PATIENCE)
            .add(&dn, attributes)
            .await?
            .success()
            .with_context(|| format!("{dn} cannot be made"))?;
        let object = object_guid(&mut connection.ldap, &dn).await?;
        Ok(Person {
            object,
            user_principal_name,
            password,
        })
    }

    /// Gives the person another anchor, or takes it away.
    pub async fn set_consistency_guid(
        &self,
        person: &Person,
        guid: Option<Uuid>,
    ) -> anyhow::Result<()> {
        let values = guid.map(|guid| guid.to_bytes_le().to_vec());
        let change = Mod::Replace(
            b"mS-DS-ConsistencyGuid".to_vec(),
            values.into_iter().collect(),
        );
        self.modify(&person.dn(), change)
            .await
            .with_context(|| format!("{} cannot be given another anchor", person.object))
    }

    /// Sets one attribute of the person to one value.
    pub async fn set(&self, person: &Person, attribute: &str, value: &str) -> anyhow::Result<()> {
        let change = Mod::Replace(attribute, HashSet::from([value]));
        self.modify(&person.dn(), change)
            .await
            .with_context(|| format!("{attribute} of {} cannot be set", person.object))
    }

    async fn modify<S: AsRef<[u8]> + Eq + Hash>(
        &self,
        dn: &str,
        change: Mod<S>,
    ) -> anyhow::Result<()> {
        let mut connection = self.as_administrator().await?;
        connection
            .ldap
            .with_timeout(PATIENCE)
            .modify(dn, vec![change])
            .await?
            .success()?;
        Ok(())
    }

    /// A new group among the people, with the person as its only member, in this built-in group.
    pub async fn nest(&self, person: &Person, name: &str, built_in: &str) -> anyhow::Result<()> {
        let dn = format!("CN={name},OU=People,{}", self.forest.base_dn);
        let one = |value: &str| HashSet::from([value.to_owned()]);
        let attributes = vec![
            ("objectClass".to_owned(), one("group")),
            ("sAMAccountName".to_owned(), one(name)),
            ("member".to_owned(), one(&person.dn())),
            // MS-ADTS 2.2.12: a security group, of the domain
            ("groupType".to_owned(), one("-2147483644")),
        ];
        let mut connection = self.as_administrator().await?;
        connection
            .ldap
            .with_timeout(PATIENCE)
            .add(&dn, attributes)
            .await?
            .success()
            .with_context(|| format!("{dn} cannot be made"))?;
        self.change_members(Mod::Add, built_in, &dn).await
    }

    /// Takes the group out of the built-in one again.
    pub async fn unnest(&self, name: &str, built_in: &str) -> anyhow::Result<()> {
        let dn = format!("CN={name},OU=People,{}", self.forest.base_dn);
        self.change_members(Mod::Delete, built_in, &dn).await
    }

    async fn change_members<'a>(
        &self,
        act: impl FnOnce(&'a str, HashSet<&'a str>) -> Mod<&'a str>,
        built_in: &str,
        member: &'a str,
    ) -> anyhow::Result<()> {
        let group = format!("CN={built_in},CN=Builtin,{}", self.forest.base_dn);
        self.modify(&group, act("member", HashSet::from([member])))
            .await
            .with_context(|| format!("the members of {group} cannot be changed"))
    }

    /// Another name to sign in with.
    pub async fn set_user_principal_name(
        &self,
        person: &mut Person,
        name: &str,
    ) -> anyhow::Result<()> {
        self.set(person, "userPrincipalName", name).await?;
        name.clone_into(&mut person.user_principal_name);
        Ok(())
    }

    /// Another name, or another unit, or both.
    pub async fn rename(&self, person: &Person, name: &str, unit: &str) -> anyhow::Result<()> {
        self.move_below(person, name, &self.unit(unit)).await
    }

    /// The same, to right below this distinguished name.
    pub async fn move_below(
        &self,
        person: &Person,
        name: &str,
        parent: &str,
    ) -> anyhow::Result<()> {
        let mut connection = self.as_administrator().await?;
        connection
            .ldap
            .with_timeout(PATIENCE)
            .modifydn(
                &person.dn(),
                &format!("CN={}", escaped(name)),
                true,
                Some(parent),
            )
            .await?
            .success()
            .with_context(|| format!("{} cannot be renamed", person.object))?;
        Ok(())
    }

    pub async fn dismiss(&self, person: &Person) -> anyhow::Result<()> {
        let mut connection = self.as_administrator().await?;
        connection
            .ldap
            .with_timeout(PATIENCE)
            .delete(&person.dn())
            .await?
            .success()
            .with_context(|| format!("{} cannot be deleted", person.object))?;
        Ok(())
    }

    /// Makes an organizational unit beside that of the people.
    pub async fn found_unit(&self, unit: &str) -> anyhow::Result<()> {
        self.found_unit_at(&self.unit(unit)).await
    }

    /// Makes the organizational unit with this distinguished name.
    pub async fn found_unit_at(&self, dn: &str) -> anyhow::Result<()> {
        let class = HashSet::from([b"organizationalUnit".to_vec()]);
        let mut connection = self.as_administrator().await?;
        connection
            .ldap
            .with_timeout(PATIENCE)
            .add(dn, vec![(b"objectClass".to_vec(), class)])
            .await?
            .success()
            .with_context(|| format!("the unit {dn} cannot be made"))?;
        Ok(())
    }

    /// Whether it can be asked yet.
    pub async fn is_up(&self) -> bool {
        self.as_administrator().await.is_ok()
    }

    /// How long each of these searches for an anchor takes: what a service does that keeps no index.
    pub async fn search_by_anchor(
        &self,
        anchor: &Uuid,
        times: usize,
    ) -> anyhow::Result<Vec<Duration>> {
        let value = anchor.to_bytes_le();
        let escaped = value.iter().fold(String::new(), |mut text, byte| {
            // writing to a String does not fail
            let _ = write!(text, "\\{byte:02x}");
            text
        });
        let mut connection = self.as_administrator().await?;
        let mut took = Vec::new();
        for _ in 0..times {
            let began = Instant::now();
            connection
                .ldap
                .with_timeout(PATIENCE)
                .search(
                    &self.forest.base_dn,
                    Scope::Subtree,
                    &format!("(mS-DS-ConsistencyGuid={escaped})"),
                    vec!["objectGUID"],
                )
                .await?
                .success()?;
            took.push(began.elapsed());
        }
        Ok(took)
    }

    /// The distinguished name of a unit right below the domain, whatever its name is.
    pub fn unit(&self, name: &str) -> String {
        unit_below(name, &self.forest.base_dn)
    }

    /// Makes an object among the people that is not a person: its first class, and what it must have.
    pub async fn make(
        &self,
        name: &str,
        classes: &[&str],
        attributes: &[(&str, &str)],
    ) -> anyhow::Result<Identifiers> {
        let dn = format!("CN={name},{}", self.unit("People"));
        let mut all = vec![(
            "objectClass".to_owned(),
            classes.iter().map(|class| (*class).to_owned()).collect(),
        )];
        for (attribute, value) in attributes {
            all.push((
                (*attribute).to_owned(),
                HashSet::from([(*value).to_owned()]),
            ));
        }
        let mut connection = self.as_administrator().await?;
        connection
            .ldap
            .with_timeout(PATIENCE)
            .add(&dn, all)
            .await?
            .success()
            .with_context(|| format!("{dn} cannot be made"))?;
        self.identifiers_of(&mut connection, &dn).await
    }

    /// What the directory holds of an object by this `objectGUID`: when its password was set, if it has one.
    pub async fn password_set_at(&self, object: Uuid) -> anyhow::Result<Option<String>> {
        let mut connection = self.as_administrator().await?;
        let (entries, _) = connection
            .ldap
            .with_timeout(PATIENCE)
            .search(
                &format!("<GUID={object}>"),
                Scope::Base,
                "(objectClass=*)",
                vec!["pwdLastSet"],
            )
            .await?
            .success()?;
        Ok(entries
            .into_iter()
            .map(SearchEntry::construct)
            .find_map(|entry| entry.attrs.get("pwdLastSet")?.first().cloned()))
    }
}

/// The distinguished name of a unit right below this one.
pub fn unit_below(name: &str, parent: &str) -> String {
    format!("OU={},{parent}", escaped(name))
}

/// A value in a distinguished name: every character that could mean something, by its bytes (RFC 4514 2.4).
fn escaped(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            text.push(char::from(byte));
        } else {
            // writing to a String does not fail
            let _ = write!(text, "\\{byte:02x}");
        }
        text
    })
}

async fn object_guid(ldap: &mut Ldap, dn: &str) -> anyhow::Result<Uuid> {
    let (entries, _) = ldap
        .with_timeout(PATIENCE)
        .search(dn, Scope::Base, "(objectClass=*)", vec!["objectGUID"])
        .await?
        .success()?;
    entries
        .into_iter()
        .map(SearchEntry::construct)
        .find_map(|entry| {
            let bytes = entry.bin_attrs.get("objectGUID")?.first()?;
            Uuid::from_slice_le(bytes).ok()
        })
        .with_context(|| format!("{dn} has no objectGUID"))
}

/// MS-ADTS 3.1.1.3.1.5: the quoted password in UTF-16, little-endian.
fn quoted(password: &str) -> Vec<u8> {
    format!("\"{password}\"")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect()
}
