//! A second domain controller of the first forest, which can be added to the running lab: what `add-controller` and
//! `remove-controller` do. It joins as any other, and begins with all that the first one has.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use rcgen::ExtendedKeyUsagePurpose;
use tokio::process::Command;

use crate::certificates::{Authority, ServerCertificate};
use crate::configuration;
use crate::database::run_with_input;
use crate::forest::{FORESTS, ForestPlan, settings};
use crate::place::Place;
use crate::process::Recipe;
use crate::secret;
use crate::wanted::{Wanted, remove_folder, running, until};

/// The forest that can have it.
pub(crate) const OF: &ForestPlan = &FORESTS[0];
const ADDRESS: &str = "127.0.0.21";
const JOIN_TAKES_AT_MOST: Duration = Duration::from_mins(3);

fn directory(place: &Place) -> PathBuf {
    place.path("forests").join(format!("{}-dc2", OF.id))
}

fn certificate(place: &Place) -> ServerCertificate {
    let folder = OF.directory(place).join("tls");
    ServerCertificate {
        authority: folder.join("ca.pem"),
        certificate: folder.join("second.pem"),
        key: folder.join("second.key"),
    }
}

pub(crate) fn ldaps() -> String {
    format!("ldaps://{ADDRESS}:636")
}

/// While the forest's authority is at hand.
pub(crate) fn certify(authority: &Authority, forest: &ForestPlan) -> anyhow::Result<()> {
    if forest.id == OF.id {
        let names = vec![format!("dc2.{}", forest.domain), ADDRESS.to_owned()];
        authority.certify("second", names, ExtendedKeyUsagePurpose::ServerAuth)?;
    }
    Ok(())
}

/// Runs a program that must find the first controller by name and by DNS, where this machine asks another: with files
/// of its own in the place of /etc/hosts and /etc/resolv.conf.
fn as_a_neighbour(place: &Place, program: &[OsString]) -> (PathBuf, Vec<OsString>) {
    let folder = directory(place);
    let script = r#"mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@""#;
    let mut arguments: Vec<OsString> = ["--mount", "sh", "-c", script, "sh"].map(Into::into).into();
    arguments.push(folder.join("hosts").into());
    arguments.push(folder.join("resolv.conf").into());
    arguments.extend_from_slice(program);
    ("unshare".into(), arguments)
}

async fn join(place: &Place) -> anyhow::Result<()> {
    let folder = directory(place);
    fs::create_dir_all(folder.join("run"))?;
    let (domain, first) = (OF.domain, OF.address);
    fs::write(
        folder.join("hosts"),
        format!("127.0.0.1 localhost\n{first} dc1.{domain} dc1\n{ADDRESS} dc2.{domain} dc2\n"),
    )?;
    fs::write(folder.join("resolv.conf"), format!("nameserver {first}\n"))?;
    let password = secret::password(&OF.password_file(place, "administrator"))?;
    // in a file, for a command line is there for every process to read
    let credentials = folder.join("password");
    secret::write_private(&credentials, password.as_bytes())?;
    let configuration = folder.join("join.conf");
    fs::write(
        &configuration,
        format!(
            "[global]\nnetbios name = dc2\nworkgroup = {}\nrealm = {}\ninterfaces = {ADDRESS}/8\nbind interfaces only = yes\n",
            OF.id.to_uppercase(),
            domain.to_uppercase()
        ),
    )?;
    let mut program: Vec<OsString> = ["samba-tool", "domain", "join", domain, "DC"]
        .map(Into::into)
        .into();
    program.push(format!("--server=dc1.{domain}").into());
    program.push(format!("--configfile={}", configuration.display()).into());
    program.push(format!("--targetdir={}", folder.display()).into());
    program.extend(
        [
            "--username=Administrator",
            "--use-kerberos=off",
            "--dns-backend=NONE",
            "--no-dns-updates",
        ]
        .map(Into::into),
    );
    let services = "rpc, ldap, cldap, kdc, drepl";
    for setting in settings(&folder, ADDRESS, &certificate(place), services) {
        program.push(format!("--option={}", setting.replacen(" = ", "=", 1)).into());
    }
    let (program, arguments) = as_a_neighbour(place, &program);
    let mut command = Command::new(program);
    command.args(arguments).env("PASSWD_FILE", &credentials);
    let joined = run_with_input(command, "", "samba-tool domain join");
    tokio::time::timeout(JOIN_TAKES_AT_MOST, joined)
        .await
        .context("the join takes too long")??;
    fs::remove_file(credentials)?;
    Ok(())
}

pub(crate) fn recipe(place: &Place) -> Recipe {
    let configuration = directory(place).join("etc/smb.conf");
    let mut program: Vec<OsString> = [
        "samba",
        "--foreground",
        "--no-process-group",
        "--configfile",
    ]
    .map(Into::into)
    .into();
    program.push(configuration.into());
    program.push("--option=old password allowed period = 0".into());
    let (program, arguments) = as_a_neighbour(place, &program);
    Recipe {
        name: name(),
        user: None,
        program,
        arguments,
        environment: Vec::new(),
        log: place.log(&name()),
        stop_signal: Signal::SIGTERM,
        admin: None,
    }
}

pub(crate) fn name() -> String {
    format!("{}-2", OF.domain_controller_name())
}

/// Adds the second controller and puts it into the configuration, after the first. Writers that run have to be started
/// again to know it.
pub async fn add_controller(place: &Place) -> anyhow::Result<()> {
    let begun = Instant::now();
    running(place)?;
    let wanted = Wanted::load(place)?;
    ensure!(!wanted.second_controller, "the lab has it already");
    remove_folder(&directory(place)).await?;
    join(place).await?;
    say(begun, "has joined");
    wanted.with_second_controller(true).store(place)?;
    until("the second domain controller answers", async || {
        OF.answers_at(place, &ldaps()).await
    })
    .await?;
    configuration::rewrite(place)?;
    say(begun, "is in the configuration");
    Ok(())
}

/// Takes it out of the configuration, and stops it.
pub async fn remove_controller(place: &Place) -> anyhow::Result<()> {
    let begun = Instant::now();
    running(place)?;
    Wanted::load(place)?
        .with_second_controller(false)
        .store(place)?;
    configuration::rewrite(place)?;
    until("the second domain controller has ended", async || {
        running(place).is_ok_and(|lab| {
            !lab.infrastructure
                .iter()
                .any(|process| process.name == name())
        })
    })
    .await?;
    remove_folder(&directory(place)).await?;
    say(begun, "is gone");
    Ok(())
}

fn say(begun: Instant, what: &str) {
    println!(
        "lab: {:5.1} s  the second domain controller of {} {what}",
        begun.elapsed().as_secs_f32(),
        OF.id
    );
}
