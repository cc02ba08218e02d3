//! Where a domain controller listens.

use std::{fmt, str::FromStr};

use url::{Host, Url};

use crate::ConfigurationError;

/// A domain controller's address, `ldaps://host[:port]`. No other scheme exists here: a password
/// must not meet a socket without TLS (MS-ADTS 3.1.1.3.1.5.1), whatever the server would accept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    pub fn host(&self) -> &str {
        &self.host
    }
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ldaps://{}:{}", self.host, self.port)
    }
}

impl FromStr for Endpoint {
    type Err = ConfigurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |because| ConfigurationError::Endpoint {
            // what follows a scheme may hold credentials: name the scheme alone
            endpoint: text.split('@').next_back().unwrap_or_default().to_owned(),
            because,
        };
        let url = Url::parse(text).map_err(|_| refuse("it is not an address"))?;
        if url.scheme() != "ldaps" {
            return Err(refuse(
                "only ldaps:// is spoken, for passwords travel over it",
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("credentials do not belong in an address"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("nothing may follow the host and port"));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_ascii_lowercase(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(_)) => {
                return Err(refuse("an IPv6 literal cannot be used: give a host name"));
            }
            Some(Host::Domain(_)) | None => return Err(refuse("the host is missing")),
        };
        Ok(Self {
            host,
            port: url.port().unwrap_or(636),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_ldaps_with_or_without_port() {
        for (text, shown) in [
            (
                "ldaps://dc1.corp.example.com",
                "ldaps://dc1.corp.example.com:636",
            ),
            (
                "LDAPS://DC1.corp.example.com:3269/",
                "ldaps://dc1.corp.example.com:3269",
            ),
            ("ldaps://127.0.0.11:636", "ldaps://127.0.0.11:636"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "ldap://dc1.corp.example.com",
            "ldapi:///run/ldap",
            "https://dc1.corp.example.com",
            "dc1.corp.example.com:636",
            "dc1.corp.example.com",
            "",
            "ldaps://",
            "ldaps://user:secret@dc1",
            "ldaps://dc1/DC=corp",
            "ldaps://dc1?x",
            "ldaps://[::1]:636",
            "ldaps://dc1:99999",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
