//! Who may do what to an object, by the hand of its forest's administrator and in Samba's own reading of it.

use std::{fmt, process::Stdio};

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::forest::{DomainController, PATIENCE};

const PROGRAM: &str = include_str!("dacl.py");

/// An object's list of entries, as SDDL writes it (MS-DTYP 2.5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dacl {
    flags: String,
    entries: Vec<String>,
}

impl Dacl {
    fn parse(sddl: &str) -> anyhow::Result<Self> {
        let text = sddl.trim().strip_prefix("D:").context("no DACL")?;
        let (flags, entries) = text.split_once('(').unwrap_or((text, ""));
        Ok(Self {
            flags: flags.to_owned(),
            entries: entries
                .trim_end_matches(')')
                .split(")(")
                .filter(|entry| !entry.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }

    /// Without the entries that hold this text.
    #[must_use]
    pub fn without(&self, text: &str) -> Self {
        let mut list = self.clone();
        list.entries.retain(|entry| !entry.contains(text));
        list
    }

    /// With this entry in front, where those that deny belong.
    #[must_use]
    pub fn with_first(&self, entry: &str) -> Self {
        let mut list = self.clone();
        list.entries.insert(0, entry.to_owned());
        list
    }

    /// Inheriting nothing; what was inherited becomes the object's own.
    #[must_use]
    pub fn blocking(&self) -> Self {
        let own = |entry: &String| {
            let mut fields: Vec<String> = entry.split(';').map(str::to_owned).collect();
            if let Some(flags) = fields.get_mut(1) {
                *flags = flags.replace("ID", "");
            }
            fields.join(";")
        };
        Self {
            flags: "PAI".to_owned(),
            entries: self.entries.iter().map(own).collect(),
        }
    }

    /// How many entries hold this text.
    pub fn count(&self, text: &str) -> usize {
        let entries = self.entries.iter();
        entries.filter(|entry| entry.contains(text)).count()
    }
}

impl fmt::Display for Dacl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "D:{}", self.flags)?;
        self.entries
            .iter()
            .try_for_each(|entry| write!(f, "({entry})"))
    }
}

impl DomainController {
    pub async fn dacl(&self, dn: &str) -> anyhow::Result<Dacl> {
        self.samba(dn, None).await
    }

    /// Returns what the domain controller then has.
    pub async fn set_dacl(&self, dn: &str, dacl: &Dacl) -> anyhow::Result<Dacl> {
        self.samba(dn, Some(dacl)).await
    }

    async fn samba(&self, dn: &str, dacl: Option<&Dacl>) -> anyhow::Result<Dacl> {
        let mut request = json!({
            "url": self.forest.ldaps.trim_end_matches(":636"),
            "ca": self.forest.ca,
            "bindDn": self.forest.administrator,
            "password": self.forest.administrator_password,
            "dn": dn,
        });
        if let (Some(dacl), Some(members)) = (dacl, request.as_object_mut()) {
            members.insert("sddl".to_owned(), dacl.to_string().into());
        }
        // Samba's Python modules belong to the system's interpreter, whatever else is first on the PATH
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(request.to_string().as_bytes()).await?;
        drop(stdin);
        let done = tokio::time::timeout(PATIENCE * 3, child.wait_with_output())
            .await
            .context("it does not end")??;
        ensure!(
            done.status.success(),
            "{dn}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        Dacl::parse(&String::from_utf8(done.stdout)?)
    }
}
