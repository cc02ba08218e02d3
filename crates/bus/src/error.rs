//! What goes wrong with the broker, in words that name the setting to look at.

use std::{error::Error, time::Duration};

use lapin::{
    ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    uri::AMQPScheme,
};

use crate::BrokerConfig;

/// What can go wrong with the broker, publishing apart.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("broker.url is not usable: {0}")]
    Address(String),
    #[error(
        "broker.username `{username}` or the password in broker.password_file is wrong: {cause}"
    )]
    Credentials { username: String, cause: String },
    #[error(
        "broker.url: `{username}` is not let into its virtual host: {cause}; it must exist, and grant the user permissions"
    )]
    VirtualHost { username: String, cause: String },
    #[error(
        "broker.url is amqps:// and no TLS was agreed: {cause}; its port must be the one for TLS, and its certificate issued by broker.ca_file or an authority of the system's"
    )]
    Tls { cause: String },
    #[error(
        "what answers at broker.url does not speak AMQP: {cause}; where its port is for TLS, the scheme must be amqps://"
    )]
    NotAmqp { cause: String },
    #[error("broker.url cannot be reached: {cause}")]
    Unreachable { cause: String },
    #[error("the broker did not answer within {0:?}")]
    TimeOut(Duration),
    #[error("the broker refused: {0}")]
    Broker(#[from] lapin::Error),
    #[error("the delivery's channel is gone: the broker will deliver the message again")]
    Stale,
    #[error("not connected to the broker")]
    NotConnected,
    #[error("shutting down")]
    ShuttingDown,
}

impl BusError {
    /// Whether trying again is of no use until somebody has mended a setting.
    pub(crate) const fn is_for_the_operator(&self) -> bool {
        matches!(
            self,
            Self::Address(_)
                | Self::Credentials { .. }
                | Self::VirtualHost { .. }
                | Self::Tls { .. }
                | Self::NotAmqp { .. }
        )
    }
}

impl BrokerConfig {
    /// Why no connection came about.
    pub(crate) fn explain(&self, error: lapin::Error) -> BusError {
        let is_tls = self.uri().is_ok_and(|uri| uri.scheme == AMQPScheme::AMQPS);
        let username = self.username.clone();
        match error.kind() {
            ErrorKind::ProtocolError(refused) => {
                let cause = refused.get_message().to_string();
                match refused.kind() {
                    // a refused login is told as a soft error, though it closes the connection
                    AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
                        BusError::Credentials { username, cause }
                    }
                    AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
                        BusError::VirtualHost { username, cause }
                    }
                    _ => BusError::Broker(error),
                }
            }
            ErrorKind::IOError(failed) => {
                let cause = failed.to_string();
                let inner = failed.get_ref();
                let is_about_tls = inner.is_some_and(|inner| {
                    inner.is::<rustls::Error>()
                        || inner
                            .source()
                            .is_some_and(<dyn Error + 'static>::is::<rustls::Error>)
                });
                if is_tls && is_about_tls {
                    BusError::Tls { cause }
                } else {
                    BusError::Unreachable { cause }
                }
            }
            ErrorKind::ParsingError(_) | ErrorKind::InvalidProtocolVersion(_) => {
                BusError::NotAmqp {
                    cause: error.to_string(),
                }
            }
            _ => BusError::Broker(error),
        }
    }
}
