//! The services' own certificates, and the authority that signs them, are renewed while operations are under way: none fails,
//! and nothing is restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Services, World, audit, parts, until};
use futures_util::future::try_join_all;
use lab::certificates::Authority;
use lab::{Lab, Place};
use proto::v1::{self, ledger_client::LedgerClient};
use rcgen::ExtendedKeyUsagePurpose::{self, ClientAuth, ServerAuth};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Code;

use crate::rotation::resets;
use crate::status::{until_status, until_well};
use crate::{ALONE, people};

const TAKEN_WITHIN: Duration = Duration::from_secs(20);
const AT_ONCE: usize = 4;
/// What waits for it must have begun after the change.
const SOME_MORE: usize = 2 * AT_ONCE;
/// Of the new authority, and of what is only put beside it, so that a service's figures tell which file it has read.
const RENEWED_DAYS: i64 = 400;
const MARK_DAYS: i64 = 200;
/// So soon that an operator is to be told.
const LAST_MARK_DAYS: i64 = 20;
/// The lab's own last longer.
const LAB_S_DAYS: std::ops::Range<i64> = RENEWED_DAYS..10_000;

/// Where the lab's services have their certificates. As they were found, they are left.
struct Shown {
    folder: PathBuf,
    aside: PathBuf,
    found: BTreeMap<String, Vec<u8>>,
}

impl Shown {
    fn of_the_lab() -> anyhow::Result<Self> {
        let place = Place::of_this_repository()?;
        let authority = lab::certificates::services_authority(&place);
        let folder = authority.parent().context("no folder")?.to_owned();
        let mut found = BTreeMap::new();
        for name in [
            "ca.pem",
            "audit.pem",
            "audit.key",
            "intake.pem",
            "intake.key",
            "writer.pem",
            "writer.key",
        ] {
            found.insert(name.to_owned(), fs::read(folder.join(name))?);
        }
        let aside = place.path("renewed");
        drop(fs::remove_dir_all(&aside));
        fs::create_dir_all(&aside)?;
        Ok(Self {
            folder,
            aside,
            found,
        })
    }

    fn found(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        self.found.get(name).cloned().context(name.to_owned())
    }

    /// As whoever renews it would: the file is there whole or not at all.
    fn put(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let (new, file) = (
            self.folder.join(format!("{name}.new")),
            self.folder.join(name),
        );
        fs::copy(&file, &new)?;
        fs::write(&new, content)?;
        Ok(fs::rename(new, file)?)
    }

    fn put_back(&self, name: &str) -> anyhow::Result<()> {
        self.put(name, &self.found(name)?)
    }

    /// Another authority, and its certificate.
    fn authority(&self, name: &str, days: i64) -> anyhow::Result<(Authority, Vec<u8>)> {
        let folder = self.aside.join(name);
        fs::create_dir_all(&folder)?;
        let authority = Authority::lasting(&folder, name, time::Duration::days(days))?;
        let certificate = fs::read(authority.file())?;
        Ok((authority, certificate))
    }

    /// Gives this kind of service a new certificate.
    fn renew(
        &self,
        authority: &Authority,
        kind: &str,
        names: &[&str],
        usage: ExtendedKeyUsagePurpose,
    ) -> anyhow::Result<Vec<u8>> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let made = authority.certify(kind, names, usage)?;
        let certificate = fs::read(&made.certificate)?;
        self.put(&format!("{kind}.pem"), &certificate)?;
        self.put(&format!("{kind}.key"), &fs::read(&made.key)?)?;
        Ok(certificate)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        for name in self.found.keys() {
            if let Err(error) = self.put_back(name) {
                eprintln!("{name} is not as it was found: {error:#}");
            }
        }
        drop(fs::remove_dir_all(&self.aside));
    }
}

/// What every replica of this kind tells of a certificate or an authority, in days.
async fn told(kind: &str, what: &str, section: &str) -> anyhow::Result<Vec<f64>> {
    let client = reqwest::Client::new();
    let metric = format!("writeback_service_{what}_days_left{{");
    let section = format!("section=\"{section}\"");
    let mut told = Vec::new();
    for service in Lab::load()?.services {
        if !service.name.starts_with(&format!("{kind}-")) {
            continue;
        }
        let page = client.get(format!("{}/metrics", service.admin));
        let page = page.send().await?.error_for_status()?.text().await?;
        let line = { page.lines() }
            .find(|line| line.starts_with(&metric) && line.contains(&section))
            .with_context(|| format!("{} tells no {metric}{section}", service.name))?;
        let (_, value) = line.rsplit_once(' ').context(line.to_owned())?;
        told.push(value.parse()?);
    }
    ensure!(!told.is_empty(), "no service is a {kind}");
    Ok(told)
}

