//! From the command line to the exit code.

use std::{
    any::Any,
    collections::BTreeMap,
    env, fs,
    panic::AssertUnwindSafe,
    path::Path,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use futures_util::FutureExt as _;
use nix::sys::{
    prctl,
    resource::{Resource, setrlimit},
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admin::{self, Admin},
    certificates::Certificates,
    config::{Config, ConfigError},
    probe,
    program::{Arguments, Program},
    readiness::Readiness,
    reload::Reload,
    telemetry,
};

/// BSD's `EX_USAGE` (sysexits.h): the operator must change something before a restart can help.
const EXIT_CONFIGURATION: u8 = 64;

/// What a service's closure is given.
#[derive(Clone)]
pub struct Chassis {
    pub program: Program,
    pub config: Config,
    pub readiness: Readiness,
    /// What this service shows and believes, as long as it follows it.
    pub certificates: Certificates,
    /// Cancelled when the service shall end.
    pub shutdown: CancellationToken,
    changes: watch::Receiver<Arc<Config>>,
    tasks: Tasks,
}

impl Chassis {
    /// The configuration in force, as it changes with the file; `config` is what the service was
    /// started with. What is offered is a valid file, whatever else it may be. It is also offered
    /// when SIGHUP asked for it and nothing in it changed.
    pub fn config_changes(&self) -> watch::Receiver<Arc<Config>> {
        self.changes.clone()
    }

    /// Whether a task of this service has failed, so that its end is not the one that was asked for.
    pub fn has_failed(&self) -> bool {
        self.tasks.failed.load(Ordering::Relaxed)
    }

    /// Starts a task that is waited for at the end. An error or panic before shutdown was asked
    /// pulls the shutdown and makes the exit code 1: half a service is worse than a restart.
    pub fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let tasks = self.tasks.clone();
        let watched = async move {
            let running = tasks.enter(name);
            let ended = AssertUnwindSafe(task).catch_unwind().await;
            tasks.judge(name, ended);
            drop(running);
        };
        self.tasks.tracker.spawn(watched);
    }
}

/// The running tasks, and whether one of them failed.
#[derive(Clone)]
struct Tasks {
    tracker: TaskTracker,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    failed: Arc<AtomicBool>,
    misconfigured: Arc<AtomicBool>,
    shutdown: CancellationToken,
}

/// Takes the task's name off the list however the task ends.
struct Running {
    name: &'static str,
    list: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = list.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                list.remove(self.name);
            }
        }
    }
}

impl Tasks {
    fn new(shutdown: CancellationToken) -> Self {
        Self {
            tracker: TaskTracker::new(),
            running: Arc::default(),
            failed: Arc::default(),
            misconfigured: Arc::default(),
            shutdown,
        }
    }

    fn enter(&self, name: &'static str) -> Running {
        let mut list = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *list.entry(name).or_insert(0) += 1;
        Running {
            name,
            list: Arc::clone(&self.running),
        }
    }

    fn names(&self) -> Vec<&'static str> {
        let list = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        list.keys().copied().collect()
    }

    fn judge(&self, name: &'static str, ended: Result<anyhow::Result<()>, Box<dyn Any + Send>>) {
        let asked = self.shutdown.is_cancelled();
        match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) if asked => {
                tracing::warn!(
                    task = name,
                    error = format!("{error:#}"),
                    "ended with an error"
                );
                return;
            }
            Ok(Err(error)) => {
                if error.downcast_ref::<ConfigError>().is_some() {
                    self.misconfigured.store(true, Ordering::Relaxed);
                }
                tracing::error!(
                    task = name,
                    error = format!("{error:#}"),
                    "failed; shutting down"
                );
            }
            Err(_panic) => tracing::error!(task = name, "panicked; shutting down"),
        }
        self.failed.store(true, Ordering::Relaxed);
        self.shutdown.cancel();
    }

    fn exit_code(&self) -> u8 {
        if self.misconfigured.load(Ordering::Relaxed) {
            EXIT_CONFIGURATION
        } else {
            u8::from(self.failed.load(Ordering::Relaxed))
        }
    }
}

/// Every service's `main`. The exit code is 0 after an orderly end, 64 where the command line or
/// the configuration must be mended first, 1 for everything else.
///
/// The service lives until shutdown is asked, or until the closure and all its tasks have ended.
pub fn run<F, Fut>(program: Program, service: F) -> ExitCode
where
    F: FnOnce(Chassis) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    match Arguments::of(program, env::args_os()) {
        Ok(arguments) if arguments.probe => probe::run(program, &arguments.config),
        Ok(arguments) => start(program, &arguments.config, service),
        Err(error) => {
            // nothing is left to tell the operator by if the terminal is gone
            let _ = error.print();
            ExitCode::from(if error.use_stderr() {
                EXIT_CONFIGURATION
            } else {
                0
            })
        }
    }
}

