//! One process of the lab: how to start it, whether it lives, how to stop it.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// A process that dies at once is started again this often, well within the five seconds promised.
const PAUSE_BETWEEN_STARTS: Duration = Duration::from_secs(1);

pub(crate) struct Recipe {
    pub(crate) name: String,
    /// The system user to run as; none keeps ours.
    pub(crate) user: Option<&'static str>,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(String, OsString)>,
    pub(crate) log: PathBuf,
    pub(crate) stop_signal: Signal,
    pub(crate) admin: Option<String>,
}

pub(crate) struct Process {
    pub(crate) recipe: Recipe,
    child: Option<Child>,
    started: Instant,
    dismissed: Option<Dismissed>,
}

/// It is no longer wanted, and may end by itself until then.
struct Dismissed {
    by_itself_until: Instant,
    asked: bool,
}

impl Process {
    pub(crate) fn start(recipe: Recipe) -> anyhow::Result<Self> {
        let child = spawn(&recipe)?;
        Ok(Self {
            recipe,
            child: Some(child),
            started: Instant::now(),
            dismissed: None,
        })
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Starts it again if it has died; true if there is a new process.
    pub(crate) fn revive(&mut self) -> anyhow::Result<bool> {
        if let Some(child) = &mut self.child {
            let Some(status) = child.try_wait().context("cannot wait for a child")? else {
                return Ok(false);
            };
            eprintln!("lab: {} ended ({status})", self.recipe.name);
            self.child = None;
        }
        if self.dismissed.is_some() {
            return Ok(false);
        }
        if self.started.elapsed() < PAUSE_BETWEEN_STARTS {
            return Ok(false);
        }
        self.started = Instant::now();
        self.child = Some(spawn(&self.recipe)?);
        eprintln!("lab: {} started again", self.recipe.name);
        Ok(true)
    }

    /// It is not started again, and asked to stop if it does not end by itself for so long.
    pub(crate) fn dismiss(&mut self, patience: Duration) {
        self.dismissed.get_or_insert_with(|| Dismissed {
            by_itself_until: Instant::now() + patience,
            asked: false,
        });
    }

    /// Whether it was dismissed and has ended.
    pub(crate) fn has_left(&mut self) -> bool {
        let Some(dismissed) = &mut self.dismissed else {
            return false;
        };
        if self.child.is_none() {
            return true;
        }
        if !dismissed.asked && Instant::now() >= dismissed.by_itself_until {
            dismissed.asked = true;
            self.ask_to_stop();
        }
        false
    }

    pub(crate) fn ask_to_stop(&self) {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()) {
            // ESRCH means that it has ended already, which is what is asked for
            let _ = kill(Pid::from_raw(pid), self.recipe.stop_signal);
        }
    }

    pub(crate) async fn wait(&mut self, patience: Duration) {
        let Some(child) = &mut self.child else { return };
        if tokio::time::timeout(patience, child.wait()).await.is_err() {
            eprintln!(
                "lab: {} did not stop in {} s, killing it",
                self.recipe.name,
                patience.as_secs()
            );
            if let Err(error) = child.kill().await {
                eprintln!("lab: cannot kill {}: {error}", self.recipe.name);
            }
        }
        self.child = None;
    }
}

fn spawn(recipe: &Recipe) -> anyhow::Result<Child> {
    let log = || {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&recipe.log)
            .with_context(|| format!("cannot open {}", recipe.log.display()))
    };
    // setpriv(1) both drops to the user and has the kernel kill the process should the supervisor die without a word
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(user) = recipe.user {
        command.args(["--reuid", user, "--regid", user, "--init-groups"]);
    }
    command
        .arg("--")
        .arg(&recipe.program)
        .args(&recipe.arguments)
        .envs(recipe.environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(log()?)
        .stderr(log()?)
        .spawn()
        .with_context(|| format!("cannot start {}", recipe.name))
}
