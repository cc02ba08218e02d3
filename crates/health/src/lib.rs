//! What is to be made of the services' heartbeats and of the ledger's figures: a verdict for each
//! forest, domain and domain controller, for each kind of service and for the ledger, and what to do.
//!
//! Pure: facts and their ages in, verdicts out. It must not know how facts are gathered or shown.

mod certificates;
mod controller;
mod domain;
mod forest;
mod ledger;
pub mod limits;
mod pulse;
mod services;
#[cfg(test)]
mod tests;
mod verdict;

use std::{collections::BTreeMap, time::Duration};

use proto::v1::{self, ServiceKind};

pub use controller::ControllerReport;
pub use domain::DomainReport;
pub use forest::{Figures, ForestReport};
pub use pulse::is_alive;
pub use services::{Instance, ServiceReport, kind_name};
pub use verdict::{Finding, Level, Verdict};

use pulse::Pulse;

/// Everybody has been heard within this, whoever they are: an interval of the longest kind.
const SETTLES_WITHIN: Duration = Duration::from_secs(20);

/// All there is to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub level: Level,
    pub broker: Verdict,
    pub ledger: Verdict,
    /// The kinds that serve every forest.
    pub services: Vec<ServiceReport>,
    pub forests: Vec<ForestReport>,
}

/// What of the facts can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hearing {
    /// Whoever is not heard is not there.
    Good,
    /// It has only just begun: whoever is not heard may yet be.
    Settling,
    /// Nobody is heard.
    Deaf,
}

/// Of an answer as it was made; only what it says itself counts, and no clock of ours.
pub fn judge(status: &v1::StatusResponse) -> Report {
    let hearing = match status.listening_ms.map(Duration::from_millis) {
        None => Hearing::Deaf,
        Some(since) if since < SETTLES_WITHIN => Hearing::Settling,
        Some(_) => Hearing::Good,
    };
    let pulses: Vec<Pulse<'_>> = status.heard.iter().filter_map(Pulse::of).collect();
    let broker = broker(status, hearing);
    let ledger = ledger::verdict(status.ledger.as_ref());
    let services: Vec<ServiceReport> = [
        ServiceKind::Intake,
        ServiceKind::Resolver,
        ServiceKind::Audit,
    ]
    .into_iter()
    .map(|kind| {
        let of_kind = pulses.iter().filter(|pulse| pulse.kind == kind);
        ServiceReport::of(kind, None, of_kind, hearing)
    })
    .collect();
    let forests: Vec<ForestReport> = forest_ids(&pulses)
        .into_values()
        .map(|id| forest::report(id, &pulses, status, hearing))
        .collect();
    let platform = services
        .iter()
        .map(|service| service.verdict.level())
        .chain([broker.level(), ledger.level()])
        .max()
        .unwrap_or(Level::Healthy);
    Report {
        level: platform.max(of_forests(&forests)),
        broker,
        ledger,
        services,
        forests,
    }
}

impl Report {
    /// The same for somebody who cares for one forest alone. None if nobody knows it.
    pub fn of_forest(mut self, id: &str) -> Option<Self> {
        self.forests.retain(|forest| forest.id == id);
        let forest = self.forests.first()?.level();
        let services = self.services.iter().map(|service| service.verdict.level());
        self.level = services
            .chain([self.broker.level(), self.ledger.level(), forest])
            .max()
            .unwrap_or(Level::Healthy);
        Some(self)
    }
}

/// While one forest works the product is not down.
fn of_forests(forests: &[ForestReport]) -> Level {
    let worst = forests.iter().map(ForestReport::level).max();
    match worst {
        Some(Level::Down) if forests.iter().all(|forest| forest.level() == Level::Down) => {
            Level::Down
        }
        Some(Level::Down) => Level::Degraded,
        worst => worst.unwrap_or(Level::Healthy),
    }
}

fn broker(status: &v1::StatusResponse, hearing: Hearing) -> Verdict {
    let replica = &status.replica;
    Verdict::new(match hearing {
        Hearing::Good | Hearing::Settling => Vec::new(),
        Hearing::Deaf => vec![Finding::down(
            format!(
                "{replica} has no connection to the message broker: no heartbeat is heard, no outcome recorded"
            ),
            "see that the broker runs and that audit reaches broker.url",
        )],
    })
}

/// Those that somebody serves. A forest whose services have all gone without a goodbye is among them
/// for as long as audit remembers.
fn forest_ids<'a>(pulses: &[Pulse<'a>]) -> BTreeMap<&'a str, &'a str> {
    pulses
        .iter()
        .filter(|pulse| matches!(pulse.kind, ServiceKind::Resolver | ServiceKind::Writer))
        .flat_map(|pulse| pulse.heartbeat.forests.iter())
        .map(|forest| (forest.forest.as_str(), forest.forest.as_str()))
        .collect()
}
