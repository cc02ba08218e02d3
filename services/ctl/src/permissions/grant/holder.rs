//! Who it is given to, and taken back from.

use std::sync::Arc;

use directory::{
    Directory,
    permissions::{Gift, Inspection, NamedAccount, Service},
};
use operation::DomainName;

use crate::forests::Domain;

/// An account that a service binds as.
pub(super) struct Holder {
    /// As the configuration names it.
    pub(super) name: String,
    pub(super) account: NamedAccount,
    pub(super) services: Vec<Service>,
}

impl Holder {
    /// As dsacls understands it.
    pub(super) fn principal(&self, domain: &DomainName) -> String {
        let NamedAccount { sid, dn, .. } = &self.account;
        let Some(login) = &self.account.sam_account_name else {
            return sid.to_string();
        };
        match directory::domain_of(dn) {
            Some(home) => format!("{login}@{home}"),
            None => format!("{login}@{domain}"),
        }
    }

    pub(super) fn holds(&self, gift: &Gift) -> bool {
        gift.entry.trustee == self.account.sid
    }
}

/// The account that writes, and the one that reads if that is another.
pub(super) async fn holders(
    domain: &Domain<'_>,
    inspection: &Inspection,
    connect: impl Fn(&Domain<'_>) -> anyhow::Result<Arc<Directory>>,
) -> anyhow::Result<Vec<Holder>> {
    let (writer, reader) = (domain.forest.account.as_str(), domain.reader());
    let named = if writer == reader {
        vec![(writer, Service::BOTH.to_vec())]
    } else {
        vec![
            (writer, vec![Service::Writer]),
            (reader, vec![Service::Resolver]),
        ]
    };
    let mut holders: Vec<Holder> = Vec::new();
    for (name, services) in named {
        let account = domain.account(inspection, name, &connect).await?;
        match holders
            .iter_mut()
            .find(|known| known.account.sid == account.sid)
        {
            // the same one, written in two ways
            Some(known) => known.services.extend(services),
            None => holders.push(Holder {
                name: name.to_owned(),
                account,
                services,
            }),
        }
    }
    Ok(holders)
}
