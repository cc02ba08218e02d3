//! What every service needs to start and stop: configuration, telemetry, health, TLS and shutdown.
//!
//! It must not know what the services do: no operation, no queue, no directory.

pub mod config;
