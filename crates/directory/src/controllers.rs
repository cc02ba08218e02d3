//! The domain controllers of one domain: which there are, in which order they are asked, and what is
//! known of each.

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use operation::DomainName;
use time::OffsetDateTime;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use crate::{
    BreakerState, DirectoryError, Endpoint,
    discovery::Announced,
    distinguished_name::DistinguishedName,
    pool::{Blueprint, Pool},
    referral, srv,
};

/// How long a controller that is no longer announced is still asked whether it has carried out a write:
/// one that is shut down takes back its records, and comes up again with what it had written.
const RETIRED_FOR: Duration = Duration::from_hours(1);

/// Which domain controller is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ControllerChoice {
    /// The PDC emulator, then as `Nearest` those found in DNS, and as `Listed` those that are listed.
    #[default]
    PdcFirst,
    /// Those of our own site, then by the priority and weight of their records, then those that answer
    /// sooner.
    Nearest,
    /// In the order given.
    Listed,
}

/// Where the domain controllers come from, and how one is chosen.
#[derive(Debug, Clone, Default)]
pub struct Topology {
    /// The domain whose controllers are found by DNS when no endpoints are given.
    pub discover: Option<DomainName>,
    /// Asked instead of the system's.
    pub dns_servers: Vec<SocketAddr>,
    /// The site we are in.
    pub site: Option<String>,
    pub choice: ControllerChoice,
    /// `host` or `host:port`: where referrals are followed to besides the domain's controllers.
    pub referral_hosts: Vec<String>,
}

/// What is known of one domain controller, without asking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerReport {
    /// `ldaps://host:port`.
    pub endpoint: String,
    /// What it calls itself.
    pub host_name: Option<String>,
    pub site: Option<String>,
    /// None until it has been asked.
    pub writable: Option<bool>,
    /// Whether it is the PDC emulator of its domain; None until that is known.
    pub pdc: Option<bool>,
    pub breaker: BreakerState,
    /// Of a question about itself.
    pub latency: Option<Duration>,
    /// Its clock less ours.
    pub clock_offset: Option<time::Duration>,
    /// The policy-hints control it knows.
    pub policy_hints: Option<&'static str>,
    /// The functional levels of the controller, its domain and its forest (MS-ADTS 6.1.4.2).
    pub controller_level: Option<u32>,
    pub domain_level: Option<u32>,
    pub forest_level: Option<u32>,
    pub capabilities: BTreeSet<String>,
    pub last_success: Option<OffsetDateTime>,
    pub last_error: Option<(OffsetDateTime, DirectoryError)>,
    /// Why the service account is refused, here or at another of its domain, as long as it is.
    pub refusal: Option<DirectoryError>,
}

impl ControllerReport {
    /// It answered when it was last asked.
    pub fn is_reachable(&self) -> bool {
        self.breaker == BreakerState::Closed && self.last_success.is_some()
    }
}

/// What a domain controller is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For<'a> {
    Reading,
    /// Those that are known to take no writes are passed over.
    Writing,
    /// This one only, also if it is no longer announced.
    At(&'a str),
}

#[derive(Debug, Clone)]
struct Member {
    pool: Arc<Pool>,
    /// It is announced for our site.
    announced_near: bool,
    rank: usize,
}

#[derive(Debug, Default)]
struct Known {
    members: Vec<Member>,
    retired: Vec<(Instant, Arc<Pool>)>,
    announced: Option<Announced>,
    /// Why nothing was found when last looked for.
    problem: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Controllers {
    blueprint: Blueprint,
    choice: ControllerChoice,
    site: Option<String>,
    known: Mutex<Known>,
    /// Followed to, never chosen.
    referred: Vec<Arc<Pool>>,
    /// Whether they were looked for at least once.
    looked: watch::Sender<bool>,
}

impl Controllers {
    pub(crate) fn new(
        blueprint: Blueprint,
        listed: Vec<Endpoint>,
        referred: Vec<Endpoint>,
        topology: &Topology,
    ) -> Self {
        let pool = |endpoint| Arc::new(Pool::new(endpoint, &blueprint));
        let members: Vec<Member> = listed
            .into_iter()
            .map(|endpoint| Member {
                pool: pool(endpoint),
                announced_near: false,
                rank: 0,
            })
            .collect();
        Self {
            referred: referred.into_iter().map(pool).collect(),
            choice: topology.choice,
            site: topology.site.clone(),
            looked: watch::Sender::new(!members.is_empty()),
            known: Mutex::new(Known {
                members,
                ..Known::default()
            }),
            blueprint,
        }
    }

