//! What every service needs to start and stop: configuration, telemetry, health, TLS and shutdown.
//!
//! It must not know what the services do: no operation, no queue, no directory. A service's whole
//! `main` is [`run`] with a closure; everything it starts goes through [`Chassis::spawn`].

mod admin;
pub mod config;
mod lifecycle;
mod readiness;
pub mod rpc;
mod telemetry;
pub mod tls;
pub mod trace;

pub use lifecycle::{Chassis, run};
pub use readiness::{Gate, Readiness};
pub use telemetry::meter;
