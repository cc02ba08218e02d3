//! Active Directory forests, one Samba domain controller each: two from the start, and one that can be added.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::process::Command;

use crate::certificates;
use crate::database::run_with_input;
use crate::place::Place;
use crate::process::Recipe;
use crate::secret;

pub(crate) struct ForestPlan {
    pub(crate) id: &'static str,
    pub(crate) domain: &'static str,
    pub(crate) base_dn: &'static str,
    pub(crate) address: &'static str,
    /// How far this forest's surnames are shifted against the list, so that forests hold different people.
    surname_shift: usize,
}

pub(crate) const FORESTS: [ForestPlan; 2] = [
    ForestPlan {
        id: "corp",
        domain: "corp.example.com",
        base_dn: "DC=corp,DC=example,DC=com",
        address: "127.0.0.11",
        surname_shift: 0,
    },
    ForestPlan {
        id: "emea",
        domain: "emea.example.net",
        base_dn: "DC=emea,DC=example,DC=net",
        address: "127.0.0.12",
        surname_shift: 7,
    },
];

/// The one that `add-forest` adds.
pub(crate) const ADDED: ForestPlan = ForestPlan {
    id: "apac",
    domain: "apac.example.org",
    base_dn: "DC=apac,DC=example,DC=org",
    address: "127.0.0.13",
    surname_shift: 13,
};

const PEOPLE: &str = include_str!("../forest/people.txt");
const POPULATE: &str = include_str!("../forest/populate.py");
/// The `mS-DS-ConsistencyGuid` of the person who has an account in both forests.
const SHARED_GUID: &str = "6f1cde1a-9b0c-4bd9-9a34-1a2b3c4d5e6f";
const WRONG_PASSWORDS_TO_LOCK: usize = 6;

impl ForestPlan {
    pub(crate) fn directory(&self, place: &Place) -> PathBuf {
        place.path("forests").join(self.id)
    }

    pub(crate) fn authority(&self, place: &Place) -> PathBuf {
        self.directory(place).join("tls/ca.pem")
    }

    pub(crate) fn password_file(&self, place: &Place, account: &str) -> PathBuf {
        place.path(format!("secrets/{}-{account}", self.id))
    }

    pub(crate) fn ldaps(&self) -> String {
        format!("ldaps://{}:636", self.address)
    }

    pub(crate) fn account(&self, name: &str) -> String {
        format!("{name}@{}", self.domain)
    }

    fn people(&self) -> Vec<(String, String)> {
        let names: Vec<(&str, &str)> = PEOPLE
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect();
        let surnames = names
            .iter()
            .map(|(_, surname)| *surname)
            .cycle()
            .skip(self.surname_shift);
        names
            .iter()
            .zip(surnames)
            .map(|((given, _), surname)| ((*given).to_owned(), surname.to_owned()))
            .collect()
    }

    /// The ordinary people in scope, by user principal name.
    pub(crate) fn users(&self) -> Vec<String> {
        self.people()
            .iter()
            .map(|(given, surname)| self.account(&format!("{given}.{surname}").to_lowercase()))
            .collect()
    }

    /// Provisions and peoples it.
    pub(crate) async fn prepare(&self, place: &Place) -> anyhow::Result<()> {
        let directory = self.directory(place);
        fs::create_dir_all(&directory)?;
        let tls = certificates::make(
            &directory.join("tls"),
            &format!("{} lab CA", self.domain),
            vec![format!("dc1.{}", self.domain), self.address.to_owned()],
        )?;
        let netbios = self.id.to_uppercase();
        let settings = [
            // a /32 on the loopback interface is refused with "no network interfaces found"
            format!("interfaces = {}/8", self.address),
            "bind interfaces only = yes".to_owned(),
            "server services = ldap, cldap, kdc, dns".to_owned(),
            "ldb:nosync = true".to_owned(),
            "tls enabled = yes".to_owned(),
            format!("tls keyfile = {}", tls.key.display()),
            format!("tls certfile = {}", tls.certificate.display()),
            format!("tls cafile = {}", tls.authority.display()),
            format!("pid directory = {}", directory.join("run").display()),
            format!("ncalrpc dir = {}", directory.join("run/ncalrpc").display()),
            format!(
                "winbindd socket directory = {}",
                directory.join("run/winbindd").display()
            ),
            format!(
                "ntp signd socket directory = {}",
                directory.join("run/ntp").display()
            ),
            format!("log file = {}", directory.join("log.samba").display()),
            "vfs objects = dfs_samba4 acl_xattr xattr_tdb".to_owned(),
        ];
        fs::create_dir_all(directory.join("run"))?;
        let mut provision = Command::new("samba-tool");
        provision.args([
            "domain",
            "provision",
            "--server-role=dc",
            "--dns-backend=SAMBA_INTERNAL",
            "--use-rfc2307",
        ]);
        provision
            .arg(format!("--realm={}", self.domain.to_uppercase()))
            .arg(format!("--domain={netbios}"));
        provision.args(["--host-name=dc1", &format!("--host-ip={}", self.address)]);
        provision.arg(format!("--targetdir={}", directory.display()));
        // without --adminpass it makes a random password, which nobody learns; ours is set from
        // within, for a command line is there for every process to read
        provision.args(
            settings
                .iter()
                .map(|setting| format!("--option={}", setting.replacen(" = ", "=", 1))),
        );
        run_with_input(provision, "", "samba-tool domain provision").await?;
        self.populate(place).await
    }