    /// Those to ask, in order; those that fail last. Waits until they were looked for at least once.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn wanted(&self, wanted: For<'_>) -> Result<Vec<Arc<Pool>>, DirectoryError> {
        let mut looked = self.looked.subscribe();
        // nobody has found any so far: what is known of that is told below
        let _ = timeout(self.blueprint.time_out, looked.wait_for(|looked| *looked)).await;
        let chosen = match wanted {
            For::At(endpoint) => self.at(endpoint).into_iter().collect(),
            For::Reading => self.in_order(),
            For::Writing => {
                let mut pools = self.in_order();
                pools.retain(|pool| pool.facts.is_read_only() != Some(true));
                pools
            }
        };
        if chosen.is_empty() {
            return Err(self.nobody(wanted));
        }
        Ok(chosen)
    }

    fn in_order(&self) -> Vec<Arc<Pool>> {
        let mut members = self.known().members.clone();
        members.sort_by_cached_key(|member| {
            let pool = &member.pool;
            let near = member.announced_near || self.is_of_our_site(pool);
            let pdc = pool.facts.is_pdc() == Some(true);
            let standing = (pool.breaker() != BreakerState::Closed, pool.rests());
            let choice = match self.choice {
                ControllerChoice::PdcFirst => (Reverse(pdc), Reverse(near), member.rank, None),
                ControllerChoice::Nearest => (
                    Reverse(false),
                    Reverse(near),
                    member.rank,
                    Some(magnitude(pool.facts.latency())),
                ),
                ControllerChoice::Listed => (Reverse(false), Reverse(false), member.rank, None),
            };
            (standing, choice)
        });
        members.into_iter().map(|member| member.pool).collect()
    }

    fn is_of_our_site(&self, pool: &Pool) -> bool {
        let Some(ours) = &self.site else {
            return false;
        };
        let site = pool.facts.root().and_then(|root| root.site);
        site.is_some_and(|site| site.eq_ignore_ascii_case(ours))
    }

    fn nobody(&self, wanted: For<'_>) -> DirectoryError {
        let known = self.known();
        let members: Vec<String> = known
            .members
            .iter()
            .map(|member| member.pool.endpoint.to_string())
            .collect();
        match wanted {
            For::At(endpoint) => DirectoryError::Misconfigured {
                endpoint: endpoint.to_owned(),
                cause: "it is not one of the known domain controllers".to_owned(),
            },
            For::Writing if !members.is_empty() => DirectoryError::Misconfigured {
                endpoint: members.join(", "),
                cause: "no writable domain controller is known".to_owned(),
            },
            For::Reading | For::Writing => DirectoryError::Unavailable {
                endpoint: "the domain".to_owned(),
                cause: format!(
                    "no domain controller has been found: {}",
                    known
                        .problem
                        .as_deref()
                        .unwrap_or("DNS has not answered yet")
                ),
            },
        }
    }

    /// Every pool of a known controller, in order.
    pub(crate) fn members(&self) -> Vec<Arc<Pool>> {
        self.in_order()
    }

    /// One controller, also one that only referrals lead to, or that is no longer announced.
    pub(crate) fn at(&self, endpoint: &str) -> Option<Arc<Pool>> {
        self.everyone()
            .into_iter()
            .find(|pool| pool.endpoint.to_string() == endpoint)
    }

    fn everyone(&self) -> Vec<Arc<Pool>> {
        let known = self.known();
        let members = known.members.iter().map(|member| &member.pool);
        let retired = known.retired.iter().map(|(_, pool)| pool);
        members
            .chain(&self.referred)
            .chain(retired)
            .cloned()
            .collect()
    }

    /// Every controller that a write may have been sent to, by whomever.
    pub(crate) fn perhaps_written_at(&self) -> Vec<String> {
        self.everyone()
            .into_iter()
            .filter(|pool| pool.facts.is_read_only() != Some(true))
            .map(|pool| pool.endpoint.to_string())
            .collect()
    }

