//! The way to a domain controller: TCP, and TLS over it.
//!
//! The system asks over a connection that is silent whether the other side is still there (RFC 9293 3.8.4). A domain
//! controller that stands still answers that for as long as its host lives; one whose host is gone, or that is out of reach,
//! does not, and the connection is lost: what waits for an answer on it need not wait for ever.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, StdStream};
use rustls::ClientConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::{Endpoint, endpoint::Tls, error::ConnectError, start_tls::start_tls};

/// For how long a connection is silent before the other side is asked whether it is there.
const ASKED_AFTER: Duration = Duration::from_secs(10);
const ASKED_EVERY: Duration = Duration::from_secs(5);
/// For how long the other side's host may acknowledge nothing, neither a question nor data (RFC 5482).
const LOST_AFTER: Duration = Duration::from_secs(20);

/// Connects and begins TLS.
pub(crate) async fn dial(
    endpoint: Endpoint,
    tls: Arc<ClientConfig>,
    addresses: Option<Vec<SocketAddr>>,
) -> Result<(LdapConnAsync, Ldap), ConnectError> {
    let unreachable = |error: io::Error| ConnectError::Unreachable(error.to_string());
    let address = format!("{}:{}", endpoint.host(), endpoint.port());
    let connected = match &addresses {
        Some(addresses) => TcpStream::connect(addresses.as_slice()).await,
        None => TcpStream::connect(&address).await,
    };
    let mut stream = connected.map_err(unreachable)?;
    keep_asking(&stream).map_err(unreachable)?;
    if endpoint.tls() == Tls::Start {
        start_tls(&mut stream).await?;
    }
    let stream = StdStream::Tcp(stream.into_std().map_err(unreachable)?);
    let settings = LdapConnSettings::new()
        .set_config(tls)
        .set_std_stream(stream);
    // a scheme that cannot do without TLS, whatever came before
    LdapConnAsync::with_settings(settings, &format!("ldaps://{address}"))
        .await
        .map_err(unconnected)
}

fn keep_asking(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let asking = TcpKeepalive::new()
        .with_time(ASKED_AFTER)
        .with_interval(ASKED_EVERY);
    socket.set_tcp_keepalive(&asking)?;
    socket.set_tcp_user_timeout(Some(LOST_AFTER))?;
    Ok(())
}

fn unconnected(error: LdapError) -> ConnectError {
    let LdapError::Io { source } = error else {
        return ConnectError::Unreachable("the connection cannot be made".to_owned());
    };
    let tls = source
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(error @ rustls::Error::InvalidCertificate(_)) => ConnectError::Untrusted(format!(
            "its certificate is not one of this forest's: {error}"
        )),
        _ => ConnectError::Unreachable(source.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_system_asks_whether_the_other_side_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let stream = stream.unwrap();
        keep_asking(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), ASKED_AFTER);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), ASKED_EVERY);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(LOST_AFTER));
    }
}
