//! Processor time by program: unlike rates it does not change with whatever else the machine does.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    time::Duration,
};

use anyhow::Context as _;
use nix::unistd::{SysconfVar, sysconf};

/// The processor time every program of the lab, and this one, has used so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Used(BTreeMap<String, u64>);

/// A process of the lab, or this one.
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// What the supervisor started, and this process descends from.
    pub(crate) program: String,
    ticks: u64,
}

struct Stat {
    parent: u32,
    /// Its own and that of children that have ended, in clock ticks.
    ticks: u64,
}

impl Used {
    /// Of all processes under the lab's supervisor, each under the name of the program that it started.
    pub(crate) fn so_far(lab: &lab::Lab) -> anyhow::Result<Self> {
        let mut used = BTreeMap::new();
        for process in processes(lab)? {
            *used.entry(process.program).or_insert(0) += process.ticks;
        }
        Ok(Self(used))
    }

    /// What was used between an earlier moment and this one.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self(
            self.0
                .iter()
                .map(|(program, ticks)| {
                    let before = earlier.0.get(program).copied().unwrap_or(0);
                    (program.clone(), ticks.saturating_sub(before))
                })
                .collect(),
        )
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (program, ticks) in &other.0 {
            *self.0.entry(program.clone()).or_insert(0) += ticks;
        }
    }

    /// By program.
    pub(crate) fn times(&self) -> anyhow::Result<BTreeMap<String, Duration>> {
        let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
        let tick = Duration::from_secs(1) / u32::try_from(per_second)?;
        self.0
            .iter()
            .map(|(program, ticks)| Ok((program.clone(), tick * u32::try_from(*ticks)?)))
            .collect()
    }
}

/// All processes under the lab's supervisor, and this one.
pub(crate) fn processes(lab: &lab::Lab) -> anyhow::Result<Vec<Process>> {
    let mut stats = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // a process may end while we look
        if let Some(stat) = fs::read_to_string(format!("/proc/{pid}/stat"))
            .ok()
            .and_then(|stat| parse(&stat))
        {
            stats.insert(pid, stat);
        }
    }
    let service = lab.services.first().context("the lab runs no service")?;
    let supervisor = stats
        .get(&service.pid)
        .context("the first service has ended")?
        .parent;
    let found = stats.iter().filter_map(|(pid, stat)| {
        let top = if *pid == std::process::id() {
            *pid
        } else {
            below(&stats, *pid, supervisor)?
        };
        let program = fs::read_link(format!("/proc/{top}/exe"))
            .ok()
            .and_then(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .unwrap_or_default();
        Some(Process {
            pid: *pid,
            program,
            ticks: stat.ticks,
        })
    });
    Ok(found.collect())
}

/// The process right below the supervisor that this one descends from.
fn below(stats: &HashMap<u32, Stat>, mut pid: u32, supervisor: u32) -> Option<u32> {
    loop {
        let parent = stats.get(&pid)?.parent;
        if parent == supervisor {
            return Some(pid);
        }
        pid = parent;
    }
}

/// Fields 4 and 14 to 17 of `stat` (proc(5)), counted after the name in parentheses.
fn parse(stat: &str) -> Option<Stat> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = fields
        .get(11..15)?
        .iter()
        .map(|field| field.parse::<u64>())
        .sum::<Result<u64, _>>()
        .ok()?;
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_children_that_have_ended() {
        let stat = "77 (a) S 1 (b) R 5 77 77 0 -1 4194560 1 0 0 0 10 20 300 4000 20 0 9 0 12345 1";
        let stat = parse(stat).unwrap();
        assert_eq!((stat.parent, stat.ticks), (5, 4330));
        assert!(parse("77 (short) R 5").is_none());
    }

    #[test]
    fn finds_the_program_that_the_supervisor_started() {
        let of = |pid, parent| (pid, Stat { parent, ticks: 0 });
        let stats = HashMap::from([of(1, 0), of(9, 1), of(20, 9), of(21, 20), of(22, 21)]);
        assert_eq!(below(&stats, 22, 9), Some(20));
        assert_eq!(below(&stats, 20, 9), Some(20));
        assert_eq!(below(&stats, 9, 9), None);
    }
}
