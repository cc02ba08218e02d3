//! What a domain controller is to do.

use std::{collections::BTreeSet, time::Duration};

use rasn_ldap::ResultCode;

use crate::{Certificate, DomainController, Person, Policy, windows};

/// The account that Writeback binds as.
pub const SERVICE_ACCOUNT: &str = "CN=svc-writeback,OU=Service,DC=corp,DC=example,DC=com";
pub const SERVICE_PASSWORD: &str = "Service-Passw0rd";

/// When a rule takes hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Before TLS begins.
    Connection,
    /// In the clear, where TLS is asked for.
    StartTls,
    Bind,
    RootDse,
    Search,
    Modify,
}

/// What is done instead of the ordinary.
#[derive(Debug, Clone)]
pub enum Act {
    /// Answers this, and does nothing.
    Answer(Answer),
    /// Does and answers the ordinary, after this time; also when the client has left.
    Late(Duration),
    /// Never answers, and keeps the connection.
    Silence { carried_out: bool },
    /// Closes the connection without an answer.
    Close { carried_out: bool },
    /// Sends these bytes for an answer, and goes on. They are not carried out.
    Bytes(Vec<u8>),
}

/// A result, the words with it, and where else to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub result: ResultCode,
    pub text: String,
    pub referral: Vec<String>,
}

impl Answer {
    pub fn new(result: ResultCode, text: &str) -> Self {
        Self {
            result,
            text: text.to_owned(),
            referral: Vec::new(),
        }
    }

    pub(crate) fn success() -> Self {
        Self::new(ResultCode::Success, "")
    }

    /// As a read-only domain controller refers to a writable one (MS-ADTS 3.1.1.5.1.10).
    pub fn referral(url: &str) -> Self {
        Self {
            referral: vec![url.to_owned()],
            ..Self::new(ResultCode::Referral, windows::REFERRAL)
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) on: On,
    pub(crate) act: Act,
    /// How often it still takes hold; always, if None.
    pub(crate) left: Option<usize>,
}

/// A domain controller before it is started.
#[derive(Debug)]
pub struct Script {
    pub(crate) people: Vec<Person>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) policy: Policy,
    pub(crate) controls: BTreeSet<String>,
    pub(crate) capabilities: BTreeSet<String>,
    pub(crate) clock_ahead: time::Duration,
    pub(crate) unexpires: bool,
    pub(crate) service_password: String,
    pub(crate) start_tls: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            people: Vec::new(),
            rules: Vec::new(),
            policy: Policy::default(),
            controls: windows::SUPPORTED_CONTROLS
                .iter()
                .map(|control| (*control).to_owned())
                .collect(),
            capabilities: windows::SUPPORTED_CAPABILITIES
                .iter()
                .map(|capability| (*capability).to_owned())
                .collect(),
            clock_ahead: time::Duration::ZERO,
            unexpires: true,
            service_password: SERVICE_PASSWORD.to_owned(),
            start_tls: false,
        }
    }
}

impl Script {
    #[must_use]
    pub fn person(mut self, person: &Person) -> Self {
        self.people.push(person.clone());
        self
    }

    #[must_use]
    pub fn always(mut self, on: On, act: Act) -> Self {
        self.rules.push(Rule {
            on,
            act,
            left: None,
        });
        self
    }

    #[must_use]
    pub fn once(mut self, on: On, act: Act) -> Self {
        self.rules.push(Rule {
            on,
            act,
            left: Some(1),
        });
        self
    }

    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Takes Unexpire-Password on the domain from the service account.
    #[must_use]
    pub fn without_unexpire_password(mut self) -> Self {
        self.unexpires = false;
        self
    }

    /// Takes a control out of those that it knows.
    #[must_use]
    pub fn without_control(mut self, oid: &str) -> Self {
        self.controls.remove(oid);
        self
    }

    /// Says of itself that it is read-only.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.capabilities
            .insert(windows::PARTIAL_SECRETS.to_owned());
        self
    }

    #[must_use]
    pub fn clock_ahead(mut self, by: time::Duration) -> Self {
        self.clock_ahead = by;
        self
    }

    #[must_use]
    pub fn service_password(mut self, password: &str) -> Self {
        password.clone_into(&mut self.service_password);
        self
    }

    /// Waits in the clear to be asked for TLS.
    #[must_use]
    pub fn start_tls(mut self) -> Self {
        self.start_tls = true;
        self
    }

    /// Listens at a free port of 127.0.0.1.
    pub async fn start(self, certificate: Certificate) -> anyhow::Result<DomainController> {
        DomainController::start(self, certificate).await
    }
}
