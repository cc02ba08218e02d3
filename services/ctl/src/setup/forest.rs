//! A forest seen with the credentials that the services will use: what each answer is checked against.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use directory::{ControllerReport, Directory, DirectoryConfig, DirectoryError, Topology, Unit};
use operation::DomainName;
use secrecy::SecretString;

use super::{
    answers::{Domain, Forest},
    console::Complaint,
    draft::Draft,
};

const TIME_OUT: Duration = Duration::from_secs(10);

/// One domain, connected to.
pub(crate) struct Seen {
    directory: Arc<Directory>,
    pub(crate) domain: DomainName,
    /// The controller that answered.
    pub(crate) answered: String,
}

pub(crate) fn account(text: &str) -> Result<String, Complaint> {
    let is_principal = text
        .split_once('@')
        .is_some_and(|(name, domain)| !name.is_empty() && domain.parse::<DomainName>().is_ok());
    if is_principal || directory::domain_of(text).is_some() {
        Ok(text.to_owned())
    } else {
        Err(Complaint::new(
            "the account",
            "it is neither name@domain nor a distinguished name",
            "give the service account as svc-writeback@corp.example.com",
        ))
    }
}

pub(crate) fn domain_name(text: &str) -> Result<DomainName, Complaint> {
    match text.parse::<DomainName>() {
        // one label is the NetBIOS name of a domain
        Ok(name) if text.contains('.') => Ok(name),
        _ => Err(Complaint::new(
            "the domain",
            "it is no DNS name of a domain",
            "give the full name, such as corp.example.com, not the short one",
        )),
    }
}

/// The addresses of domain controllers, with or without `ldaps://` before them.
pub(crate) fn controllers(text: &str) -> Result<Vec<String>, Complaint> {
    text.split([',', ';', ' '])
        .filter(|one| !one.is_empty())
        .map(|one| {
            let address = if one.contains("://") {
                one.to_owned()
            } else {
                format!("ldaps://{one}")
            };
            match address.parse::<directory::Endpoint>() {
                Ok(_) => Ok(address),
                Err(error) => Err(Complaint::new(
                    "the domain controllers",
                    error.to_string(),
                    "give host names, separated by commas, such as dc1.corp.example.com, dc2.corp.example.com",
                )),
            }
        })
        .collect()
}

pub(crate) fn dns_servers(text: &str) -> Result<Vec<String>, Complaint> {
    text.split([',', ';', ' '])
        .filter(|one| !one.is_empty())
        .map(|one| {
            one.parse::<SocketAddr>()
                .or_else(|_| one.parse().map(|address| SocketAddr::new(address, 53)))
                .map(|address| address.to_string())
                .map_err(|_| {
                    Complaint::new(
                        "the DNS servers",
                        format!("{one} is no address"),
                        "give addresses, separated by commas, such as 10.0.0.53; `none` asks the system's",
                    )
                })
        })
        .collect()
}

/// Connects to a domain as the account that writes.
///
/// # Errors
/// What is wrong, by the answer that is to be changed.
pub(crate) async fn connect(
    draft: &Draft,
    forest: &Forest,
    domain: &Domain,
) -> Result<Seen, Complaint> {
    let password = draft
        .secret(&forest.account_password_file)
        .map_err(|error| {
            Complaint::new(
                "the password",
                format!("{error:#}"),
                "type it, or put it into that file",
            )
        })?;
    let directory = open(draft, forest, domain, &forest.account, password)?;
    let answered = directory
        .probe()
        .await
        .map_err(|error| explain(&error, forest))?
        .domain_controller;
    Ok(Seen {
        directory,
        domain: domain.name.clone(),
        answered,
    })
}

fn open(
    draft: &Draft,
    forest: &Forest,
    domain: &Domain,
    account: &str,
    password: SecretString,
) -> Result<Arc<Directory>, Complaint> {
    let ca_pem = std::fs::read(draft.place(&forest.ca_file)).map_err(|error| {
        Complaint::new(
            "the certificate authority",
            format!("{}: {error}", forest.ca_file.display()),
            "export the forest's root certificate in PEM (on Windows: certutil -ca.cert ca.cer, then certutil -encode ca.cer ca.pem) and give its path",
        )
    })?;
    let dns_servers = forest
        .dns_servers
        .iter()
        .filter_map(|address| address.parse().ok())
        .collect();
    let config = DirectoryConfig {
        endpoints: domain.domain_controllers.clone(),
        topology: Topology {
            discover: Some(domain.name.clone()),
            dns_servers,
            ..Topology::default()
        },
        ca_pem,
        account: account.to_owned(),
        password,
        connections: 1,
        operation_timeout: TIME_OUT,
    };
    Directory::new(config).map_err(|error| {
        Complaint::new(
            "the connection",
            error.to_string(),
            "change the answer that it names",
        )
    })
}

fn explain(error: &DirectoryError, forest: &Forest) -> Complaint {
    let (field, remedy) = match error {
        DirectoryError::Misconfigured { cause, .. } if cause.contains("certificate") => (
            "the certificate authority",
            "give the root certificate that signed the domain controllers' certificates, and address them by the names in those",
        ),
        DirectoryError::Misconfigured { .. } => (
            "the account",
            "check the name and type its password again; a refused password was tried once, which locks nobody out",
        ),
        DirectoryError::Unavailable { .. } | DirectoryError::Unexpected { .. } => (
            "the domain controllers",
            "check their names, and that port 636 can be reached from here",
        ),
    };
    Complaint::new(field, format!("{}: {error}", forest.id), remedy)
}

impl Seen {
    /// All domain controllers that are known by now.
    pub(crate) fn controllers(&self) -> Vec<ControllerReport> {
        self.directory.controllers()
    }

    /// The domains of the forest, this one among them.
    pub(crate) async fn domains(&self) -> Result<Vec<DomainName>, Complaint> {
        let read = async {
            let inspection = self.directory.inspect().await?;
            inspection.domains().await
        };
        read.await.map_err(|error| unreadable(&error))
    }

    /// Whether everything the scope names is there, in this domain.
    pub(crate) async fn holds(&self, scope: &Domain) -> Result<(), Complaint> {
        let complain = |name: &str, problem: &str| {
            Complaint::new(
                format!("the scope of {}", scope.name),
                format!("{name}: {problem}"),
                "give distinguished names as the directory shows them",
            )
        };
        for name in scope.include.iter().chain(&scope.exclude) {
            if directory::domain_of(name).as_ref() != Some(&scope.name) {
                return Err(complain(name, "it is not in this domain"));
            }
            let asked = async {
                let inspection = self.directory.inspect().await?;
                inspection.is_there(name).await
            };
            if !asked.await.map_err(|error| unreadable(&error))? {
                return Err(complain(name, "there is no such unit"));
            }
        }
        Ok(())
    }

    /// The tree of the domain's organizational units, each after what holds it.
    pub(crate) async fn units(&self) -> Result<Vec<Unit>, Complaint> {
        let read = async {
            let inspection = self.directory.inspect().await?;
            inspection.units(&self.domain).await
        };
        read.await.map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &DirectoryError) -> Complaint {
    Complaint::new(
        "the directory",
        error.to_string(),
        "let the account read the domain, as every account may unless that was taken away",
    )
}

/// The number and names of what stands in a scope, as an answers file gives them.
pub(crate) fn scope(domain: &Domain) -> Result<(), Complaint> {
    directory::scope::Scope::new(&domain.include, &domain.exclude)
        .map(drop)
        .map_err(|error| {
            Complaint::new(
                format!("the scope of {}", domain.name),
                error.to_string(),
                "give distinguished names as the directory shows them",
            )
        })
}
