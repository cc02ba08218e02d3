//! Finding a domain's controllers in DNS, where they announce themselves (MS-ADTS 6.3.2.3).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use operation::DomainName;

use crate::{dns::Dns, srv::Record};

#[derive(Debug)]
pub(crate) struct Discovery {
    pub(crate) dns: Arc<Dns>,
    pub(crate) domain: DomainName,
    pub(crate) site: Option<String>,
}

/// What DNS says of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) controllers: Vec<Record>,
    /// The hosts among them that serve our site.
    pub(crate) own_site: BTreeSet<String>,
    /// The host of the PDC emulator.
    pub(crate) pdc: Option<String>,
}

impl Discovery {
    /// What is announced now, and for how long it holds.
    ///
    /// # Errors
    /// In words, also when no controller is announced at all: a domain has at least one.
    pub(crate) async fn look(&self) -> Result<(Announced, Duration), String> {
        let domain = &self.domain;
        let everywhere = format!("_ldap._tcp.dc._msdcs.{domain}");
        let pdc = format!("_ldap._tcp.pdc._msdcs.{domain}");
        let here = self
            .site
            .as_ref()
            .map(|site| format!("_ldap._tcp.{site}._sites.dc._msdcs.{domain}"));
        let (all, pdc, near) = tokio::try_join!(
            self.dns.services(&everywhere),
            self.dns.services(&pdc),
            async {
                match &here {
                    Some(here) => self.dns.services(here).await.map(Some),
                    None => Ok(None),
                }
            }
        )?;
        if all.records.is_empty() {
            return Err(format!("{everywhere}: DNS has no such record"));
        }
        let mut controllers = all.records;
        let own_site: BTreeSet<String> = near
            .into_iter()
            .flat_map(|near| near.records)
            .map(|record| record.target)
            .collect();
        controllers.sort();
        controllers.dedup_by(|one, other| one.target == other.target);
        let announced = Announced {
            controllers,
            own_site,
            pdc: pdc.records.into_iter().next().map(|record| record.target),
        };
        Ok((announced, all.hold_for))
    }
}
