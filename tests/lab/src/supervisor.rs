//! The process behind the lab: starts everything in order, keeps it alive, stops it.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::description::{Audit, Ctl, Forest, Infrastructure, Intake, Lab, RabbitMq, Service};
use crate::forest::{ADDED, FORESTS, FURTHER_DOMAINS, ForestPlan};
use crate::place::{AUDIT_PORTS, INTAKE_PORTS, Place};
use crate::process::{Process, Recipe};
use crate::tokens::Tokens;
use crate::wanted::{Further, Wanted};
use crate::{broker, configuration, database, seals, second, secret, services, tokens};

const TICK: Duration = Duration::from_millis(250);
/// How long writers have to end by themselves once their forest is out of the configuration.
const WRITERS_END_WITHIN: Duration = Duration::from_secs(30);
const INFRASTRUCTURE_PATIENCE: Duration = Duration::from_secs(90);
/// Longer than the services' own grace.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

struct Steps(Instant);

impl Steps {
    fn done(&mut self, what: &str) {
        println!("lab: {:5.1} s  {what}", self.0.elapsed().as_secs_f32());
    }
}

/// Runs until SIGTERM. Its standard output is the progress `up` shows.
pub async fn supervise(place: &Place, infrastructure_only: bool) -> anyhow::Result<()> {
    // out of the terminal's reach: Ctrl-C there, or its end, is none of the lab's business
    nix::unistd::setsid().context("cannot leave the terminal's session")?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut processes = Vec::new();
    let result = tokio::select! {
        result = run(place, infrastructure_only, &mut processes) => result,
        _ = terminate.recv() => Ok(()),
    };
    if let Err(error) = &result {
        println!("lab: failed: {error:#}");
    }
    stop(&mut processes).await;
    // gone already when the lab never became complete
    let _ = fs::remove_file(place.description());
    let _ = fs::remove_file(place.supervisor_pid());
    result
}

async fn run(
    place: &Place,
    infrastructure_only: bool,
    processes: &mut Vec<Process>,
) -> anyhow::Result<()> {
    let mut steps = Steps(Instant::now());
    let tokens = tokens::make(place)?;
    seals::make(place)?;
    let broker = broker::prepare(place)?;
    for recipe in broker {
        processes.push(Process::start(recipe)?);
    }
    steps.done("RabbitMQ is starting");
    processes.push(Process::start(database::prepare(place).await?)?);
    steps.done("PostgreSQL is initialised and starting");
    for forest in &FORESTS {
        forest.prepare(place).await?;
        processes.push(Process::start(forest.domain_controller(place))?);
        steps.done(&format!(
            "forest {} is provisioned, peopled and starting",
            forest.id
        ));
    }
    configuration::make(place)?;

    wait_until("PostgreSQL answers", processes, async || {
        database::answers(place).await
    })
    .await?;
    database::make_ledger(place).await?;
    steps.done("PostgreSQL is ready");
    for forest in &FORESTS {
        let what = format!("the domain controller of {} answers", forest.id);
        wait_until(&what, processes, async || forest.answers(place).await).await?;
        forest.lock(place).await?;
        steps.done(&format!("forest {} is ready", forest.id));
    }
    wait_until("RabbitMQ answers", processes, async || {
        broker::answers(place).await
    })
    .await?;
    steps.done("RabbitMQ is ready");

    if !infrastructure_only {
        for recipe in services::recipes(place) {
            start_service(recipe, processes)?;
        }
        steps.done("the services are starting");
    }
    let mut wanted = Wanted::default();
    describe(place, &tokens, wanted, processes)?;
    loop {
        tokio::time::sleep(TICK).await;
        let mut changed = false;
        let wanted_now = Wanted::load(place)?;
        if wanted_now != wanted {
            wanted = wanted_now;
            obey(place, wanted, infrastructure_only, processes)?;
            changed = true;
        }
        for process in processes.iter_mut() {
            changed |= process.revive()?;
        }
        let count = processes.len();
        processes.retain_mut(|process| !process.has_left());
        changed |= processes.len() != count;
        if changed {
            describe(place, &tokens, wanted, processes)?;
        }
    }
}

/// Starts and dismisses what belongs to the forest, the domains and the domain controller that can be added.
fn obey(
    place: &Place,
    wanted: Wanted,
    infrastructure_only: bool,
    processes: &mut Vec<Process>,
) -> anyhow::Result<()> {
    let prefix = services::writers_prefix(&ADDED);
    let is_writer = |process: &Process| process.recipe.name.starts_with(&prefix);
    let second = second::name();
    for process in processes.iter_mut() {
        if process.recipe.name == second && !wanted.second_controller {
            process.dismiss(Duration::ZERO);
        }
        if is_writer(process) && !wanted.writers {
            process.dismiss(WRITERS_END_WITHIN);
        }
    }
    let further = FURTHER_DOMAINS
        .iter()
        .map(|domain| (domain, wanted.further_domains != Further::Nothing));
    for (domain, is_wanted) in further.chain([(&ADDED, wanted.domain_controller)]) {
        let name = domain.domain_controller_name();
        let running = processes
            .iter_mut()
            .find(|process| process.recipe.name == name);
        match running {
            Some(process) if !is_wanted => process.dismiss(Duration::ZERO),
            None if is_wanted => processes.push(Process::start(domain.domain_controller(place))?),
            Some(_) | None => {}
        }
    }
    if wanted.second_controller
        && !processes
            .iter()
            .any(|process| process.recipe.name == second)
    {
        processes.push(Process::start(second::recipe(place))?);
    }
    if wanted.writers && !infrastructure_only && !processes.iter().any(is_writer) {
        for recipe in services::added_writers(place, &ADDED) {
            start_service(recipe, processes)?;
        }
    }
    Ok(())
}

