//! What a domain controller says of itself.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use crate::{
    policy_hints,
    reading::{Entry, generalized_time},
};

/// `LDAP_CAP_ACTIVE_DIRECTORY_PARTIAL_SECRETS_OID`: the controller is read-only (MS-ADTS 3.1.1.3.4.3.6).
const PARTIAL_SECRETS: &str = "1.2.840.113556.1.4.1920";

/// The rootDSE (MS-ADTS 3.1.1.3.2), and when it was asked for and answered by our clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootDse {
    /// The endpoint that answered, `ldaps://host:port`.
    pub domain_controller: String,
    pub dns_host_name: Option<String>,
    pub default_naming_context: Option<String>,
    /// Its nTDSDSA object, by which other objects name the controller.
    pub ds_service_name: Option<String>,
    /// The site it is in, from the name of its server object.
    pub site: Option<String>,
    /// The controller's clock, cut to the second.
    pub current_time: OffsetDateTime,
    pub supported_control: BTreeSet<String>,
    pub supported_capabilities: BTreeSet<String>,
    /// The level of the controller itself, of its domain and of its forest (MS-ADTS 6.1.4.2 to 6.1.4.4).
    pub domain_controller_functionality: Option<u32>,
    pub domain_functionality: Option<u32>,
    pub forest_functionality: Option<u32>,
    pub is_synchronized: Option<bool>,
    pub is_global_catalog_ready: Option<bool>,
    pub sent: OffsetDateTime,
    pub received: OffsetDateTime,
}

pub(crate) const ROOT_DSE_ATTRIBUTES: &[&str] = &[
    "currentTime",
    "supportedControl",
    "supportedCapabilities",
    "dnsHostName",
    "defaultNamingContext",
    "dsServiceName",
    "serverName",
    "domainControllerFunctionality",
    "domainFunctionality",
    "forestFunctionality",
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

    /// It says that it holds no secrets and takes no writes.
    pub fn is_read_only(&self) -> bool {
        self.supported_capabilities.contains(PARTIAL_SECRETS)
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
    let text = |attribute| entry.text(attribute).map(str::to_owned);
    let texts = |attribute| entry.texts(attribute).map(str::to_owned).collect();
    let number = |attribute| entry.text(attribute)?.parse().ok();
    Some(RootDse {
        domain_controller: domain_controller.to_owned(),
        dns_host_name: text("dnsHostName"),
        default_naming_context: text("defaultNamingContext"),
        ds_service_name: text("dsServiceName"),
        site: entry.text("serverName").and_then(site_of),
        current_time: generalized_time(entry.text("currentTime")?)?,
        supported_control: texts("supportedControl"),
        supported_capabilities: texts("supportedCapabilities"),
        domain_controller_functionality: number("domainControllerFunctionality"),
        domain_functionality: number("domainFunctionality"),
        forest_functionality: number("forestFunctionality"),
        is_synchronized: flag("isSynchronized"),
        is_global_catalog_ready: flag("isGlobalCatalogReady"),
        sent,
        received,
    })
}

/// The site of `CN=<server>,CN=Servers,CN=<site>,CN=Sites,…` (MS-ADTS 6.1.1.2.2.1.2.1). A site's name is
/// a DNS label: nothing in it is escaped.
fn site_of(server_name: &str) -> Option<String> {
    let mut parts = server_name.split(',').map(str::trim).skip(1);
    let servers = parts.next()?;
    let (_, site) = parts.next()?.split_once('=')?;
    let sites = parts.next()?;
    (servers.eq_ignore_ascii_case("CN=Servers") && sites.eq_ignore_ascii_case("CN=Sites"))
        .then(|| site.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_is_in_the_server_s_name() {
        let configuration = "CN=Configuration,DC=corp,DC=example,DC=com";
        for (name, site) in [
            ("CN=DC1,CN=Servers,CN=Zurich,CN=Sites", Some("Zurich")),
            (
                "cn=dc1,cn=servers,cn=Default-First-Site-Name,cn=sites",
                Some("Default-First-Site-Name"),
            ),
            ("CN=DC1,OU=Domain Controllers", None),
            ("CN=DC1", None),
        ] {
            let named = site_of(&format!("{name},{configuration}"));
            assert_eq!(named.as_deref(), site);
        }
        assert_eq!(site_of(""), None);
    }
}
