//! Entries put into the lists of objects and taken out of them, and found again.

use std::{collections::HashSet, time::Duration};

use ldap3::Mod;
use operation::DomainName;

use super::{Inspection, sd_flags};
use crate::{
    DirectoryError,
    connection::Answer,
    filter,
    permissions::{
        Acl, Gift, Place, SecurityDescriptor,
        survey::{CONTAINER_ATTRIBUTES, CONTAINERS},
    },
};

/// SEQUENCE { INTEGER 4 }: nothing but the DACL is written.
const DACL: [u8; 5] = [0x30, 0x03, 0x02, 0x01, 0x04];

/// A list with many objects below takes a domain controller its time to hand down.
const WRITE_TIME_OUT: Duration = Duration::from_mins(2);

impl Inspection {
    /// Adds these to the list of an object and takes those away, if that changes it. What the domain
    /// controller then holds is read again and must be what was meant.
    pub async fn change(
        &self,
        dn: &str,
        add: &[Gift],
        remove: &[Gift],
    ) -> Result<(), DirectoryError> {
        let (before, meant) = self.meant(dn, add, remove).await?;
        let Some(dacl) = &before.dacl else {
            return Err(self.misconfigured(format!(
                "{dn} has no list of entries: everybody may do everything to it"
            )));
        };
        if meant == *dacl {
            return Ok(());
        }
        let bytes = before
            .with_dacl_alone(meant.clone())
            .to_bytes()
            .map_err(|error| self.misconfigured(format!("{dn}: {error}")))?;
        let target = dn.to_owned();
        let call = self
            .lease
            .connection
            .call_within(WRITE_TIME_OUT, move |mut ldap| async move {
                let replaced =
                    Mod::Replace(b"nTSecurityDescriptor".to_vec(), HashSet::from([bytes]));
                Ok(Answer::from(
                    ldap.with_controls(sd_flags(DACL))
                        .modify(&target, vec![replaced])
                        .await?,
                ))
            });
        let answer = call.await.map_err(|error| self.broken(error))?;
        match answer.result {
            0 => {}
            50 => {
                return Err(self.misconfigured(format!(
                    "the account may not change who may do what to {dn} (LDAP result 50)"
                )));
            }
            _ => return Err(self.refused(&answer)),
        }
        let after = self.descriptor(dn).await?.and_then(|after| after.dacl);
        if after.is_some_and(|after| after.is_same_set(&meant)) {
            return Ok(());
        }
        Err(DirectoryError::Unexpected {
            endpoint: self.domain_controller(),
            cause: format!(
                "the entries of {dn} are not what was written; another may have changed them meanwhile"
            ),
        })
    }

    async fn meant(
        &self,
        dn: &str,
        add: &[Gift],
        remove: &[Gift],
    ) -> Result<(SecurityDescriptor, Acl), DirectoryError> {
        let before = self.descriptor(dn).await?.ok_or_else(|| {
            self.misconfigured(format!("the security descriptor of {dn} cannot be read"))
        })?;
        let meant = before
            .dacl
            .as_ref()
            .map(|dacl| dacl.without(remove).with(add));
        match meant {
            Some(meant) => Ok((before, meant)),
            None => Err(self.misconfigured(format!(
                "{dn} has no list of entries: everybody may do everything to it"
            ))),
        }
    }

    /// Every container of the domain, its root included, on which some of these are set.
    pub async fn given(
        &self,
        domain: &DomainName,
        gifts: &[Gift],
    ) -> Result<Vec<Place>, DirectoryError> {
        let root = filter::base(domain);
        let mut places = Vec::new();
        places.extend(self.given_at(&root, gifts).await?);
        let mut pages = self.below(&root, CONTAINERS, CONTAINER_ATTRIBUTES);
        while let Some(page) = pages.next().await? {
            for container in page {
                let Some(dacl) = container.descriptor.and_then(|found| found.dacl) else {
                    continue;
                };
                places.extend(Place::of(&container.entry.dn, &dacl.set_here(gifts)));
            }
        }
        Ok(places)
    }

    /// Which of these are set on this object.
    pub async fn given_at(
        &self,
        dn: &str,
        gifts: &[Gift],
    ) -> Result<Option<Place>, DirectoryError> {
        let descriptor = self.descriptor(dn).await?.ok_or_else(|| {
            self.misconfigured(format!(
                "{dn} is not there, or its security descriptor cannot be read"
            ))
        })?;
        let dacl = descriptor.dacl;
        Ok(dacl.and_then(|dacl| Place::of(dn, &dacl.set_here(gifts))))
    }
}