/// Until every replica has taken what ends in so many days.
#[expect(clippy::cast_precision_loss, reason = "days are few")]
async fn taken(kind: &str, what: &str, days: std::ops::Range<i64>) -> anyhow::Result<()> {
    let section = if kind == "audit" { "audit" } else { "ledger" };
    let wanted = days.start as f64..days.end as f64;
    let waits = format!("{kind} has taken an {what} of {days:?} days");
    until(&waits, TAKEN_WITHIN, || async {
        let told = told(kind, what, section).await?;
        Ok(told.iter().all(|days| wanted.contains(days)).then_some(()))
    })
    .await
}

/// A lifetime began a day ago.
const fn left_of(days: i64) -> std::ops::Range<i64> {
    days - 2..days
}

async fn all_believe(days: std::ops::Range<i64>) -> anyhow::Result<()> {
    for kind in ["audit", "intake", "writer"] {
        taken(kind, "authority", days.clone()).await?;
    }
    Ok(())
}

/// The connections that services of this kind have to audit, by the numbers of their sockets (proc(5): `net/tcp`, `fd`).
fn connections(kind: &str, urls: &[String]) -> anyhow::Result<BTreeSet<String>> {
    const ESTABLISHED: &str = "01";
    let mut ports = BTreeSet::new();
    for url in urls {
        let (_, port) = url.rsplit_once(':').context(url.clone())?;
        ports.insert(format!("{:04X}", port.parse::<u16>()?));
    }
    let mut own = BTreeSet::new();
    for pid in parts::services(kind)? {
        for file in fs::read_dir(format!("/proc/{pid}/fd"))? {
            // one that was closed in the meantime
            let Ok(target) = fs::read_link(file?.path()) else {
                continue;
            };
            own.insert(target.display().to_string());
        }
    }
    let table = fs::read_to_string("/proc/net/tcp")?;
    let open = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, port) = fields.get(2)?.split_once(':')?;
        let socket = format!("socket:[{}]", fields.get(9)?);
        let is_open = *fields.get(3)? == ESTABLISHED && ports.contains(port);
        (is_open && own.contains(&socket)).then_some(socket)
    });
    Ok(open.collect())
}

/// Until they have others than these, and these are closed.
async fn replaced(kind: &str, urls: &[String], before: &BTreeSet<String>) -> anyhow::Result<()> {
    ensure!(!before.is_empty(), "no {kind} had a connection to audit");
    let waits = format!("{kind} has other connections to audit");
    until(&waits, TAKEN_WITHIN, || async {
        let now = connections(kind, urls)?;
        Ok((!now.is_empty() && now.is_disjoint(before)).then_some(()))
    })
    .await
}

async fn some_more(applied: &AtomicUsize) -> anyhow::Result<()> {
    let so_far = applied.load(Ordering::Relaxed);
    until("some more are applied", Duration::from_mins(1), || async {
        Ok((applied.load(Ordering::Relaxed) >= so_far + SOME_MORE).then_some(()))
    })
    .await
}

/// The certificate that a new connection is shown, by whoever believes this authority alone.
async fn shown_at(url: &str, authority: &Path) -> anyhow::Result<Vec<u8>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = url.trim_start_matches("https://");
    let (host, _) = address.split_once(':').context("no port")?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await?;
    let stream = connector
        .connect(ServerName::try_from(host.to_owned())?, stream)
        .await?;
    let (_, session) = stream.get_ref();
    let chain = session.peer_certificates().context("no certificate")?;
    Ok(chain.first().context("no certificate")?.to_vec())
}

/// How audit answers intake's question for an operation whose id is none.
async fn answered(
    url: &str,
    authority: &[u8],
    certificate: Vec<u8>,
    key: Vec<u8>,
) -> anyhow::Result<Code> {
    let channel = audit::as_bearer(url, authority, Some((certificate, key))).await?;
    let request = v1::GetOperationRequest { id: "?".to_owned() };
    match LedgerClient::new(channel).get_operation(request).await {
        Ok(_) => anyhow::bail!("there is such an operation"),
        Err(status) => Ok(status.code()),
    }
}

