//! Where entries come from.

use std::collections::HashMap;

use crate::{
    DirectoryError,
    distinguished_name::parent_of,
    permissions::{
        Inspection, SecurityDescriptor, Verdict,
        access::is_origin_of,
        ace::{Ace, Entry},
        report::Held,
    },
};

/// Where entries that were inherited were set. What was read is kept: it is the same few containers.
pub(crate) struct Origins<'a> {
    inspection: &'a Inspection,
    read: HashMap<String, Option<SecurityDescriptor>>,
}

impl<'a> Origins<'a> {
    pub(crate) fn new(inspection: &'a Inspection) -> Self {
        Self {
            inspection,
            read: HashMap::new(),
        }
    }

    /// What the list of this object says, and where it comes from.
    pub(crate) async fn held(
        &mut self,
        dn: &str,
        verdict: Verdict<'_>,
    ) -> Result<Held, DirectoryError> {
        Ok(match verdict {
            Verdict::Granted(entry) => Held::From {
                container: self.of(dn, entry).await?,
                trustee: entry.trustee.clone(),
            },
            Verdict::Denied(entry) => Held::Denied {
                container: self.of(dn, entry).await?,
                trustee: entry.trustee.clone(),
            },
            Verdict::GrantedToAll => Held::ByEverybody,
            Verdict::NotMentioned => Held::No,
        })
    }

    /// The nearest container above that has the entry as its own; the topmost, if none can be read.
    pub(crate) async fn of(&mut self, dn: &str, entry: &Entry) -> Result<String, DirectoryError> {
        if !entry.is_inherited() {
            return Ok(dn.to_owned());
        }
        let mut at = dn;
        while let Some(parent) = parent_of(at) {
            at = parent;
            let key = at.to_lowercase();
            if !self.read.contains_key(&key) {
                let descriptor = self.inspection.descriptor(at).await?;
                self.read.insert(key.clone(), descriptor);
            }
            let descriptor = self.read.get(&key).and_then(Option::as_ref);
            let is_origin = descriptor
                .and_then(|descriptor| descriptor.dacl.as_ref())
                .is_some_and(|dacl| {
                    dacl.aces
                        .iter()
                        .filter_map(Ace::entry)
                        .any(|above| is_origin_of(above, entry))
                });
            if is_origin {
                return Ok(at.to_owned());
            }
            // above the domain there is nothing to inherit from
            if at.to_lowercase().starts_with("dc=") {
                break;
            }
        }
        Ok(at.to_owned())
    }
}
