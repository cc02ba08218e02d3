//! What everything else relies on the bus for, on the lab's real broker, in virtual hosts of the tests' own.

mod connecting;
mod dying;
mod handling;
mod house;
mod lasting;
mod proxy;
mod publishing;