/// Every replica of audit, as the services are told where they are.
fn audits() -> anyhow::Result<Vec<String>> {
    let file = Place::of_this_repository()?.path("config.toml");
    let configuration: toml::Table = toml::from_str(&fs::read_to_string(file)?)?;
    let urls = configuration
        .get("ledger")
        .and_then(|ledger| ledger.get("urls")?.as_array())
        .context("no ledger.urls")?;
    let urls = urls
        .iter()
        .filter_map(|url| url.as_str().map(str::to_owned));
    Ok(urls.collect())
}

/// From the lab's authority to another, each step while operations go on, and back again.
async fn renew(lab_s: &Shown, urls: &[String], applied: &AtomicUsize) -> anyhow::Result<()> {
    let old = lab_s.found("ca.pem")?;
    let (authority, new) = lab_s.authority("following", RENEWED_DAYS)?;
    let (_, mark) = lab_s.authority("mark", MARK_DAYS)?;
    let (_, last_mark) = lab_s.authority("last-mark", LAST_MARK_DAYS)?;
    some_more(applied).await?;

    // both authorities side by side
    lab_s.put("ca.pem", &[&old[..], &new].concat())?;
    all_believe(left_of(RENEWED_DAYS)).await?;
    some_more(applied).await?;

    let shown = lab_s.renew(&authority, "audit", &["127.0.0.1", "localhost"], ServerAuth)?;
    taken("audit", "certificate", left_of(RENEWED_DAYS)).await?;
    let shown = CertificateDer::from_pem_slice(&shown)?;
    for url in urls {
        let seen = shown_at(url, &authority.file()).await?;
        ensure!(
            seen == *shown,
            "{url} shows another certificate than the new one"
        );
    }
    some_more(applied).await?;

    for kind in ["intake", "writer"] {
        let before = connections(kind, urls)?;
        lab_s.renew(&authority, kind, &[kind], ClientAuth)?;
        taken(kind, "certificate", left_of(RENEWED_DAYS)).await?;
        replaced(kind, urls, &before).await?;
        some_more(applied).await?;
    }

    // the old one is believed no more
    lab_s.put("ca.pem", &[&new[..], &mark].concat())?;
    all_believe(left_of(MARK_DAYS)).await?;
    some_more(applied).await?;
    for url in urls {
        let removed = (lab_s.found("intake.pem")?, lab_s.found("intake.key")?);
        let refused = answered(url, &new, removed.0, removed.1).await;
        ensure!(
            !matches!(refused, Ok(Code::InvalidArgument | Code::NotFound)),
            "{url} answers who shows a certificate of the old authority: {refused:?}"
        );
        let (pem, key) = lab::certificates::of_service(&Place::of_this_repository()?, "intake");
        let known = answered(url, &new, fs::read(pem)?, fs::read(key)?).await?;
        assert_eq!(known, Code::InvalidArgument, "{url}");
    }

    lab_s.put("ca.pem", &[&old[..], &new, &last_mark].concat())?;
    all_believe(left_of(LAST_MARK_DAYS)).await?;
    let ends = format!(
        "the authority it trusts ends in {} days",
        LAST_MARK_DAYS - 2
    );
    until_status("the operator is told", TAKEN_WITHIN, &[], 1, |said| {
        said.to_string().matches(&ends).count() >= 3
    })
    .await?;
    for kind in ["audit", "intake", "writer"] {
        lab_s.put_back(&format!("{kind}.pem"))?;
        lab_s.put_back(&format!("{kind}.key"))?;
        taken(kind, "certificate", LAB_S_DAYS).await?;
    }
    lab_s.put_back("ca.pem")?;
    all_believe(LAB_S_DAYS).await?;
    some_more(applied).await
}

#[tokio::test]
async fn certificates_and_their_authority_are_renewed_under_load_and_no_operation_fails()
-> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forest()?;
    for number in people::UNDER_WAY.take(AT_ONCE) {
        forest
            .start_with_fresh_password(forest.person(number)?)
            .await?;
    }
    let urls = audits()?;
    let services = Services::now(&[])?;
    let lab_s = Shown::of_the_lab()?;
    let (stop, applied) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = try_join_all(
        people::UNDER_WAY
            .take(AT_ONCE)
            .map(|number| resets(forest, number, &stop, &applied)),
    );
    let renewing = async {
        let renewed = renew(&lab_s, &urls, &applied).await;
        stop.store(true, Ordering::Relaxed);
        renewed
    };
    tokio::try_join!(load, renewing)?;
    println!(
        "{} operations were applied meanwhile",
        applied.load(Ordering::Relaxed)
    );
    services.expect_unharmed().await?;
    until_well().await.map(drop)
}