    /// The first controller on the allow-list that a referral names.
    ///
    /// # Errors
    /// The hosts it names instead.
    pub(crate) fn referred_to(&self, urls: &[String]) -> Result<Arc<Pool>, String> {
        let known: Vec<Arc<Pool>> = {
            let known = self.known();
            let members = known.members.iter().map(|member| &member.pool);
            members.chain(&self.referred).cloned().collect()
        };
        urls.iter()
            .filter_map(|url| referral::endpoint(url))
            .find_map(|to| known.iter().find(|pool| is_at(pool, &to)).cloned())
            .ok_or_else(|| referral::hosts(urls))
    }

    /// What DNS announces is what is known from now on; a controller that stays keeps its connections.
    pub(crate) fn adopt(&self, announced: Announced, draw: impl FnMut(u32) -> u32) {
        let now = Instant::now();
        let mut known = self.known();
        known.problem = None;
        known.retired.retain(|(at, _)| at.elapsed() < RETIRED_FOR);
        if known.announced.as_ref() != Some(&announced) {
            let mut before: Vec<Arc<Pool>> = std::mem::take(&mut known.members)
                .into_iter()
                .map(|member| member.pool)
                .collect();
            before.extend(known.retired.drain(..).map(|(_, pool)| pool));
            for (host, rank) in srv::in_order(&announced.controllers, draw) {
                let Ok(endpoint) = format!("ldaps://{host}").parse::<Endpoint>() else {
                    tracing::warn!(
                        host,
                        "DNS announces a domain controller by an impossible name"
                    );
                    continue;
                };
                let pool = match before.iter().position(|pool| pool.endpoint == endpoint) {
                    Some(index) => before.swap_remove(index),
                    None => Arc::new(Pool::new(endpoint, &self.blueprint)),
                };
                if pool.facts.is_pdc().is_none() {
                    pool.facts
                        .set_pdc(announced.pdc.as_deref() == Some(host.as_str()));
                }
                known.members.push(Member {
                    pool,
                    announced_near: announced.own_site.contains(&host),
                    rank,
                });
            }
            known
                .retired
                .extend(before.into_iter().map(|pool| (now, pool)));
            let controllers: Vec<String> = known
                .members
                .iter()
                .map(|member| member.pool.endpoint.to_string())
                .collect();
            tracing::info!(
                ?controllers,
                "the domain's controllers, as DNS announces them"
            );
            known.announced = Some(announced);
        }
        drop(known);
        self.looked.send_replace(true);
    }

    /// Nothing was found: what was known stays.
    pub(crate) fn not_found(&self, problem: String) {
        let mut known = self.known();
        let members = known.members.len();
        if known.problem.as_ref() != Some(&problem) {
            tracing::warn!(
                problem,
                members,
                "the domain's controllers cannot be found by DNS"
            );
        }
        known.problem = Some(problem);
        drop(known);
        self.looked.send_replace(true);
    }

    /// Who the PDC emulator is, by the name of its nTDSDSA object.
    pub(crate) fn pdc_is(&self, owner: &str) {
        let Some(owner) = DistinguishedName::parse(owner) else {
            return;
        };
        for pool in self.everyone() {
            let service = pool.facts.root().and_then(|root| root.ds_service_name);
            if let Some(service) = service.as_deref().and_then(DistinguishedName::parse) {
                pool.facts.set_pdc(service == owner);
            }
        }
    }

    pub(crate) fn standing_refusal(&self) -> bool {
        self.blueprint.credentials.standing_refusal().is_some()
    }

    /// Until a breaker opens.
    pub(crate) async fn opened(&self) {
        self.blueprint.opened.notified().await;
    }

    /// Never held across an await; a panic while it was held leaves nothing half done.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the pool's controller is the one at this endpoint, by its address or by what it calls itself.
fn is_at(pool: &Pool, endpoint: &Endpoint) -> bool {
    let calls_itself = || {
        let root = pool.facts.root()?;
        Some(root.dns_host_name?.eq_ignore_ascii_case(endpoint.host()))
    };
    pool.endpoint == *endpoint
        || (pool.endpoint.port() == endpoint.port() && calls_itself() == Some(true))
}

/// Latencies of one magnitude are as good as each other: order does not change with every answer.
fn magnitude(latency: Option<Duration>) -> u32 {
    latency.map_or(u32::MAX, |latency| {
        latency.as_millis().saturating_add(1).ilog2()
    })
}

#[cfg(test)]
mod tests;
