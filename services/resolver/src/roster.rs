//! Which forests there are: those of the configuration, as it changes while requests are under way.
//!
//! A forest whose section did not change is left alone: its connections, its index of anchors and
//! what is known of its silence go on. One that is new is asked as soon as its section is in force;
//! one that is gone is asked by no request that begins later, and its task is waited for.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use anyhow::Context as _;
use chassis::config;
use directory::scope::Scope;
use lookout::Lookout;
use operation::ForestId;
use reach::Limits;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    anchors::Anchors,
    forests::{Asked, Domain, Forests},
    observe::Observer,
    standstill,
};

const CONNECTIONS: usize = 8;

/// Three misses in a row still leave a new anchor known within its minute.
const INDEX_REFRESH_SECONDS: RangeInclusive<u64> = 1..=20;

/// How soon what could not be put in force is tried again: a file it names may come later than itself.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// A task that was told to end has at most the index to write to disk.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// The forests in force and their tasks.
pub(crate) struct Roster {
    settings: config::Resolver,
    forests: Arc<Forests>,
    observer: Arc<Observer>,
    members: Vec<Member>,
    enabled_in_two_forests: operation::EnabledInTwoForests,
    shutdown: CancellationToken,
}

/// One forest.
struct Member {
    section: config::Forest,
    domains: Vec<Arc<Domain>>,
    files: config::AccountFiles,
    pointed_to: config::PointedTo,
    tasks: TaskTracker,
    leaving: CancellationToken,
}

impl Roster {
    /// With the forests the service was started with.
    pub(crate) fn new(
        config: &config::Config,
        forests: Arc<Forests>,
        observer: Arc<Observer>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let settings = config.resolver.clone();
        anyhow::ensure!(
            INDEX_REFRESH_SECONDS.contains(&settings.index_refresh_seconds),
            "resolver.index_refresh_seconds: from {} to {}, so that a new anchor is known within a minute",
            INDEX_REFRESH_SECONDS.start(),
            INDEX_REFRESH_SECONDS.end(),
        );
        let mut roster = Self {
            enabled_in_two_forests: settings.enabled_in_two_forests.clone(),
            settings,
            forests,
            observer,
            members: Vec::new(),
            shutdown,
        };
        let new = roster.prepare(&config.forests)?;
        ensure_any(&config.forests)?;
        tell_unknown(&roster.enabled_in_two_forests, &config.forests);
        for member in &new {
            roster.start(member);
        }
        roster.members = new;
        roster.publish();
        Ok(roster)
    }

    /// Follows the configuration until shutdown, and returns when every task of every forest ended.
    pub(crate) async fn follow(mut self, mut updates: watch::Receiver<Arc<config::Config>>) {
        let shutdown = self.shutdown.clone();
        // what changed between the start and now
        updates.mark_changed();
        let mut failing = false;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                changed = updates.changed() => if changed.is_err() {
                    shutdown.cancelled().await;
                    break;
                },
                () = sleep(TRY_AGAIN_AFTER), if failing => {}
            }
            let config = Arc::clone(&updates.borrow_and_update());
            let applied = self.apply(&config).await;
            if let Err(error) = &applied
                && !failing
            {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the new forests cannot be put in force; those before stay"
                );
            }
            failing = applied.is_err();
        }
        for member in self.members {
            member.end().await;
        }
    }

    /// All of it or nothing.
    async fn apply(&mut self, config: &config::Config) -> anyhow::Result<()> {
        let sections = config.forests.as_slice();
        let changed: Vec<config::Forest> = sections
            .iter()
            .filter(|section| {
                !self
                    .members
                    .iter()
                    .any(|member| member.section == **section)
            })
            .cloned()
            .collect();
        ensure_any(sections)?;
        let new = self.prepare(&changed)?;
        let (staying, leaving): (Vec<_>, Vec<_>) = std::mem::take(&mut self.members)
            .into_iter()
            .partition(|member| sections.contains(&member.section));
        self.members = staying;
        let first_new = self.members.len();
        self.members.extend(new);
        let rule = &config.resolver.enabled_in_two_forests;
        if self.enabled_in_two_forests != *rule {
            tracing::info!(?rule, "another rule for who is enabled in two forests");
            tell_unknown(rule, sections);
            self.enabled_in_two_forests = rule.clone();
        }
        self.publish();
        for member in leaving {
            let forest = member.section.id.clone();
            let stays = sections.iter().any(|section| section.id == forest);
            member.end().await;
            if stays {
                tracing::info!(%forest, "the forest's section changed: it begins anew");
            } else {
                tracing::info!(%forest, "the forest is no longer asked: it was taken out of the configuration");
            }
        }
        // after the predecessor's end: its index is on disk by then
        for member in self.members.iter().skip(first_new) {
            tracing::info!(forest = %member.section.id, domains = member.domains.len(), "the forest is asked from now on");
            self.start(member);
        }
        Ok(())
    }

    fn prepare(&self, sections: &[config::Forest]) -> anyhow::Result<Vec<Member>> {
        sections
            .iter()
            .map(|section| {
                let files = section
                    .reading_account()
                    .with_context(|| format!("forests `{}`", section.id))?;
                let pointed_to = files.read()?;
                Ok(Member {
                    domains: domains(section, &files.account, &pointed_to, &self.settings)?,
                    files,
                    pointed_to,
                    section: section.clone(),
                    tasks: TaskTracker::new(),
                    leaving: self.shutdown.child_token(),
                })
            })
            .collect()
    }

    fn start(&self, member: &Member) {
        self.observer.begin(&member.section.id);
        for domain in &member.domains {
            let anchors = Arc::clone(&domain.anchors);
            member.tasks.spawn(anchors.follow(member.leaving.clone()));
        }
        let (forest, domains) = (member.section.id.clone(), member.domains.clone());
        let (files, known) = (member.files.clone(), member.pointed_to.clone());
        let leaving = member.leaving.clone();
        member.tasks.spawn(async move {
            let renewing = files.follow(known, |now| renew(&forest, &domains, &now));
            leaving.run_until_cancelled(renewing).await;
        });
        member.tasks.close();
    }

    /// Tells whoever looks for somebody.
    fn publish(&self) {
        let domains = self
            .members
            .iter()
            .flat_map(|member| member.domains.iter().cloned());
        self.forests.ask(Asked {
            domains: domains.collect(),
            enabled_in_two_forests: self.enabled_in_two_forests.clone(),
        });
    }
}

