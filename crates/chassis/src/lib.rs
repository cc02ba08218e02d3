//! What every service needs to start and stop: configuration, telemetry, health, TLS and shutdown.
//!
//! It must not know what the services do: no operation, no queue, no directory. A service's whole
//! `main` is [`run`] with a closure; everything it starts goes through [`Chassis::spawn`].

mod admin;
mod certificates;
pub mod config;
mod discretion;
mod lifecycle;
mod log;
mod probe;
mod process;
mod program;
mod readiness;
mod reload;
pub mod rpc;
mod telemetry;
pub mod tls;

pub use ::telemetry::metric::meter;
pub use certificates::{Certificates, HeldUntil};
pub use lifecycle::{Chassis, run};
pub use program::Program;
pub use readiness::{Gate, Readiness};
