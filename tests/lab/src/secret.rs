//! The lab's files: passwords made for one of its lives, which only their readers can open, and what anybody may read.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;

/// Writes a file that only its owner reads, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    write(path, content, 0o600, None)
}

/// Writes a file that holds no secret, whole or not at all.
pub(crate) fn write_public(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    write(path, content, 0o644, None)
}

/// Writes a file for whoever started the lab, through sudo or not, and for nobody else.
pub(crate) fn write_for_the_caller(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let number = |name| std::env::var(name).ok()?.parse().ok();
    let caller = number("SUDO_UID").zip(number("SUDO_GID"));
    write(path, content, 0o600, caller)
}

fn write(path: &Path, content: &[u8], mode: u32, owner: Option<(u32, u32)>) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&unfinished)?;
        file.write_all(content)?;
        if let Some((user, group)) = owner {
            std::os::unix::fs::fchown(&file, Some(user), Some(group))?;
        }
        fs::rename(&unfinished, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// The password in this file, made on first use. It satisfies Active Directory's complexity rule.
pub(crate) fn password(path: &Path) -> anyhow::Result<String> {
    if let Ok(existing) = fs::read_to_string(path) {
        return Ok(existing.trim_end().to_owned());
    }
    let mut random = [0_u8; 15];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| anyhow::anyhow!("no randomness"))?;
    let password = format!("Lab-{}-9z", hex::encode(random));
    write_private(path, password.as_bytes())?;
    Ok(password)
}
