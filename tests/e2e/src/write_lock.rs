//! A domain controller that stands still in the middle of a write, and carries it out later.

use std::{fs, process::Stdio};

use anyhow::{Context as _, ensure};
use lab::Place;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::forest::{DomainController, PATIENCE};

const PROGRAM: &str = include_str!("write_lock.py");

/// Until it is dropped, nothing is written in the forest, and what was sent meanwhile is written then.
pub struct WriteLock(Child);

impl WriteLock {
    /// The processes that wait for it.
    pub fn waited_for_by(&self) -> anyhow::Result<Vec<u32>> {
        let holder = self.0.id().context("it has ended")?.to_string();
        let locks = fs::read_to_string("/proc/locks")?;
        let mut is_held_by_us = false;
        let mut waiting = Vec::new();
        // proc_locks(5): "1: POSIX ADVISORY WRITE 123 …", and after it with "->" who waits for that
        for line in locks.lines() {
            let mut words = line.split_whitespace().skip(1);
            let first = words.next();
            let blocked = first == Some("->");
            let process = words.nth(if blocked { 3 } else { 2 });
            if !blocked {
                is_held_by_us = process == Some(holder.as_str());
            } else if is_held_by_us && let Some(process) = process {
                waiting.push(process.parse()?);
            }
        }
        Ok(waiting)
    }
}

impl DomainController {
    pub async fn hold_writes(&self) -> anyhow::Result<WriteLock> {
        let place = Place::of_this_repository()?;
        let configuration = place.path("forests").join(self.id()).join("etc/smb.conf");
        // Samba's Python modules belong to the system's interpreter, whatever else is first on the PATH
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.as_mut().context("no standard input")?;
        let line = format!("{}\n", configuration.display());
        stdin.write_all(line.as_bytes()).await?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut told = BufReader::new(stdout).lines();
        let line = timeout(PATIENCE, told.next_line())
            .await
            .context("the database's lock is not to be had")??;
        ensure!(line.as_deref() == Some("held"), "{line:?}");
        Ok(WriteLock(child))
    }
}
