//! One bound connection over TLS, and its calls.
//!
//! `ldap3` panics on malformed data, both where it drives the socket and where it reads an answer.
//! The driver and every call are tasks of their own; one that panics makes the connection dead.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ldap3::{Ldap, LdapError, Mod, Scope, SearchEntry, SearchOptions, controls::RawControl};
use rustls::ClientConfig;
use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, timeout},
};

use crate::{
    Endpoint, RootDse,
    dial::dial,
    error::ConnectError,
    explain::bind_code,
    observe::{self, Answered, Counted},
    reading::Entry,
    root_dse::{ROOT_DSE_ATTRIBUTES, root_dse},
    write::Octets,
};

/// Why a call brought no answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The connection was dead before: the request was not sent.
    NotSent,
    /// The request may have left.
    Lost(String),
}

impl CallError {
    pub(crate) fn cause(self) -> String {
        match self {
            Self::NotSent => "the connection was closed".to_owned(),
            Self::Lost(cause) => cause,
        }
    }
}

impl From<LdapError> for CallError {
    /// Drops the source: `OpSend` owns the request it could not send, password and all.
    fn from(error: LdapError) -> Self {
        match error {
            LdapError::OpSend { .. } => Self::NotSent,
            LdapError::Io { source } => Self::Lost(source.to_string()),
            LdapError::ResultRecv { .. } | LdapError::EndOfStream => {
                Self::Lost("the connection was lost before the answer".to_owned())
            }
            _ => Self::Lost("the LDAP exchange broke down".to_owned()),
        }
    }
}

/// An answer's result code, diagnostic text and referrals.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) result: u32,
    pub(crate) text: String,
    /// Where else to ask (RFC 4511 4.1.10).
    pub(crate) referrals: Vec<String>,
}

impl From<ldap3::LdapResult> for Answer {
    fn from(result: ldap3::LdapResult) -> Self {
        Self {
            result: result.rc,
            text: result.text,
            referrals: result.refs,
        }
    }
}

impl Answered for Answer {
    fn code(&self) -> u32 {
        self.result
    }
}

impl Answered for (Vec<Entry>, Answer) {
    fn code(&self) -> u32 {
        self.1.result
    }
}

/// A request whose answer has not come in time. To be waited for only while its connection lives.
#[derive(Debug)]
pub(crate) struct Outstanding(JoinSet<Result<Answer, CallError>>);

impl Outstanding {
    /// However long it takes: until the domain controller has answered, or the connection is lost, which the system
    /// notices of one that cannot be reached any more ([`crate::dial`]). To be cancelled and begun again at will.
    pub(crate) async fn answer(&mut self) -> Result<Answer, CallError> {
        flattened(self.0.join_next().await)
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    ldap: Ldap,
    endpoint: Endpoint,
    /// What it was trusted by.
    tls: Arc<ClientConfig>,
    /// The end of the certificate that it showed.
    not_after: Option<OffsetDateTime>,
    _counted: Counted,
    /// Aborted, and the socket with it, when the connection is dropped.
    _driver: JoinSet<()>,
    time_out: Duration,
    opened: Instant,
    /// When it last showed that it is alive, in milliseconds after it was opened.
    answered: AtomicU64,
}

impl Connection {
    /// Connects without binding, within the time-out; to one of these addresses, if any are given,
    /// else to where the system says that the host is.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        tls: Arc<ClientConfig>,
        addresses: Option<Vec<SocketAddr>>,
        time_out: Duration,
    ) -> Result<Self, ConnectError> {
        let connect = Self::connect(endpoint, tls, addresses, time_out);
        observe::exchange("connect", endpoint, connect).await
    }

