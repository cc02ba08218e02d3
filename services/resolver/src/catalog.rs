//! A forest's global catalog: which of its domains to ask, where that spares asking all of them.
//!
//! What it says is a hint, for it hears of everything last. Whoever it knows is read in their own
//! domain; if that does not find them, every domain is asked as if there were no catalog, and so it
//! is when the catalog knows nobody or does not answer soon. It is asked only by what no two objects
//! of a forest have, `objectGUID` and SID. A user principal name may have been given to a second
//! person a moment ago, which only the domains can tell; `mS-DS-ConsistencyGuid` it does not hold.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use directory::{Directory, Identifier};
use operation::{DomainName, ForestId, UserReference};
use tokio::time::timeout;

use crate::standstill::Gate;

/// What is to spare work must not cost time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// One forest's.
pub(crate) struct Catalog {
    pub(crate) forest: ForestId,
    pub(crate) directory: Arc<Directory>,
    pub(crate) gate: Gate,
}

impl Catalog {
    /// The domains in which it knows the person; none if that cannot be told.
    pub(crate) async fn domains_of(&self, user: &UserReference) -> BTreeSet<DomainName> {
        let Some(by) = unique(user) else {
            return BTreeSet::new();
        };
        let lookup = self.gate.pass(Box::pin(self.directory.find_in_forest(&by)));
        match timeout(PATIENCE, lookup).await {
            Ok(Ok(found)) => found.into_iter().map(|found| found.domain).collect(),
            Ok(Err(error)) => {
                tracing::debug!(forest = %self.forest, %error, "the global catalog is not asked");
                BTreeSet::new()
            }
            Err(_) => BTreeSet::new(),
        }
    }
}

/// What the event says of the person that nobody else in the forest can have.
fn unique(user: &UserReference) -> Option<Identifier> {
    let anchor = user
        .source_anchor()
        .map(|anchor| Identifier::ObjectGuid(anchor.as_object_guid()));
    anchor.or_else(|| {
        user.security_identifier()
            .cloned()
            .map(Identifier::SecurityIdentifier)
    })
}
