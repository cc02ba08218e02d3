//! How to reach the broker.

use secrecy::{ExposeSecret, SecretString};

use crate::BusError;
use lapin::uri::{AMQPScheme, AMQPUri};

/// Address and credentials of the broker. The password is never part of the address.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// `amqp://host:port/vhost` or `amqps://…`.
    pub url: String,
    pub username: String,
    pub password: SecretString,
    /// A certificate authority to trust besides the system's.
    pub ca_pem: Option<Vec<u8>>,
}

impl BrokerConfig {
    pub(crate) fn uri(&self) -> Result<AMQPUri, BusError> {
        let mut uri: AMQPUri = self.url.parse().map_err(BusError::Address)?;
        if self.url.contains('@') {
            return Err(BusError::Address(
                "it must hold no credentials: use broker.username and broker.password_file"
                    .to_owned(),
            ));
        }
        self.username
            .clone_into(&mut uri.authority.userinfo.username);
        self.password
            .expose_secret()
            .clone_into(&mut uri.authority.userinfo.password);
        if uri.scheme == AMQPScheme::AMQP && self.ca_pem.is_some() {
            return Err(BusError::Address(
                "broker.ca_file is set, and it is not amqps://".to_owned(),
            ));
        }
        Ok(uri)
    }
}