fn start<F, Fut>(program: Program, config: &Path, service: F) -> ExitCode
where
    F: FnOnce(Chassis) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let name = program.name;
    if let Err(error) = forbid_core_dumps() {
        eprintln!("{name}: core dumps cannot be turned off: {error}");
        return ExitCode::FAILURE;
    }
    // an error means that a provider was installed before, and there is only this one in the tree
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let loaded = fs::read_to_string(config)
        .map_err(|source| ConfigError::Unreadable {
            path: config.to_owned(),
            source,
        })
        .and_then(|text| Ok((Config::of(config, &text)?, text)));
    let path = config.to_owned();
    let (config, text) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{name}: {error}");
            return ExitCode::from(EXIT_CONFIGURATION);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name(program.kind)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{name}: the runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let telemetry = {
        let _inside = runtime.enter();
        match telemetry::start(program, &config) {
            Ok(telemetry) => telemetry,
            Err(error) => {
                eprintln!("{name}: {error}");
                return ExitCode::from(EXIT_CONFIGURATION);
            }
        }
    };
    std::panic::set_hook(Box::new(|panic| {
        // the message is left out: it may quote what was being worked on
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "a thread panicked");
    }));

    let reload = Reload::new(path, text, &config);
    let code = match runtime.block_on(live(
        program,
        config,
        reload,
        telemetry.metrics.clone(),
        service,
    )) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "cannot start");
            1
        }
    };
    telemetry.flush();
    // tasks that outlived the grace are dropped here
    runtime.shutdown_timeout(Duration::from_secs(1));
    ExitCode::from(code)
}

/// The limit alone is not enough: the kernel ignores it where core dumps are piped to a program
/// (core(5)), and honours "not dumpable" everywhere.
fn forbid_core_dumps() -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    prctl::set_dumpable(false)
}

async fn live<F, Fut>(
    program: Program,
    config: Config,
    reload: Reload,
    metrics: prometheus::Registry,
    service: F,
) -> anyhow::Result<u8>
where
    F: FnOnce(Chassis) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let shutdown = CancellationToken::new();
    let readiness = Readiness::default();
    readiness.observe();
    let certificates = Certificates::default();
    certificates.observe();
    let grace = Duration::from_secs(config.service.shutdown_grace_seconds);
    let address = config.service.admin_listen;

    let terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    let hang_up = signal(SignalKind::hangup()).context("SIGHUP cannot be heard")?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("the admin server cannot listen on {address}"))?;
    let address = listener.local_addr().unwrap_or(address);
    let signals = tokio::spawn(hear_signals(terminate, interrupt, shutdown.clone()));
    let closing = CancellationToken::new();
    let router = admin::router(Admin {
        readiness: readiness.clone(),
        shutdown: shutdown.clone(),
        metrics,
    });
    // outlives the drain, so that probes and scrapes are answered to the end
    let admin = tokio::spawn(
        axum::serve(listener, router)
            .with_graceful_shutdown(closing.clone().cancelled_owned())
            .into_future(),
    );
    tracing::info!(
        kind = program.kind,
        name = config.service.name,
        version = program.version,
        admin = %address,
        "started"
    );

    let tasks = Tasks::new(shutdown.clone());
    let chassis = Chassis {
        program,
        config,
        readiness,
        certificates: certificates.clone(),
        shutdown: shutdown.clone(),
        changes: reload.changes(),
        tasks: tasks.clone(),
    };
    // not one of the service's tasks: a service that has nothing left to do ends without it
    let reloading = tokio::spawn(reload.run(hang_up));
    let reminding = tokio::spawn(certificates.remind());
    let work = async {
        let running = tasks.enter("service");
        // called inside the guarded future: the closure itself may panic before its first await
        let ended = AssertUnwindSafe(async move { service(chassis).await })
            .catch_unwind()
            .await;
        tasks.judge("service", ended);
        drop(running);
        tasks.tracker.close();
        tasks.tracker.wait().await;
    };
    let patience = async {
        shutdown.cancelled().await;
        tracing::info!(grace_seconds = grace.as_secs(), "shutting down");
        tokio::time::sleep(grace).await;
    };
    let mut code = tokio::select! {
        biased;
        () = work => tasks.exit_code(),
        () = patience => {
            tracing::error!(tasks = tasks.names().join(", "), "still running after the grace; given up");
            tasks.exit_code().max(1)
        }
    };

    closing.cancel();
    match tokio::time::timeout(admin::CLOSING_TIME, admin).await {
        Ok(Ok(Ok(()))) | Err(_) => {}
        Ok(Ok(Err(error))) => {
            tracing::error!(%error, "the admin server failed");
            code = code.max(1);
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the admin server failed");
            code = code.max(1);
        }
    }
    signals.abort();
    reloading.abort();
    reminding.abort();
    tracing::info!(code, "ended");
    Ok(code)
}

/// The first signal asks for an orderly end; whoever sends a second wants none.
async fn hear_signals(mut terminate: Signal, mut interrupt: Signal, shutdown: CancellationToken) {
    let mut next = async || {
        tokio::select! {
            heard = terminate.recv() => heard,
            heard = interrupt.recv() => heard,
        }
    };
    if next().await.is_none() {
        return;
    }
    shutdown.cancel();
    if next().await.is_some() {
        tracing::error!("second signal: ending at once");
        std::process::exit(1);
    }
}

#[cfg(test)]
mod tests;
