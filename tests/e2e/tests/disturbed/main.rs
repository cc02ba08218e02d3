//! The product while it is disturbed: parts of it and of what it stands on are killed and stopped under load, settings are
//! turned off, the ledger is tampered with. What is promised holds all the same.
//!
//! These tests would be in the way of any other: they have a binary of their own, and take turns.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that JSON lacks reads as null, and a test may panic"
)]

mod account;
mod anchors;
mod broker;
mod certificates;
mod controllers;
mod database;
mod domains;
mod errand;
mod forests;
mod hung;
mod late;
mod ledger;
mod lost;
mod newer;
mod patience;
mod people;
mod permissions;
mod preferred;
mod readiness;
mod rotation;
mod services;
mod settings;
mod standby;
mod status;
mod switch;
mod told;
mod turn;
mod twins;
mod walls;
mod writers;

use std::time::Duration;

use e2e::{DomainController, Event, World, parts, until};

const AGAIN_WITHIN: Duration = Duration::from_mins(1);

static ALONE: turn::Turns = turn::Turns::new();

/// Until every service works with a forest again, and what comes next finds nothing that is over: some leave a domain
/// controller alone for seconds after it is back, and each of them takes its share of the operations.
async fn works_again(world: &World, forest: &DomainController) -> anyhow::Result<()> {
    const IN_A_ROW: usize = 12;

    let person = forest.person(people::AFTERWARDS.start)?;
    until("the forest works again", AGAIN_WITHIN, || async {
        for _ in 0..IN_A_ROW {
            let event = Event::unlock(person).in_domain(forest.domain());
            if world.door.send(&event).await?.expect_applied().is_err() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await
}
