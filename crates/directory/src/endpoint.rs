//! Where a domain controller listens.

use std::{fmt, str::FromStr};

use url::{Host, Url};

use crate::ConfigurationError;

/// A domain controller's address, `ldaps://host[:port]` or `ldap://host[:port]`. The latter always means
/// StartTLS before anything else: a password must not meet a socket without TLS (MS-ADTS
/// 3.1.1.3.1.5.1), whatever the server would accept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    tls: Tls,
    host: String,
    port: u16,
}

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tls {
    /// With the connection: LDAPS.
    AtOnce,
    /// After one exchange that asks for it (RFC 4511 4.14).
    Start,
}

impl Tls {
    const fn scheme(self) -> &'static str {
        match self {
            Self::AtOnce => "ldaps",
            Self::Start => "ldap",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::AtOnce => 636,
            Self::Start => 389,
        }
    }
}

impl Endpoint {
    pub fn host(&self) -> &str {
        &self.host
    }
    pub const fn port(&self) -> u16 {
        self.port
    }
    pub(crate) const fn tls(&self) -> Tls {
        self.tls
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.tls.scheme(), self.host, self.port)
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
        let tls = match url.scheme() {
            "ldaps" => Tls::AtOnce,
            "ldap" => Tls::Start,
            _ => return Err(refuse("it begins neither with ldaps:// nor with ldap://")),
        };
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
            tls,
            host,
            port: url.port().unwrap_or(tls.port()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_ldaps_and_ldap_with_or_without_port() {
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
            (
                "ldap://DC1.corp.example.com",
                "ldap://dc1.corp.example.com:389",
            ),
            ("ldap://127.0.0.11:3268/", "ldap://127.0.0.11:3268"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "ldap://",
            "ldap://user:secret@dc1",
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