    async fn connect(
        endpoint: &Endpoint,
        tls: Arc<ClientConfig>,
        addresses: Option<Vec<SocketAddr>>,
        time_out: Duration,
    ) -> Result<Self, ConnectError> {
        let opening = dial(endpoint.clone(), Arc::clone(&tls), addresses);
        let opened = in_task(time_out, async move { Ok(opening.await) })
            .await
            .map_err(|error| ConnectError::Unreachable(error.cause()))?;
        let (driver, ldap) = opened?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // how it ended is told by the calls that were waiting
            let _ = driver.drive().await;
        });
        let mut connection = Self {
            ldap,
            endpoint: endpoint.clone(),
            tls,
            not_after: None,
            _counted: Counted::open(endpoint),
            _driver: tasks,
            time_out,
            opened: Instant::now(),
            answered: AtomicU64::new(0),
        };
        connection.not_after = connection.certificate_end().await;
        Ok(connection)
    }

    /// Costs no exchange: what the handshake brought is asked of our own side.
    async fn certificate_end(&self) -> Option<OffsetDateTime> {
        let asked = self.call(|mut ldap| async move {
            let certificate = ldap.get_peer_certificate().await?;
            Ok(certificate.and_then(|der| expiry::not_after(&der)))
        });
        asked.await.ok().flatten()
    }

    /// When the certificate ends that the domain controller showed.
    pub(crate) const fn not_after(&self) -> Option<OffsetDateTime> {
        self.not_after
    }

    /// Whether it was made by trusting the same authority.
    pub(crate) fn is_trusted_by(&self, tls: &Arc<ClientConfig>) -> bool {
        Arc::ptr_eq(&self.tls, tls)
    }

    pub(crate) async fn bind(
        &self,
        name: &str,
        password: &SecretString,
    ) -> Result<Answer, CallError> {
        let (name, password) = (name.to_owned(), password.clone());
        let bind = self.call(|mut ldap| async move {
            Ok(Answer::from(
                ldap.simple_bind(&name, password.expose_secret()).await?,
            ))
        });
        observe::exchange("bind", &self.endpoint, bind).await
    }

    /// Changes one entry. What has no answer in time goes on, for the answer may yet come.
    pub(crate) async fn modify(
        &self,
        target: String,
        modifications: Vec<Mod<Octets>>,
        control: Option<RawControl>,
    ) -> (Result<Answer, CallError>, Option<Outstanding>) {
        let mut ldap = self.ldap.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            if let Some(control) = control {
                ldap.with_controls(control);
            }
            Ok(Answer::from(ldap.modify(&target, modifications).await?))
        });
        let outcome = async {
            let answer = outcome_of(&mut task, self.time_out).await?;
            self.has_answered();
            Ok(answer)
        };
        let outcome = observe::exchange("modify", &self.endpoint, outcome).await;
        let outstanding = (!task.is_empty()).then_some(Outstanding(task));
        (outcome, outstanding)
    }

    /// Binds as the service account.
    pub(crate) async fn sign_in(
        &self,
        name: &str,
        password: &SecretString,
    ) -> Result<(), ConnectError> {
        let answer = self
            .bind(name, password)
            .await
            .map_err(|error| ConnectError::Unreachable(error.cause()))?;
        let why = match (answer.result, bind_code(&answer.text)) {
            (0, _) => return Ok(()),
            (51 | 52 | 80 | 3, _) => {
                return Err(ConnectError::Unreachable(
                    "it is busy or going down".to_owned(),
                ));
            }
            // ERROR_NO_LOGON_SERVERS: a read-only one that has to ask another, and cannot
            (_, Some(0x51f)) => {
                return Err(ConnectError::Unreachable(
                    "it reaches no domain controller that knows the account's password".to_owned(),
                ));
            }
            (_, Some(0x52e)) => return Err(ConnectError::WrongPassword),
            (_, Some(0x525)) => "there is no such account",
            (_, Some(0x530)) => "not at this hour",
            (_, Some(0x531)) => "not from this workstation",
            (_, Some(0x532)) => "its password has expired",
            (_, Some(0x533)) => "it is disabled",
            (_, Some(0x568)) => "it is in too many groups",
            (_, Some(0x701)) => "the account has expired",
            (_, Some(0x773)) => "it must change its password",
            (_, Some(0x775)) => "it is locked",
            _ => "no cause is given",
        };
        Err(ConnectError::BindRefused(format!(
            "it refuses the account: {why} (LDAP result {})",
            answer.result
        )))
    }

    pub(crate) async fn search(
        &self,
        base: &str,
        scope: Scope,
        filter: String,
        attributes: &'static [&'static str],
        limit: i32,
    ) -> Result<(Vec<Entry>, Answer), CallError> {
        let found = self.find(base, scope, filter, attributes, limit);
        observe::exchange("search", &self.endpoint, found).await
    }

    async fn find(
        &self,
        base: &str,
        scope: Scope,
        filter: String,
        attributes: &'static [&'static str],
        limit: i32,
    ) -> Result<(Vec<Entry>, Answer), CallError> {
        let base = base.to_owned();
        self.call(move |mut ldap| async move {
            let ldap3::SearchResult(entries, result) = ldap
                .with_search_options(SearchOptions::new().sizelimit(limit))
                .search(&base, scope, &filter, attributes)
                .await?;
            let entries = entries
                .into_iter()
                .filter(|entry| !entry.is_ref() && !entry.is_intermediate())
                .map(|entry| SearchEntry::construct(entry).into())
                .collect();
            Ok((entries, result.into()))
        })
        .await
    }

    /// Reads the rootDSE: also a proof that the connection is alive, for a half-open socket looks
    /// like a good one until it is used.
    pub(crate) async fn root_dse(&self, endpoint: &Endpoint) -> Result<RootDse, CallError> {
        let sent = OffsetDateTime::now_utc();
        let asked = self.find(
            "",
            Scope::Base,
            "(objectClass=*)".to_owned(),
            ROOT_DSE_ATTRIBUTES,
            1,
        );
        let (entries, answer) = observe::exchange("root-dse", &self.endpoint, asked).await?;
        let received = OffsetDateTime::now_utc();
        entries
            .first()
            .and_then(|entry| root_dse(entry, &endpoint.to_string(), sent, received))
            .ok_or_else(|| {
                CallError::Lost(format!(
                    "its rootDSE cannot be read (LDAP result {})",
                    answer.result
                ))
            })
    }

    /// Runs one exchange in a task of its own, within the time-out.
    pub(crate) async fn call<T, F>(&self, exchange: impl FnOnce(Ldap) -> F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CallError>> + Send + 'static,
    {
        self.call_within(self.time_out, exchange).await
    }

    /// The same, for an exchange that may take its time.
    pub(crate) async fn call_within<T, F>(
        &self,
        time_out: Duration,
        exchange: impl FnOnce(Ldap) -> F,
    ) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CallError>> + Send + 'static,
    {
        let outcome = in_task(time_out, exchange(self.ldap.clone())).await?;
        self.has_answered();
        Ok(outcome)
    }

    fn has_answered(&self) {
        let answered = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.answered.store(answered, Ordering::Relaxed);
    }

    /// An exchange ended well so lately.
    pub(crate) fn answered_within(&self, lately: Duration) -> bool {
        let answered = Duration::from_millis(self.answered.load(Ordering::Relaxed));
        self.opened.elapsed() < answered + lately
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        self.ldap.is_closed()
    }
}

/// The task is aborted when the time-out passes or the caller gives up.
async fn in_task<T: Send + 'static>(
    time_out: Duration,
    work: impl Future<Output = Result<T, CallError>> + Send + 'static,
) -> Result<T, CallError> {
    let mut task = JoinSet::new();
    task.spawn(work);
    outcome_of(&mut task, time_out).await
}

/// Leaves the task to itself when the time-out passes.
async fn outcome_of<T: Send + 'static>(
    task: &mut JoinSet<Result<T, CallError>>,
    time_out: Duration,
) -> Result<T, CallError> {
    match timeout(time_out, task.join_next()).await {
        Ok(ended) => flattened(ended),
        Err(_) => Err(CallError::Lost(format!(
            "no answer within {} ms",
            time_out.as_millis()
        ))),
    }
}

/// What a task came to that was alone in its set.
fn flattened<T>(ended: Option<Result<Result<T, CallError>, JoinError>>) -> Result<T, CallError> {
    match ended {
        Some(Ok(outcome)) => outcome,
        Some(Err(_)) | None => Err(CallError::Lost("it sent malformed data".to_owned())),
    }
}
