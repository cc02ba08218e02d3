//! How to reach the broker.

use secrecy::{ExposeSecret, SecretString};

use crate::BusError;
use lapin::uri::{AMQPScheme, AMQPUri};

/// The largest frame we offer. The client keeps room for 32 of them in each direction of each
/// connection: with the broker's own 128 KiB that alone would be 8 MiB a connection. Longer messages
/// are split (AMQP 0-9-1, 4.2.6.2); RabbitMQ takes no less than 8 KiB.
const FRAME_MAX: u32 = 32 * 1024;

/// In seconds. The broker takes a consumer that hangs for dead after two to three times as long, and what it holds goes to
/// another: before who waits for it has waited in vain. Less than five is too little for a busy machine
/// (rabbitmq.com/docs/heartbeats).
const HEARTBEAT: u16 = 5;

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
        uri.query.heartbeat = Some(uri.query.heartbeat.unwrap_or(HEARTBEAT).min(HEARTBEAT));
        uri.query.frame_max = Some(uri.query.frame_max.unwrap_or(FRAME_MAX).min(FRAME_MAX));
        Ok(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(url: &str) -> AMQPUri {
        let config = BrokerConfig {
            url: url.to_owned(),
            username: "intake".to_owned(),
            password: "secret".into(),
            ca_pem: None,
        };
        config.uri().unwrap()
    }

    #[test]
    fn who_hangs_is_found_out_soon_and_may_be_sooner() {
        for (asked, offered) in [
            ("", HEARTBEAT),
            ("?heartbeat=60", HEARTBEAT),
            ("?heartbeat=3", 3),
        ] {
            let url = format!("amqp://broker:5672/writeback{asked}");
            assert_eq!(uri(&url).query.heartbeat, Some(offered));
        }
    }

    #[test]
    fn frames_are_small_and_may_be_smaller() {
        assert_eq!(
            uri("amqp://broker:5672/writeback").query.frame_max,
            Some(FRAME_MAX)
        );
        for (asked, offered) in [(8192, 8192), (131_072, FRAME_MAX)] {
            let url = format!("amqp://broker:5672/writeback?frame_max={asked}");
            assert_eq!(uri(&url).query.frame_max, Some(offered));
        }
    }
}
