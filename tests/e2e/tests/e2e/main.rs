//! The product from outside, on the running lab: what is asked for at the door is true at the domain controller.

mod admission;
mod applied;
mod contract;
mod measured;
mod people;
mod refused;
mod stalled;
mod traced;