impl Member {
    async fn end(self) {
        self.leaving.cancel();
        if timeout(ENDS_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!(forest = %self.section.id, "its tasks do not end; they are left behind");
        }
    }
}

/// A file that lost all its forests is a mistake, not an order.
fn ensure_any(sections: &[config::Forest]) -> anyhow::Result<()> {
    anyhow::ensure!(
        sections.iter().any(|forest| !forest.domains.is_empty()),
        "forests: give at least one forest with a domain"
    );
    Ok(())
}

/// An order that names a forest which is not there is no fault, for forests come and go, but perhaps a
/// misspelt one.
fn tell_unknown(rule: &operation::EnabledInTwoForests, sections: &[config::Forest]) {
    if let operation::EnabledInTwoForests::Prefer(order) = rule {
        for forest in order.iter() {
            if sections.iter().all(|section| section.id != *forest) {
                tracing::warn!(%forest, "resolver.enabled_in_two_forests names a forest that is not configured");
            }
        }
    }
}

/// What cannot be used is left; what was in force before stays.
fn renew(forest: &ForestId, domains: &[Arc<Domain>], now: &config::PointedTo) {
    for domain in domains {
        if let Err(error) = reach::renew(&domain.directory, now) {
            tracing::error!(%forest, domain = %domain.name, %error, "what changed cannot be used");
        }
    }
}

fn domains(
    forest: &config::Forest,
    account: &str,
    pointed_to: &config::PointedTo,
    settings: &config::Resolver,
) -> anyhow::Result<Vec<Arc<Domain>>> {
    forest
        .domains
        .iter()
        .map(|domain| {
            let context = || format!("forests `{}`, domain {}", forest.id, domain.name);
            // not the global catalog: it lacks mS-DS-ConsistencyGuid, and hears of a move last
            let limits = Limits {
                connections: CONNECTIONS,
                operation_timeout: Duration::from_secs(settings.directory_timeout_seconds),
            };
            let directory = reach::connect(forest, domain, account, pointed_to, limits)
                .with_context(context)?;
            let scope = Scope::new(&domain.include, &domain.exclude).with_context(context)?;
            let anchors = Anchors::new(
                forest.id.clone(),
                domain.name.clone(),
                Arc::clone(&directory),
                Duration::from_secs(settings.index_refresh_seconds),
                settings.state_directory.as_deref(),
            );
            Ok(Arc::new(Domain {
                forest: forest.id.clone(),
                name: domain.name.clone(),
                scope,
                lookout: Lookout::new(domain.name.clone(), Arc::clone(&directory)),
                directory,
                gate: standstill::Gate::new(settings.concurrency),
                anchors,
            }))
        })
        .collect()
}
