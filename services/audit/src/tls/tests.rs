use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc};

use chassis::config::{Audit, Ledger};
use chassis::tls::HTTP_2;
use proto::v1::{self, ledger_client::LedgerClient};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::*;
use crate::{
    appender, claiming, guard::Guard, news::News, rpc::Rpc, signing::SigningKey, standing::Standing,
};

/// A folder with a certificate for 127.0.0.1, its key, and the authority that signed it.
struct Certified(PathBuf);

impl Certified {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("writeback-audit-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(&folder).unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().unwrap();
        let certify = |name: &str, key: &KeyPair| {
            let wanted = CertificateParams::new(vec![name.to_owned()]).unwrap();
            wanted.signed_by(key, &issuer).unwrap()
        };
        let certificate = certify("127.0.0.1", &key);
        for name in ["intake", "resolver"] {
            let key = KeyPair::generate().unwrap();
            fs::write(
                folder.join(format!("{name}.pem")),
                certify(name, &key).pem(),
            )
            .unwrap();
            fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        fs::write(folder.join("ca.pem"), authority_pem).unwrap();
        fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
        fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
        Self(folder)
    }

    fn copy_of(other: &Self) -> Self {
        let folder = std::env::temp_dir().join(format!("writeback-audit-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(&folder).unwrap();
        for file in fs::read_dir(&other.0).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
        Self(folder)
    }

    fn settings(&self) -> Audit {
        Audit {
            certificate_file: Some(self.0.join("server.pem")),
            key_file: Some(self.0.join("server.key")),
            services_without_certificates: true,
            ..Audit::default()
        }
    }

    /// How a service of this name reaches audit.
    fn service(&self, name: &str, url: &str) -> Ledger {
        Ledger {
            urls: vec![url.to_owned()],
            ca_file: Some(self.0.join("ca.pem")),
            certificate_file: Some(self.0.join(format!("{name}.pem"))),
            key_file: Some(self.0.join(format!("{name}.key"))),
        }
    }
}

impl Drop for Certified {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Serves without a database: what is asked here is refused before one is needed.
async fn serve(settings: &Audit) -> SocketAddr {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let pool = sqlx::postgres::PgPoolOptions::new()
        .connect_lazy("postgres://nobody@127.0.0.1:1/nothing")
        .unwrap();
    let key = Arc::new(SigningKey::generate());
    let news = News::new();
    let service = "audit".to_owned();
    let (appender, _) =
        appender::appender(pool.clone(), Arc::clone(&key), 0, service, news.clone());
    let news = News::new();
    let broker = chassis::Readiness::default().require("broker");
    let (claims, _) = claiming::claims(sqlx::postgres::PgConnectOptions::new());
    let (standing, _) = Standing::new("audit-1".to_owned(), news.clone(), broker);
    let rpc = Rpc {
        pool,
        appender,
        claims,
        news,
        standing,
        key,
        shutdown: CancellationToken::new(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let guard = Guard::new(settings).await.unwrap();
    let files = settings.certificate_files().unwrap();
    let tls = files.map(|files| {
        let (tls, following) = ServerTls::read(files, HTTP_2).unwrap();
        tokio::spawn(following.run(chassis::Certificates::default()));
        tls
    });
    tokio::spawn(rpc.serve(listener, tls, guard));
    address
}

/// How a question with a malformed id is answered.
async fn ask(url: String, ca_file: Option<PathBuf>) -> Code {
    let ledger = Ledger {
        urls: vec![url],
        ca_file,
        certificate_file: None,
        key_file: None,
    };
    ask_as(&ledger).await
}

async fn ask_as(ledger: &Ledger) -> Code {
    let channel = chassis::rpc::ledger_channel(ledger).unwrap().0;
    let request = v1::GetOperationRequest { id: "?".to_owned() };
    let call = LedgerClient::new(channel);
    let answer = { call }.get_operation(request).await;
    answer.unwrap_err().code()
}

#[tokio::test]
async fn with_a_certificate_only_tls_is_spoken_and_only_its_authority_believed() {
    let ours = Certified::new();
    let other = Certified::new();
    let address = serve(&ours.settings()).await;
    let (secure, plain) = (format!("https://{address}"), format!("http://{address}"));
    let ca = |certified: &Certified| Some(certified.0.join("ca.pem"));
    assert_eq!(ask(secure.clone(), ca(&ours)).await, Code::InvalidArgument);
    assert_ne!(ask(secure, ca(&other)).await, Code::InvalidArgument);
    assert_ne!(ask(plain, None).await, Code::InvalidArgument);
}

#[tokio::test]
async fn without_a_certificate_it_is_plain() {
    let address = serve(&Audit {
        services_without_certificates: true,
        ..Audit::default()
    })
    .await;
    let answer = ask(format!("http://{address}"), None).await;
    assert_eq!(answer, Code::InvalidArgument);
}

/// To services alone that this authority vouches for.
async fn serve_services_of(authority: &Certified) -> String {
    let settings = Audit {
        services_without_certificates: false,
        client_ca_file: Some(authority.0.join("ca.pem")),
        ..authority.settings()
    };
    format!("https://{}", serve(&settings).await)
}

#[tokio::test]
async fn a_service_is_known_by_the_certificate_that_its_authority_signed() {
    let (ours, other) = (Certified::new(), Certified::new());
    let url = serve_services_of(&ours).await;
    // the guard let it through: what was asked was looked at
    assert_eq!(
        ask_as(&ours.service("intake", &url)).await,
        Code::InvalidArgument
    );
    assert_eq!(
        ask_as(&ours.service("resolver", &url)).await,
        Code::PermissionDenied
    );
    assert_eq!(
        ask(url.clone(), Some(ours.0.join("ca.pem"))).await,
        Code::Unauthenticated
    );
    let forged = Ledger {
        ca_file: Some(ours.0.join("ca.pem")),
        ..other.service("intake", &url)
    };
    // refused in the handshake: nobody answers
    let answer = ask_as(&forged).await;
    assert!(
        matches!(answer, Code::Unavailable | Code::Unknown),
        "{answer:?}"
    );
}

/// Asks over one channel until it is answered so.
async fn until_answered(mut ask: impl AsyncFnMut() -> Code, wanted: impl Fn(Code) -> bool) {
    let patience = async {
        while !wanted(ask().await) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), patience)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_renewed_holds_for_new_connections_and_open_ones_stay() {
    let (ours, other) = (Certified::new(), Certified::new());
    let url = serve_services_of(&ours).await;
    let (open, following) = chassis::rpc::ledger_channel(&ours.service("intake", &url)).unwrap();
    // nobody follows it: it stays with what it has
    drop(following);
    let call = async |channel: chassis::rpc::LedgerChannel| {
        let request = v1::GetOperationRequest { id: "?".to_owned() };
        let answer = { LedgerClient::new(channel) }.get_operation(request).await;
        answer.unwrap_err().code()
    };
    assert_eq!(call(open.clone()).await, Code::InvalidArgument);
    let followed = ours.service("resolver", &url);
    let (followed, following) = chassis::rpc::ledger_channel(&followed).unwrap();
    tokio::spawn(following.run(chassis::Certificates::default()));
    assert_eq!(call(followed.clone()).await, Code::PermissionDenied);

    let stranger = Ledger {
        ca_file: Some(other.0.join("ca.pem")),
        ..other.service("intake", &url)
    };
    assert_ne!(ask_as(&stranger).await, Code::InvalidArgument);
    // to another authority and back: who was a stranger is known, and who was known is a stranger
    let copy = |name: &str| fs::copy(other.0.join(name), ours.0.join(name)).unwrap();
    let before = Certified::copy_of(&ours);
    for name in ["ca.pem", "server.pem", "server.key"] {
        copy(name);
    }
    let known = async || ask_as(&stranger).await;
    until_answered(known, |code| code == Code::InvalidArgument).await;
    let removed = Ledger {
        ca_file: Some(other.0.join("ca.pem")),
        ..before.service("intake", &url)
    };
    assert_ne!(ask_as(&removed).await, Code::InvalidArgument);
    assert_eq!(
        call(open.clone()).await,
        Code::InvalidArgument,
        "it stays open"
    );
    // the one that follows its files goes over to what they hold: here another service's
    for (intake_s, followed) in [
        ("intake.pem", "resolver.pem"),
        ("intake.key", "resolver.key"),
    ] {
        fs::copy(other.0.join(intake_s), ours.0.join(followed)).unwrap();
    }
    until_answered(
        async || call(followed.clone()).await,
        |code| code == Code::InvalidArgument,
    )
    .await;
}

#[tokio::test]
async fn who_says_nothing_keeps_nobody_waiting() {
    let ours = Certified::new();
    let address = serve(&ours.settings()).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    let asked = ask(format!("https://{address}"), Some(ours.0.join("ca.pem")));
    let answer = tokio::time::timeout(HANDSHAKE_TIME_OUT / 2, asked).await;
    assert_eq!(answer.unwrap(), Code::InvalidArgument);
}
