//! What the services write into their logs while something is disturbed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
};

use anyhow::{Context as _, ensure};
use lab::{Lab, Place};
use serde_json::Value;

/// A state that begins, ends and begins again is told again: the broker takes connections and loses them
/// while it starts.
const AT_MOST: usize = 3;

/// How far each service's log had come.
pub(crate) struct Logs(BTreeMap<String, (PathBuf, u64)>);

impl Logs {
    pub(crate) fn from_now_on() -> anyhow::Result<Self> {
        let place = Place::of_this_repository()?;
        let mut logs = BTreeMap::new();
        for service in Lab::load()?.services {
            let path = place.log(&service.name);
            let length = fs::metadata(&path)
                .with_context(|| path.display().to_string())?
                .len();
            logs.insert(service.name, (path, length));
        }
        Ok(Self(logs))
    }

    /// The lines since, with the services that wrote them.
    pub(crate) fn lines(&self) -> anyhow::Result<Vec<(String, Value)>> {
        let mut lines = Vec::new();
        for (service, (path, from)) in &self.0 {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(*from))?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            let parsed = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            lines.extend(parsed.map(|line| (service.clone(), line)));
        }
        ensure!(!lines.is_empty(), "nobody wrote anything");
        Ok(lines)
    }

    /// Each service has told of each state once, and not again and again while it lasted; of one operation's
    /// state once for each.
    pub(crate) fn tell_each_state_once(&self) -> anyhow::Result<()> {
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        for (service, line) in self.lines()? {
            ensure!(
                !line["target"]
                    .as_str()
                    .unwrap_or_default()
                    .starts_with("lapin"),
                "{service}: {line}"
            );
            if matches!(line["level"].as_str(), Some("WARN" | "ERROR")) {
                let of = [
                    "message",
                    "connection",
                    "queue",
                    "operation_id",
                    "controller",
                    "endpoint",
                ];
                let state = of.map(|member| line[member].to_string()).join(" ");
                *states.entry(format!("{service}: {state}")).or_default() += 1;
            }
        }
        states.retain(|_, times| *times > AT_MOST);
        ensure!(states.is_empty(), "told again and again: {states:#?}");
        Ok(())
    }

    /// The lines with this message.
    pub(crate) fn with_message(&self, message: &str) -> anyhow::Result<Vec<(String, Value)>> {
        let mut lines = self.lines()?;
        lines.retain(|(_, line)| line["message"] == message);
        Ok(lines)
    }
}