fn start_service(recipe: Recipe, processes: &mut Vec<Process>) -> anyhow::Result<()> {
    if !recipe.program.exists() {
        bail!(
            "{} is not built: run cargo build --workspace",
            recipe.program.display()
        );
    }
    processes.push(Process::start(recipe)?);
    Ok(())
}

async fn wait_until(
    what: &str,
    processes: &mut [Process],
    mut ready: impl AsyncFnMut() -> bool,
) -> anyhow::Result<()> {
    let until = Instant::now() + INFRASTRUCTURE_PATIENCE;
    while !ready().await {
        if Instant::now() > until {
            bail!(
                "waited {} s in vain until {what}; see the logs",
                INFRASTRUCTURE_PATIENCE.as_secs()
            );
        }
        for process in processes.iter_mut() {
            process.revive()?;
        }
        tokio::time::sleep(TICK).await;
    }
    Ok(())
}

fn describe(
    place: &Place,
    tokens: &Tokens,
    wanted: Wanted,
    processes: &[Process],
) -> anyhow::Result<()> {
    let urls: Vec<String> = INTAKE_PORTS
        .iter()
        .map(|port| format!("http://127.0.0.1:{port}"))
        .collect();
    let forests = FORESTS
        .iter()
        .chain(wanted.writers.then_some(&ADDED))
        .map(|forest| describe_domain(place, forest))
        .collect::<anyhow::Result<_>>()?;
    let domains = FURTHER_DOMAINS
        .iter()
        .filter(|_| wanted.further_domains == Further::Configured)
        .map(|domain| describe_domain(place, domain))
        .collect::<anyhow::Result<_>>()?;
    let services = processes
        .iter()
        .filter_map(|process| {
            Some(Service {
                name: process.recipe.name.clone(),
                pid: process.pid()?,
                admin: process.recipe.admin.clone()?,
            })
        })
        .collect();
    let infrastructure = processes
        .iter()
        .filter(|process| process.recipe.admin.is_none())
        .filter_map(|process| {
            Some(Infrastructure {
                name: process.recipe.name.clone(),
                pid: process.pid()?,
            })
        })
        .collect();
    let lab = Lab {
        intake: Intake {
            url: urls.first().cloned().unwrap_or_default(),
            urls,
            ca: None,
            token: tokens.all.clone(),
            tokens: tokens.by_scope.clone(),
        },
        ctl: Ctl {
            command: vec![
                place.binary("writebackctl").display().to_string(),
                "--config".to_owned(),
                configuration::file(place).display().to_string(),
            ],
        },
        audit: Audit {
            grpc: format!("https://127.0.0.1:{}", AUDIT_PORTS[0]),
        },
        rabbitmq: RabbitMq {
            amqp: broker::amqp_url(place)?,
            management: broker::management_url(place)?,
        },
        postgres: database::superuser_url(place)?,
        forests,
        domains,
        services,
        infrastructure,
    };
    secret::write_for_the_caller(
        &place.description(),
        serde_json::to_string_pretty(&lab)?.as_bytes(),
    )
    .context("cannot describe the lab")
}

fn describe_domain(place: &Place, domain: &ForestPlan) -> anyhow::Result<Forest> {
    Ok(Forest {
        id: domain.forest.to_owned(),
        domain: domain.domain.to_owned(),
        ldaps: domain.ldaps(),
        known_as: configuration::first_controller(domain),
        ca: domain.authority(place),
        base_dn: domain.base_dn.to_owned(),
        administrator: domain.account("Administrator"),
        administrator_password: secret::password(&domain.password_file(place, "administrator"))?,
        service_account: domain.first().account("svc-writeback"),
        users: domain.users(),
        out_of_scope_ou: configuration::out_of_scope(domain),
    })
}

/// Services first, what they stand on after them.
async fn stop(processes: &mut [Process]) {
    let (mut infrastructure, mut services): (Vec<_>, Vec<_>) = processes
        .iter_mut()
        .partition(|process| process.recipe.admin.is_none());
    for group in [&mut services, &mut infrastructure] {
        for process in group.iter() {
            process.ask_to_stop();
        }
        for process in group.iter_mut() {
            process.wait(STOP_PATIENCE).await;
        }
    }
}
