//! Active Directory domains, one Samba domain controller each: the first domains of two forests from the start, and
//! those that can be added.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use rcgen::ExtendedKeyUsagePurpose;
use serde_json::json;
use tokio::process::Command;

use crate::certificates::{Authority, ServerCertificate};
use crate::database::run_with_input;
use crate::place::Place;
use crate::process::Recipe;
use crate::second;
use crate::secret;

/// A domain; most are the only one of their forest.
pub(crate) struct ForestPlan {
    /// Names its folder, its processes and its NetBIOS domain; of a forest's first domain it is the forest's id.
    pub(crate) id: &'static str,
    /// The forest that it belongs to.
    pub(crate) forest: &'static str,
    pub(crate) domain: &'static str,
    pub(crate) base_dn: &'static str,
    pub(crate) address: &'static str,
    /// How far this forest's surnames are shifted against the list, so that forests hold different people.
    surname_shift: usize,
    minimum_password_length: u8,
    /// The one unit in scope; if none is named, all but the contractors.
    scope: Option<&'static str>,
}

const MINIMUM_PASSWORD_LENGTH: u8 = 8;

pub(crate) const FORESTS: [ForestPlan; 2] = [
    ForestPlan {
        id: "corp",
        forest: "corp",
        domain: "corp.example.com",
        base_dn: "DC=corp,DC=example,DC=com",
        address: "127.0.0.11",
        surname_shift: 0,
        minimum_password_length: MINIMUM_PASSWORD_LENGTH,
        scope: None,
    },
    ForestPlan {
        id: "emea",
        forest: "emea",
        domain: "emea.example.net",
        base_dn: "DC=emea,DC=example,DC=net",
        address: "127.0.0.12",
        surname_shift: 7,
        minimum_password_length: MINIMUM_PASSWORD_LENGTH,
        scope: None,
    },
];

/// The one that `add-forest` adds.
pub(crate) const ADDED: ForestPlan = ForestPlan {
    id: "apac",
    forest: "apac",
    domain: "apac.example.org",
    base_dn: "DC=apac,DC=example,DC=org",
    address: "127.0.0.13",
    surname_shift: 13,
    minimum_password_length: MINIMUM_PASSWORD_LENGTH,
    scope: None,
};

/// The further domains of the first forest that `add-domains` adds: a child, and a tree with another suffix. To Samba
/// each is a forest of its own, for it can neither make nor join a second domain of a forest. What is true of them all
/// the same: one forest's id, keys, queue and account, several domains with a controller, a policy and a scope each.
pub(crate) const FURTHER_DOMAINS: [ForestPlan; 2] = [
    ForestPlan {
        id: "child",
        forest: "corp",
        domain: "child.corp.example.com",
        base_dn: "DC=child,DC=corp,DC=example,DC=com",
        address: "127.0.0.14",
        surname_shift: 17,
        minimum_password_length: 12,
        scope: None,
    },
    ForestPlan {
        id: "tree",
        forest: "corp",
        domain: "corp-tree.test",
        base_dn: "DC=corp-tree,DC=test",
        address: "127.0.0.15",
        surname_shift: 23,
        minimum_password_length: MINIMUM_PASSWORD_LENGTH,
        scope: Some("People"),
    },
];

/// What a domain controller's smb.conf says besides its domain.
pub(crate) fn settings(
    directory: &Path,
    address: &str,
    tls: &ServerCertificate,
    services: &str,
) -> Vec<String> {
    let run = |name: &str| directory.join("run").join(name).display().to_string();
    vec![
        // a /32 on the loopback interface is refused with "no network interfaces found"
        format!("interfaces = {address}/8"),
        "bind interfaces only = yes".to_owned(),
        format!("server services = {services}"),
        "ldb:nosync = true".to_owned(),
        "tls enabled = yes".to_owned(),
        format!("tls keyfile = {}", tls.key.display()),
        format!("tls certfile = {}", tls.certificate.display()),
        format!("tls cafile = {}", tls.authority.display()),
        format!("pid directory = {}", run("")),
        format!("ncalrpc dir = {}", run("ncalrpc")),
        format!("winbindd socket directory = {}", run("winbindd")),
        format!("ntp signd socket directory = {}", run("ntp")),
        format!("log file = {}", directory.join("log.samba").display()),
        "vfs objects = dfs_samba4 acl_xattr xattr_tdb".to_owned(),
    ]
}

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

    /// The first domain of its forest, whose accounts serve in every domain of it.
    pub(crate) fn first(&self) -> &Self {
        FORESTS
            .iter()
            .find(|plan| plan.id == self.forest)
            .unwrap_or(self)
    }

    pub(crate) fn included(&self) -> String {
        self.scope.map_or_else(
            || self.base_dn.to_owned(),
            |unit| format!("OU={unit},{}", self.base_dn),
        )
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

    /// The domain controller as services know it that find it by DNS.
    pub(crate) fn announced_ldaps(&self) -> String {
        format!("ldaps://dc1.{}:636", self.domain)
    }

    /// Provisions and peoples it.
    pub(crate) async fn prepare(&self, place: &Place) -> anyhow::Result<()> {
        let directory = self.directory(place);
        fs::create_dir_all(&directory)?;
        let authority =
            Authority::make(&directory.join("tls"), &format!("{} lab CA", self.domain))?;
        let tls = authority.certify(
            "server",
            vec![format!("dc1.{}", self.domain), self.address.to_owned()],
            ExtendedKeyUsagePurpose::ServerAuth,
        )?;
        second::certify(&authority, self)?;
        let netbios = self.id.to_uppercase();
        let settings = settings(
            &directory,
            self.address,
            &tls,
            "rpc, ldap, cldap, kdc, dns, drepl",
        );
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
        let first = self.first();
        let plan = json!({
            "smbConf": self.directory(place).join("etc/smb.conf"),
            "suffix": self.domain,
            "serviceSuffix": first.domain,
            "minimumPasswordLength": self.minimum_password_length,
            "people": people,
            "administratorPassword": secret::password(&self.password_file(place, "administrator"))?,
            "peoplePassword": secret::password(&self.password_file(place, "people"))?,
            "servicePassword": secret::password(&first.password_file(place, "svc-writeback"))?,
            "readerPassword": secret::password(&first.password_file(place, "svc-writeback-read"))?,
            "sharedGuid": (self.id == self.forest).then_some(SHARED_GUID),
        });
        // Samba's Python modules belong to the system's interpreter, whatever else is first on the PATH
        let mut python = Command::new("/usr/bin/python3");
        python.args(["-c", POPULATE]);
        run_with_input(python, &plan.to_string(), "peopling the forest").await
    }

    pub(crate) async fn answers(&self, place: &Place) -> bool {
        self.answers_at(place, &self.ldaps()).await
    }

    pub(crate) async fn answers_at(&self, place: &Place, ldaps: &str) -> bool {
        let file = self.password_file(place, "administrator");
        self.opens_at(
            ldaps,
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

    async fn opens(
        &self,
        place: &Place,
        account: &str,
        password: &[String],
    ) -> anyhow::Result<bool> {
        self.opens_at(&self.ldaps(), place, account, password).await
    }

    /// Whether a simple bind over LDAPS succeeds.
    async fn opens_at(
        &self,
        ldaps: &str,
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
                ldaps,
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
