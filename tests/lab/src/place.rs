//! Where the lab lives: its folder, its addresses.

use std::path::{Path, PathBuf};

use anyhow::Context;

pub(crate) const AMQP_PORT: u16 = 5680;
pub(crate) const MANAGEMENT_PORT: u16 = 15680;
pub(crate) const BROKER_METRICS_PORT: u16 = 15692;
pub(crate) const ERLANG_DISTRIBUTION_PORT: u16 = 25680;
pub(crate) const ERLANG_NAMES_PORT: u16 = 4380;
pub(crate) const POSTGRES_PORT: u16 = 5480;
pub(crate) const AUDIT_PORTS: [u16; 2] = [9501, 9502];
pub(crate) const INTAKE_PORTS: [u16; 2] = [8081, 8082];
pub(crate) const FIRST_ADMIN_PORT: u16 = 9101;
/// Where the services send their traces; whoever wants to see them listens there.
pub const TRACES_PORT: u16 = 4347;

#[derive(Debug, Clone)]
pub struct Place {
    repository: PathBuf,
    programs: PathBuf,
}

impl Place {
    /// The repository this binary was built from.
    pub fn of_this_repository() -> anyhow::Result<Self> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()
            .context("the repository this lab was built from is gone")?;
        let program = std::env::current_exe().context("it cannot be told where this program is")?;
        let programs = program
            .ancestors()
            .skip(1)
            // Cargo puts tests and examples into folders of their own below the programs'
            .find(|folder| !folder.ends_with("deps") && !folder.ends_with("examples"))
            .context("this program is in no folder")?
            .to_owned();
        Ok(Self {
            repository,
            programs,
        })
    }

    pub fn repository(&self) -> &Path {
        &self.repository
    }

    pub fn directory(&self) -> PathBuf {
        self.repository.join("target/lab")
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory().join(name)
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.directory().join("log").join(format!("{name}.log"))
    }

    /// A service's program: beside our own, so that a lab built for release runs services built for release.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    pub fn description(&self) -> PathBuf {
        self.path("lab.json")
    }

    /// What `add-forest` and `remove-forest` ask of the supervisor.
    pub(crate) fn wanted(&self) -> PathBuf {
        self.path("wanted.json")
    }

    pub(crate) fn supervisor_pid(&self) -> PathBuf {
        self.path("supervisor.pid")
    }
}