    /// Its domain controller, once it is prepared.
    pub(crate) fn domain_controller(&self, place: &Place) -> Recipe {
        Recipe {
            name: self.domain_controller_name(),
            user: None,
            program: "samba".into(),
            arguments: vec![
                "--foreground".into(),
                "--no-process-group".into(),
                "--configfile".into(),
                self.directory(place).join("etc/smb.conf").into(),
                // provisioning does not carry this one into smb.conf, and an hour's grace for the
                // old password would make every proof by sign-in worthless
                "--option=old password allowed period = 0".into(),
            ],
            environment: Vec::new(),
            log: place.log(&self.domain_controller_name()),
            stop_signal: Signal::SIGTERM,
            admin: None,
        }
    }

    pub(crate) fn domain_controller_name(&self) -> String {
        format!("samba-{}", self.id)
    }

    async fn populate(&self, place: &Place) -> anyhow::Result<()> {
        let people: Vec<_> = self
            .people()
            .into_iter()
            .map(|(given, surname)| json!({ "givenName": given, "surname": surname }))
            .collect();
        let plan = json!({
            "smbConf": self.directory(place).join("etc/smb.conf"),
            "suffix": self.domain,
            "people": people,
            "administratorPassword": secret::password(&self.password_file(place, "administrator"))?,
            "peoplePassword": secret::password(&self.password_file(place, "people"))?,
            "servicePassword": secret::password(&self.password_file(place, "svc-writeback"))?,
            "readerPassword": secret::password(&self.password_file(place, "svc-writeback-read"))?,
            "sharedGuid": SHARED_GUID,
        });
        // Samba's Python modules belong to the system's interpreter, whatever else is first on the PATH
        let mut python = Command::new("/usr/bin/python3");
        python.args(["-c", POPULATE]);
        run_with_input(python, &plan.to_string(), "peopling the forest").await
    }

    pub(crate) async fn answers(&self, place: &Place) -> bool {
        let file = self.password_file(place, "administrator");
        self.opens(
            place,
            "administrator",
            &["-y".into(), file.display().to_string()],
        )
        .await
        .is_ok_and(|bound| bound)
    }

    /// Locks the person the way it happens: by wrong passwords.
    pub(crate) async fn lock(&self, place: &Place) -> anyhow::Result<()> {
        for _ in 0..WRONG_PASSWORDS_TO_LOCK {
            if self
                .opens(
                    place,
                    "leo.locked",
                    &["-w".into(), "not the password".into()],
                )
                .await?
            {
                bail!("a wrong password opened leo.locked in {}", self.id);
            }
        }
        let file = self.password_file(place, "people");
        if self
            .opens(
                place,
                "leo.locked",
                &["-y".into(), file.display().to_string()],
            )
            .await?
        {
            bail!(
                "leo.locked in {} is not locked after {WRONG_PASSWORDS_TO_LOCK} wrong passwords",
                self.id
            );
        }
        Ok(())
    }

    /// Whether a simple bind over LDAPS succeeds.
    async fn opens(
        &self,
        place: &Place,
        account: &str,
        password: &[String],
    ) -> anyhow::Result<bool> {
        let mut command = Command::new("ldapsearch");
        command
            .args([
                "-x",
                "-o",
                "nettimeout=3",
                "-H",
                &self.ldaps(),
                "-D",
                &self.account(account),
            ])
            .args(password);
        command.args(["-LLL", "-s", "base", "-b", "", "currentTime"]);
        command
            .env("LDAPTLS_CACERT", self.authority(place))
            .env("LDAPTLS_REQCERT", "demand");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let status = tokio::time::timeout(Duration::from_secs(10), command.status())
            .await
            .context("ldapsearch takes too long")?
            .context("cannot start ldapsearch")?;
        Ok(status.success())
    }
}
