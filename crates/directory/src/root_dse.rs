//! What a domain controller says of itself.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use crate::{
    policy_hints,
    reading::{Entry, generalized_time},
};

/// The rootDSE (MS-ADTS 3.1.1.3.2), and when it was asked for and answered by our clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootDse {
    /// The endpoint that answered, `ldaps://host:port`.
    pub domain_controller: String,
    pub dns_host_name: Option<String>,
    pub default_naming_context: Option<String>,
    /// The controller's clock, cut to the second.
    pub current_time: OffsetDateTime,
    pub supported_control: BTreeSet<String>,
    pub is_synchronized: Option<bool>,
    pub is_global_catalog_ready: Option<bool>,
    pub sent: OffsetDateTime,
    pub received: OffsetDateTime,
}

pub(crate) const ROOT_DSE_ATTRIBUTES: &[&str] = &[
    "currentTime",
    "supportedControl",
    "dnsHostName",
    "defaultNamingContext",
    "isSynchronized",
    "isGlobalCatalogReady",
];

impl RootDse {
    /// The policy-hints control this controller knows, the newer first: it makes a reset obey the
    /// password history.
    pub fn policy_hints_control(&self) -> Option<&'static str> {
        policy_hints::CONTROLS
            .into_iter()
            .find(|oid| self.supported_control.contains(*oid))
    }
}

/// None if the time is missing: it is what we need most.
pub(crate) fn root_dse(
    entry: &Entry,
    domain_controller: &str,
    sent: OffsetDateTime,
    received: OffsetDateTime,
) -> Option<RootDse> {
    let flag = |attribute| Some(entry.text(attribute)?.eq_ignore_ascii_case("TRUE"));
    Some(RootDse {
        domain_controller: domain_controller.to_owned(),
        dns_host_name: entry.text("dnsHostName").map(str::to_owned),
        default_naming_context: entry.text("defaultNamingContext").map(str::to_owned),
        current_time: generalized_time(entry.text("currentTime")?)?,
        supported_control: entry.texts("supportedControl").map(str::to_owned).collect(),
        is_synchronized: flag("isSynchronized"),
        is_global_catalog_ready: flag("isGlobalCatalogReady"),
        sent,
        received,
    })
}
