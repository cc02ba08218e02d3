//! A forest of many migrated people beside the lab's: made once, then kept.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, ensure};
use lab::{Place, certificates};

pub(crate) const DOMAIN: &str = "migrated.example.org";
pub(crate) const BASE_DN: &str = "DC=migrated,DC=example,DC=org";
const ADDRESS: &str = "127.0.0.21";
const POPULATE: &str = include_str!("populate.py");

pub(crate) struct Forest {
    folder: PathBuf,
}

/// A running process, stopped when it is dropped.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

impl Forest {
    pub(crate) fn of(people: usize) -> anyhow::Result<Self> {
        let place = Place::of_this_repository()?;
        let folder = place.repository().join(format!("target/anchors-{people}"));
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn complete(&self) -> PathBuf {
        self.path("complete")
    }

    /// Makes the forest unless it is there.
    pub(crate) fn prepare(&self, people: usize) -> anyhow::Result<()> {
        if self.complete().exists() {
            return Ok(());
        }
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(&self.folder)?;
        let tls = certificates::make(
            &self.path("tls"),
            "migrated people CA",
            vec![format!("dc1.{DOMAIN}"), ADDRESS.to_owned()],
        )?;
        let password = fresh_password();
        fs::write(self.path("reader"), &password)?;
        fs::write(self.path("administrator"), fresh_password())?;
        let run = self.path("run");
        fs::create_dir_all(&run)?;
        let settings = [
            format!("interfaces={ADDRESS}/8"),
            "bind interfaces only=yes".to_owned(),
            "server services=ldap".to_owned(),
            "ldb:nosync=true".to_owned(),
            "tls enabled=yes".to_owned(),
            format!("tls keyfile={}", tls.key.display()),
            format!("tls certfile={}", tls.certificate.display()),
            format!("tls cafile={}", tls.authority.display()),
            format!("pid directory={}", run.display()),
            format!("ncalrpc dir={}", run.join("ncalrpc").display()),
            format!("log file={}", self.path("log.samba").display()),
        ];
        let mut provision = Command::new("samba-tool");
        provision
            .args([
                "domain",
                "provision",
                "--server-role=dc",
                "--dns-backend=NONE",
            ])
            .args([
                format!("--realm={}", DOMAIN.to_uppercase()),
                "--domain=MIGRATED".to_owned(),
                "--host-name=dc1".to_owned(),
                format!("--host-ip={ADDRESS}"),
                format!("--targetdir={}", self.folder.display()),
                format!("--adminpass={}", self.administrator_password()?),
            ])
            .args(settings.iter().map(|setting| format!("--option={setting}")))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        println!("a forest for {people} migrated people is made");
        ensure!(
            provision.status()?.success(),
            "samba-tool domain provision failed"
        );
        let plan = serde_json::json!({
            "smbConf": self.path("etc/smb.conf"),
            "suffix": DOMAIN,
            "count": people,
            "readerPassword": password,
        });
        // Samba's Python modules belong to the system's interpreter
        let mut python = Command::new("/usr/bin/python3")
            .args(["-c", POPULATE])
            .stdin(Stdio::piped())
            .spawn()?;
        python
            .stdin
            .take()
            .context("no standard input")?
            .write_all(plan.to_string().as_bytes())?;
        ensure!(python.wait()?.success(), "peopling the forest failed");
        fs::write(self.complete(), b"")?;
        Ok(())
    }

    pub(crate) fn start(&self) -> anyhow::Result<Running> {
        let child = Command::new("samba")
            .args(["--foreground", "--no-process-group", "--configfile"])
            .arg(self.path("etc/smb.conf"))
            .stdin(Stdio::null())
            .stdout(fs::File::create(self.path("samba.log"))?)
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start samba")?;
        Ok(Running(child))
    }

    /// A writer for the forest, with the broker's administrator for its account there.
    pub(crate) fn start_writer(&self, lab: &lab::Lab) -> anyhow::Result<Running> {
        let url = url::Url::parse(&lab.rabbitmq.amqp)?;
        let password = self.path("broker");
        fs::write(&password, url.password().unwrap_or_default())?;
        let place = Place::of_this_repository()?;
        let child = Command::new(place.repository().join("target/debug/writeback-writer"))
            .arg("--config")
            .arg(place.directory().join("config.toml"))
            .env("WRITEBACK_WRITER__FOREST", "migrated")
            .env("WRITEBACK_SERVICE__NAME", "writer-migrated-1")
            .env("WRITEBACK_SERVICE__ADMIN_LISTEN", "127.0.0.1:0")
            .env("WRITEBACK_BROKER__USERNAME", url.username())
            .env("WRITEBACK_BROKER__PASSWORD_FILE", password)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.path("writer.log"))?)
            .spawn()
            .context("cannot start the writer")?;
        Ok(Running(child))
    }

    fn administrator_password(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.path("administrator"))?)
    }

    fn authority(&self) -> PathBuf {
        self.path("tls/ca.pem")
    }

    fn ldaps() -> String {
        format!("ldaps://{ADDRESS}:636")
    }

    /// What the services are told of it.
    pub(crate) fn configuration(&self) -> String {
        let quoted = |path: &Path| format!("{:?}", path.display().to_string());
        format!(
            "\n[[forests]]\nid = \"migrated\"\nca_file = {}\naccount = \"Administrator@{DOMAIN}\"\n\
             account_password_file = {}\nreader_account = \"svc-writeback-read@{DOMAIN}\"\n\
             reader_account_password_file = {}\n\n[[forests.domains]]\nname = \"{DOMAIN}\"\ndomain_controllers = [\"{}\"]\n",
            quoted(&self.authority()),
            quoted(&self.path("administrator")),
            quoted(&self.path("reader")),
            Self::ldaps(),
        )
    }

    /// The forest as the lab would describe it.
    pub(crate) fn described(&self) -> anyhow::Result<lab::Forest> {
        Ok(lab::Forest {
            id: "migrated".to_owned(),
            domain: DOMAIN.to_owned(),
            ldaps: Self::ldaps(),
            known_as: Self::ldaps(),
            ca: self.authority(),
            base_dn: BASE_DN.to_owned(),
            administrator: format!("Administrator@{DOMAIN}"),
            administrator_password: self.administrator_password()?,
            service_account: format!("svc-writeback-read@{DOMAIN}"),
            users: Vec::new(),
            out_of_scope_ou: String::new(),
        })
    }
}

/// The forest outlives the lab, and so do its passwords: they are not for the lab's record.
fn fresh_password() -> String {
    format!("Mig-{}-7q", uuid::Uuid::new_v4().simple())
}
