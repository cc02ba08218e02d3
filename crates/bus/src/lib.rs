//! AMQP for every service: the topology, publishing with the broker's confirm, consuming with
//! manual acknowledgement, replies, dead letters and the trace context that travels along.
//!
//! It reconnects for ever and says in its errors whether a message was certainly not published.
//! It must not know what a message means: bodies are bytes, and it decides nothing about them.

mod config;
mod connection;
mod consume;
mod delivery;
mod error;
mod observe;
mod publish;
mod topology;

pub use config::BrokerConfig;
pub use connection::Bus;
pub use consume::Deliveries;
pub use delivery::{DeadLetter, Delivery, Fate};
pub use error::BusError;
pub use publish::{Message, PublishError, Publisher, Truth};
pub use topology::{Destination, Queue};
