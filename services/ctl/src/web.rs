//! HTTP to the intake: bounded in time and size, no redirects, and only over TLS or to this machine.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use reqwest::redirect;
use url::{Host, Url};

use crate::failure;

const CONNECT_TIME_OUT: Duration = Duration::from_secs(10);
const LARGEST_ANSWER: usize = 1 << 20;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Trust {
    /// Trust only this CA for https, a PEM file; without it, the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Trust {
    pub(crate) fn client(&self, time_out: Duration) -> anyhow::Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIME_OUT)
            .timeout(time_out)
            // a bearer token or a trusted key set must not come to or from somewhere else
            .redirect(redirect::Policy::none());
        if let Some(path) = &self.ca {
            let pem = read_file(path)?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("{}: no PEM certificate", path.display()))?;
            ensure!(
                !certificates.is_empty(),
                "{}: no PEM certificate",
                path.display()
            );
            builder = builder.tls_certs_only(certificates);
        }
        Ok(builder.build()?)
    }
}

/// Why there is no answer, with what to do.
pub(crate) fn unasked(error: reqwest::Error) -> anyhow::Error {
    failure::unasked(
        error,
        "give that authority's certificate with --ca FILE, or add it to the system's",
    )
}

/// A URL that a token may be sent to and keys may be taken from.
pub(crate) fn parse_url(text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text).with_context(|| format!("{text:?} is no URL"))?;
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if here => Ok(url),
        "http" => bail!("{url}: plain http is taken for this machine only; use https"),
        scheme => bail!("{url}: https is needed, not {scheme}"),
    }
}

/// The body, refused once it is longer than any answer of ours.
pub(crate) async fn body(mut response: reqwest::Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        ensure!(
            body.len() <= LARGEST_ANSWER,
            "the answer is longer than 1 MiB"
        );
    }
    Ok(body)
}

pub(crate) fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for url in [
            "https://a.example.com",
            "http://127.0.0.1:8081",
            "http://localhost/x",
            "http://[::1]:1",
        ] {
            assert!(parse_url(url).is_ok(), "{url}");
        }
        for url in [
            "http://a.example.com",
            "http://127.0.0.1.example.com",
            "file:///etc/x",
            "nonsense",
        ] {
            assert!(parse_url(url).is_err(), "{url}");
        }
    }
}
