//! Where a referral points (RFC 4516): a host that we speak `ldaps://` to, or nowhere.

use url::Url;

use crate::Endpoint;

/// The endpoint that a referral's address stands for. `ldap://` on its own port becomes `ldaps://` on
/// its own: nothing is ever sent in the clear.
pub(crate) fn endpoint(url: &str) -> Option<Endpoint> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?;
    let port = match (url.scheme(), url.port()) {
        ("ldap", None | Some(389)) => 636,
        ("ldaps", port) => port.unwrap_or(636),
        _ => return None,
    };
    format!("ldaps://{host}:{port}").parse().ok()
}

/// The hosts named, for telling whom we did not follow; a referral's other parts may hold names.
pub(crate) fn hosts(urls: &[String]) -> String {
    let hosts: Vec<String> = urls
        .iter()
        .map(|url| {
            let host = Url::parse(url).ok().and_then(|url| {
                let host = url.host_str()?.to_owned();
                Some(
                    url.port()
                        .map_or(host.clone(), |port| format!("{host}:{port}")),
                )
            });
            host.unwrap_or_else(|| "an address that cannot be read".to_owned())
        })
        .collect();
    if hosts.is_empty() {
        return "nobody".to_owned();
    }
    hosts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_to_ldaps_or_nowhere() {
        for (url, to) in [
            (
                "ldap://dc1.corp.example.com/CN=Ana,DC=corp",
                Some("ldaps://dc1.corp.example.com:636"),
            ),
            (
                "LDAP://DC1.corp.example.com:389",
                Some("ldaps://dc1.corp.example.com:636"),
            ),
            (
                "ldaps://dc1.corp.example.com:6636/DC=corp??base",
                Some("ldaps://dc1.corp.example.com:6636"),
            ),
            ("ldap://dc1.corp.example.com:3268/", None),
            ("http://dc1.corp.example.com/", None),
            ("ldap:///DC=corp", None),
            ("dc1", None),
            ("", None),
        ] {
            let found = endpoint(url).map(|endpoint| endpoint.to_string());
            assert_eq!(found.as_deref(), to, "{url}");
        }
    }

    #[test]
    fn only_hosts_are_told() {
        let urls = [
            "ldap://dc9.example.org:3/CN=Ana,DC=corp".to_owned(),
            "?".to_owned(),
        ];
        assert_eq!(
            hosts(&urls),
            "dc9.example.org:3, an address that cannot be read"
        );
        assert_eq!(hosts(&[]), "nobody");
    }
}
