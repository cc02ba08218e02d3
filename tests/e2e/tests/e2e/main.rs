//! The product from outside, on the running lab: what is asked for at the door is true at the domain controller.

mod admission;
mod applied;
mod ctl;
mod measured;
mod people;
mod refused;
mod stalled;
mod traced;
