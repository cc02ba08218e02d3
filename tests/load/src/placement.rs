//! On which processors the lab's processes run.

use std::fs;

use nix::{
    errno::Errno,
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use crate::processor::{Process, processes};

/// The program of a domain controller.
const DOMAIN_CONTROLLER: &str = "samba";

/// The processors this process may use, and how they are shared out.
pub(crate) struct Processors(Vec<usize>);

impl Processors {
    pub(crate) fn of_this_machine() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        Ok(Self(
            (0..CpuSet::count())
                .filter(|processor| allowed.is_set(*processor).unwrap_or(false))
                .collect(),
        ))
    }

    /// Half of the processors for the domain controllers, the others for everything else, as where domain controllers are
    /// machines of their own. `false` where there is only one.
    pub(crate) fn part(&self, lab: &lab::Lab) -> anyhow::Result<bool> {
        let (theirs, ours) = self.0.split_at(self.0.len() / 2);
        if theirs.is_empty() {
            return Ok(false);
        }
        for process in processes(lab)? {
            let place = if process.program == DOMAIN_CONTROLLER {
                theirs
            } else {
                ours
            };
            keep(&process, place)?;
        }
        Ok(true)
    }

    /// Everything on all of them.
    pub(crate) fn share(&self, lab: &lab::Lab) -> anyhow::Result<()> {
        for process in processes(lab)? {
            keep(&process, &self.0)?;
        }
        Ok(())
    }
}

/// Threads and children started later inherit it (sched_setaffinity(2)).
fn keep(process: &Process, processors: &[usize]) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    for processor in processors {
        set.set(*processor)?;
    }
    let Ok(threads) = fs::read_dir(format!("/proc/{}/task", process.pid)) else {
        return Ok(()); // it has ended meanwhile
    };
    for thread in threads.flatten() {
        let Some(thread) = thread.file_name().to_str().and_then(|id| id.parse().ok()) else {
            continue;
        };
        match sched_setaffinity(Pid::from_raw(thread), &set) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
