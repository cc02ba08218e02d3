//! `--probe`: asks the service running beside it whether it is ready, for images that hold no other
//! program a health check could run.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use crate::{
    config::{Config, ConfigError},
    program::Program,
};

const TIME_OUT: Duration = Duration::from_secs(3);
const LONGEST_STATUS_LINE: u64 = 64;

/// What was found wrong; the health check's log shows it.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error(transparent)]
    Misconfigured(#[from] ConfigError),
    #[error("nothing answers on {address}: {source}")]
    Silent {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("not ready: {status}")]
    NotReady { status: String },
}

/// A health check knows two exit codes: 0 for healthy and 1 for not (Dockerfile reference, HEALTHCHECK).
pub(crate) fn run(program: Program, config: &Path) -> ExitCode {
    let asked = Config::load(config)
        .map_err(ProbeError::from)
        .and_then(|config| probe(config.service.admin_listen));
    match asked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", program.name);
            ExitCode::FAILURE
        }
    }
}

/// Asks `/readyz` of the admin server that listens on this address.
fn probe(listens: SocketAddr) -> Result<(), ProbeError> {
    let address = reachable(listens);
    let status = ask(address).map_err(|source| ProbeError::Silent { address, source })?;
    match status.split_ascii_whitespace().nth(1) {
        Some("200") => Ok(()),
        _ => Err(ProbeError::NotReady { status }),
    }
}

/// "Every address" is none that can be connected to everywhere.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let address = match listens.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(address, listens.port())
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIME_OUT)?;
    stream.set_read_timeout(Some(TIME_OUT))?;
    stream.set_write_timeout(Some(TIME_OUT))?;
    // HTTP/1.0: the answer ends with the connection (RFC 1945)
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST_STATUS_LINE).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; 64];
            let length = stream.read(&mut question).unwrap();
            assert_eq!(&question[..length], b"GET /readyz HTTP/1.0\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn ready_is_what_answers_200() {
        let ready = answering("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        probe(ready).unwrap();
        let closing = answering("HTTP/1.0 503 Service Unavailable\r\n\r\n{}");
        let error = probe(closing).unwrap_err().to_string();
        assert_eq!(error, "not ready: HTTP/1.0 503 Service Unavailable");
        let mute = answering("");
        assert!(matches!(probe(mute), Err(ProbeError::NotReady { .. })));
    }

    #[test]
    fn a_service_that_is_gone_is_not_ready() {
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        assert!(matches!(probe(address), Err(ProbeError::Silent { .. })));
    }

    #[test]
    fn every_address_is_asked_here() {
        for (listens, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("192.0.2.7:9090", "192.0.2.7:9090"),
        ] {
            let listens: SocketAddr = listens.parse().unwrap();
            assert_eq!(reachable(listens).to_string(), asked);
        }
    }
}
