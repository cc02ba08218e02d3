//! The domain controller while it runs: its socket, and what it knows.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use operation::ObjectGuid;
use time::OffsetDateTime;
use tokio::{net::TcpListener, sync::Notify, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::{
    Act, Certificate, On, Person, Policy, Received, Script, conversation::converse, script::Rule,
};

/// A running domain controller; dropped, it is gone, and its connections with it.
#[derive(Debug)]
pub struct DomainController {
    address: SocketAddr,
    knowledge: Arc<Knowledge>,
    _listening: JoinSet<()>,
}

#[derive(Debug)]
pub(crate) struct Knowledge {
    pub(crate) policy: Policy,
    pub(crate) controls: Vec<String>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) start_tls: bool,
    clock_ahead: time::Duration,
    changing: Mutex<Changing>,
    hang_up: Notify,
}

#[derive(Debug)]
pub(crate) struct Changing {
    pub(crate) people: Vec<Person>,
    pub(crate) unexpires: bool,
    pub(crate) service_password: String,
    rules: Vec<Rule>,
    received: Vec<Received>,
}

impl DomainController {
    pub(crate) async fn start(script: Script, certificate: Certificate) -> anyhow::Result<Self> {
        let acceptor = TlsAcceptor::from(certificate.server_config()?);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let knowledge = Arc::new(Knowledge {
            policy: script.policy,
            controls: script.controls.into_iter().collect(),
            capabilities: script.capabilities.into_iter().collect(),
            start_tls: script.start_tls,
            clock_ahead: script.clock_ahead,
            changing: Mutex::new(Changing {
                people: script.people,
                unexpires: script.unexpires,
                service_password: script.service_password,
                rules: script.rules,
                received: Vec::new(),
            }),
            hang_up: Notify::new(),
        });
        let mut listening = JoinSet::new();
        let known = Arc::clone(&knowledge);
        listening.spawn(async move {
            let mut conversations = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (known, acceptor) = (Arc::clone(&known), acceptor.clone());
                conversations.spawn(async move {
                    tokio::select! {
                        () = known.hang_up.notified() => {}
                        () = converse(Arc::clone(&known), acceptor, socket) => {}
                    }
                });
                while conversations.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            address,
            knowledge,
            _listening: listening,
        })
    }

    /// Its endpoint, `ldaps://127.0.0.1:port`, or `ldap://` if it waits for StartTLS.
    pub fn url(&self) -> String {
        let scheme = if self.knowledge.start_tls {
            "ldap"
        } else {
            "ldaps"
        };
        format!("{scheme}://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on, before the rules that it has.
    pub fn from_now(&self, on: On, act: Act) {
        self.put_first(on, act, None);
    }

    /// The next time, before the rules that it has.
    pub fn next(&self, on: On, act: Act) {
        self.put_first(on, act, Some(1));
    }

    fn put_first(&self, on: On, act: Act, left: Option<usize>) {
        let rule = Rule { on, act, left };
        self.knowledge.changing().rules.insert(0, rule);
    }

    /// Forgets every rule: from now on it is an ordinary domain controller.
    pub fn be_ordinary(&self) {
        self.knowledge.changing().rules.clear();
    }

    /// Gives the service account Unexpire-Password on the domain.
    pub fn grant_unexpire_password(&self) {
        self.knowledge.changing().unexpires = true;
    }

    /// The service account's password is another from now on.
    pub fn set_service_password(&self, password: &str) {
        password.clone_into(&mut self.knowledge.changing().service_password);
    }

    /// Closes every connection that there is, as a controller does with those idle for too long.
    pub fn hang_up(&self) {
        self.knowledge.hang_up.notify_waiters();
    }

    pub fn received(&self) -> Vec<Received> {
        self.knowledge.changing().received.clone()
    }

    /// How many of what it received are such.
    pub fn count(&self, such: impl Fn(&Received) -> bool) -> usize {
        self.knowledge
            .changing()
            .received
            .iter()
            .filter(|received| such(received))
            .count()
    }

    pub fn connections(&self) -> usize {
        self.count(|received| matches!(received, Received::Connection))
    }

    pub fn binds(&self) -> usize {
        self.count(|received| matches!(received, Received::Bind { .. }))
    }

    pub fn modifies(&self) -> usize {
        self.count(|received| matches!(received, Received::Modify { .. }))
    }

    /// The person as they are now; None if there is none with this GUID.
    pub fn person(&self, guid: ObjectGuid) -> Option<Person> {
        let changing = self.knowledge.changing();
        changing.people.iter().find(|p| p.guid == guid).cloned()
    }

    pub fn now(&self) -> OffsetDateTime {
        self.knowledge.now()
    }
}

impl Knowledge {
    pub(crate) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + self.clock_ahead
    }

    pub(crate) fn record(&self, received: Received) {
        self.changing().received.push(received);
    }

    /// The first rule for this, used up by one.
    pub(crate) fn act(&self, on: On) -> Option<Act> {
        let mut changing = self.changing();
        let rule = changing
            .rules
            .iter_mut()
            .find(|rule| rule.on == on && rule.left != Some(0))?;
        rule.left = rule.left.map(|left| left - 1);
        Some(rule.act.clone())
    }

    /// Never held across an await.
    pub(crate) fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
