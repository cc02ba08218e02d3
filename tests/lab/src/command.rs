//! `up` and `down`.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::description::{Lab, Service};
use crate::place::Place;
use crate::secret;

const UP_PATIENCE: Duration = Duration::from_mins(4);
const DOWN_PATIENCE: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(250);

/// Starts the lab, or finds it running, and returns when every service is ready.
pub async fn up(place: &Place, infrastructure_only: bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    if !nix::unistd::geteuid().is_root() {
        bail!("the lab's domain controllers need ports below 1024: run it as root or through sudo");
    }
    let mut supervisor = match running_supervisor(place) {
        None => Supervisor::Child(start_supervisor(place, infrastructure_only)?),
        Some(pid) => {
            println!("lab: already running");
            Supervisor::Stranger(pid)
        }
    };
    let mut progress = match supervisor {
        Supervisor::Child(_) => Progress::from_the_start(&place.log("supervisor")),
        Supervisor::Stranger(_) => Progress::from_now_on(&place.log("supervisor")),
    }
    .context("the supervisor has no log")?;
    loop {
        progress.show()?;
        if !supervisor.runs()? {
            progress.show()?;
            bail!(
                "the lab could not start; see {}",
                place.directory().join("log").display()
            );
        }
        let waiting = waiting_for(place).await;
        if waiting.as_ref().is_some_and(Vec::is_empty) {
            break;
        }
        if begun.elapsed() > UP_PATIENCE {
            let names =
                waiting.map_or_else(|| "the infrastructure".to_owned(), |names| names.join(", "));
            bail!(
                "not ready after {} s: {names}; see {}",
                UP_PATIENCE.as_secs(),
                place.path("log").display()
            );
        }
        tokio::time::sleep(TICK).await;
    }
    progress.show()?;
    println!(
        "lab: {:5.1} s  ready: {}",
        begun.elapsed().as_secs_f32(),
        place.description().display()
    );
    Ok(())
}

/// Stops the lab; nothing to do is fine.
pub async fn down(place: &Place) -> anyhow::Result<()> {
    let Some(pid) = running_supervisor(place) else {
        println!("lab: not running");
        return Ok(());
    };
    let begun = Instant::now();
    kill(pid, Signal::SIGTERM).context("cannot stop the lab")?;
    while running_supervisor(place).is_some() {
        if begun.elapsed() > DOWN_PATIENCE {
            println!("lab: does not stop, killing it");
            kill(pid, Signal::SIGKILL).context("cannot kill the lab")?;
            break;
        }
        tokio::time::sleep(TICK).await;
    }
    println!("lab: {:5.1} s  stopped", begun.elapsed().as_secs_f32());
    Ok(())
}

/// The supervisor, as whoever waits for the lab knows it.
enum Supervisor {
    /// Started here. Only its own exit tells that it ended: while it executes its program,
    /// `/proc` shows an empty command line for a moment.
    Child(Child),
    /// Found running.
    Stranger(Pid),
}

impl Supervisor {
    fn runs(&mut self) -> anyhow::Result<bool> {
        Ok(match self {
            Self::Child(child) => child.try_wait()?.is_none(),
            Self::Stranger(pid) => is_supervisor(*pid),
        })
    }
}

/// The running supervisor, told from a stranger that was given its number since.
pub(crate) fn running_supervisor(place: &Place) -> Option<Pid> {
    let number: i32 = fs::read_to_string(place.supervisor_pid())
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let pid = Pid::from_raw(number);
    is_supervisor(pid).then_some(pid)
}

fn is_supervisor(pid: Pid) -> bool {
    if kill(pid, None) == Err(Errno::ESRCH) {
        return false;
    }
    fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|command_line| command_line.windows(9).any(|window| window == b"supervise"))
}

fn start_supervisor(place: &Place, infrastructure_only: bool) -> anyhow::Result<Child> {
    let directory = place.directory();
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot clear {}", directory.display()))?;
    }
    fs::create_dir_all(directory.join("log"))?;
    let log = File::create(place.log("supervisor"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("supervise");
    if infrastructure_only {
        command.arg("--infrastructure-only");
    }
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir("/")
        .spawn()
        .context("cannot start the supervisor")?;
    secret::write_public(&place.supervisor_pid(), child.id().to_string().as_bytes())?;
    Ok(child)
}

/// The services that are not ready; none at all while the lab has not described itself.
pub(crate) async fn waiting_for(place: &Place) -> Option<Vec<String>> {
    let lab = Lab::load_from(place).ok()?;
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(2))
        .build()
        .ok()?;
    let mut waiting = Vec::new();
    for Service { name, admin, .. } in lab.services {
        let answer = client.get(format!("{admin}/readyz")).send().await;
        if !answer.is_ok_and(|answer| answer.status().is_success()) {
            waiting.push(name);
        }
    }
    Some(waiting)
}

/// Shows what the supervisor says, as it says it.
struct Progress {
    log: File,
    shown: u64,
}

impl Progress {
    fn from_the_start(log: &Path) -> std::io::Result<Self> {
        let log = File::open(log)?;
        Ok(Self { log, shown: 0 })
    }

    /// Of a lab that runs: what it has been through is no news.
    fn from_now_on(log: &Path) -> std::io::Result<Self> {
        let log = File::open(log)?;
        let shown = log.metadata()?.len();
        Ok(Self { log, shown })
    }

    fn show(&mut self) -> anyhow::Result<()> {
        print!("{}", self.news()?);
        Ok(())
    }

    fn news(&mut self) -> anyhow::Result<String> {
        self.log.seek(SeekFrom::Start(self.shown))?;
        let mut text = String::new();
        self.shown += u64::try_from(self.log.read_to_string(&mut text)?)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_lab_that_runs_tells_nothing_of_its_past() {
        let path = std::env::temp_dir().join(format!("writeback-lab-{}", uuid::Uuid::now_v7()));
        let mut log = File::create(&path).unwrap();
        writeln!(log, "lab: intake-1 ended").unwrap();
        let mut all = Progress::from_the_start(&path).unwrap();
        let mut news = Progress::from_now_on(&path).unwrap();
        writeln!(log, "lab: intake-1 is back").unwrap();
        assert_eq!(news.news().unwrap(), "lab: intake-1 is back\n");
        assert_eq!(news.news().unwrap(), "");
        assert!(all.news().unwrap().starts_with("lab: intake-1 ended\n"));
        fs::remove_file(path).unwrap();
    }
}
