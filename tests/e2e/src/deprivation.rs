//! A service account that loses its rights, by the hand of its forest's administrator.

use std::collections::HashSet;

use anyhow::{Context as _, ensure};
use ldap3::{Ldap, Mod, Scope, SearchEntry, controls::RawControl};

use crate::forest::{DomainController, PATIENCE};

const DESCRIPTOR: &str = "nTSecurityDescriptor";
/// The header of a self-relative descriptor (MS-DTYP 2.4.6) and that of an access list (2.4.5).
const DESCRIPTOR_HEADER: usize = 20;
const LIST_HEADER: usize = 8;
const ENTRY_HEADER: usize = 4;

/// What was taken away, to be given back.
pub struct Deprived {
    before: Vec<u8>,
}

impl DomainController {
    /// Takes every entry of the service account out of the access list of the domain's root.
    pub async fn deprive_service_account(&self) -> anyhow::Result<Deprived> {
        let mut connection = self.as_administrator().await?;
        let filter = format!("(userPrincipalName={})", self.forest.service_account);
        let account = self
            .search(&mut connection.ldap, Scope::Subtree, &filter, "objectSid")
            .await?;
        let before = self
            .search(
                connection.ldap.with_controls(dacl_only()),
                Scope::Base,
                "(objectClass=*)",
                DESCRIPTOR,
            )
            .await?;
        let after = without(&before, &account)?;
        ensure!(after != before, "the service account has no rights here");
        self.set_descriptor(&mut connection.ldap, after).await?;
        Ok(Deprived { before })
    }

    pub async fn give_back(&self, deprived: Deprived) -> anyhow::Result<()> {
        let mut connection = self.as_administrator().await?;
        self.set_descriptor(&mut connection.ldap, deprived.before)
            .await
    }

    async fn search(
        &self,
        ldap: &mut Ldap,
        scope: Scope,
        filter: &str,
        attribute: &str,
    ) -> anyhow::Result<Vec<u8>> {
        let (entries, _) = ldap
            .with_timeout(PATIENCE)
            .search(&self.forest.base_dn, scope, filter, vec![attribute])
            .await?
            .success()?;
        let entry = entries
            .into_iter()
            .find(|entry| !entry.is_ref() && !entry.is_intermediate())
            .map(SearchEntry::construct)
            .with_context(|| format!("{filter} finds nothing"))?;
        entry
            .bin_attrs
            .get(attribute)
            .and_then(|values| values.first())
            .cloned()
            .with_context(|| format!("{filter} has no {attribute}"))
    }

    async fn set_descriptor(&self, ldap: &mut Ldap, descriptor: Vec<u8>) -> anyhow::Result<()> {
        ldap.with_controls(dacl_only())
            .with_timeout(PATIENCE)
            .modify(
                &self.forest.base_dn,
                vec![Mod::Replace(
                    DESCRIPTOR.as_bytes().to_vec(),
                    HashSet::from([descriptor]),
                )],
            )
            .await?
            .success()
            .context("the access list of the domain's root cannot be set")?;
        Ok(())
    }
}

/// LDAP_SERVER_SD_FLAGS_OID with DACL_SECURITY_INFORMATION (MS-ADTS 3.1.1.3.4.1.11): owner, group and audit list stay.
fn dacl_only() -> RawControl {
    RawControl {
        ctype: "1.2.840.113556.1.4.801".to_owned(),
        crit: true,
        val: Some(vec![0x30, 3, 2, 1, 4]),
    }
}

/// The descriptor, which has an access list and nothing else, without the entries for this account.
fn without(descriptor: &[u8], account: &[u8]) -> anyhow::Result<Vec<u8>> {
    let word = |bytes: &[u8], at: usize| -> anyhow::Result<usize> {
        let word = bytes.get(at..at + 2).context("a descriptor cut short")?;
        Ok(usize::from(u16::from_le_bytes(word.try_into()?)))
    };
    let list = descriptor
        .get(DESCRIPTOR_HEADER..)
        .context("a descriptor cut short")?;
    let mut kept = Vec::new();
    let mut count: u16 = 0;
    let mut rest = list.get(LIST_HEADER..word(list, 2)?).context("no list")?;
    while rest.len() >= ENTRY_HEADER {
        let (entry, more) = rest
            .split_at_checked(word(rest, 2)?)
            .context("an entry cut short")?;
        // whom an entry is about stands at its end (MS-DTYP 2.4.4)
        if !entry.ends_with(account) {
            kept.extend_from_slice(entry);
            count += 1;
        }
        rest = more;
    }
    let size = u16::try_from(LIST_HEADER + kept.len())?;
    let head = descriptor.get(..DESCRIPTOR_HEADER + 2);
    let mut changed = head.context("a descriptor cut short")?.to_vec();
    changed.extend(size.to_le_bytes());
    changed.extend(count.to_le_bytes());
    changed.extend([0, 0]);
    changed.extend(kept);
    Ok(changed)
}
