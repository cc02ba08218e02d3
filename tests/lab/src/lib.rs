//! The lab: everything Writeback talks to, real, on this machine.
//!
//! A private RabbitMQ, PostgreSQL and two Samba forests with people in them, and our own services in front. It starts
//! them, keeps them alive and writes `target/lab/lab.json`, which tells tests where everything is. It must not know how
//! a service works inside: it starts binaries with the one configuration file, like any deployment.

mod broker;
pub mod certificates;
mod command;
mod configuration;
mod database;
mod description;
mod domains;
mod forest;
mod place;
mod process;
mod seals;
mod second;
mod secret;
mod services;
mod supervisor;
mod tokens;
mod wanted;

pub use command::{down, up};
pub use description::{Audit, Ctl, Forest, Infrastructure, Intake, Lab, RabbitMq, Service};
pub use domains::{Mover, add_domains, receive, remove_domains};
pub use place::{Place, TRACES_PORT};
pub use second::{add_controller, remove_controller};
pub use supervisor::supervise;
pub use wanted::{add_forest, remove_forest};
