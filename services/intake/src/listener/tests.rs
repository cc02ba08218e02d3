use axum::routing::get;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Client};
use tokio::{io::AsyncReadExt as _, sync::Notify, task::JoinHandle};

use super::*;

/// A door that answers `/` at once and `/slow` when it is told to.
struct House {
    address: SocketAddr,
    certificate: String,
    entered: Arc<Notify>,
    go: Arc<Notify>,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

/// From files that are gone when it has been read.
fn served(certificate: &str, key: &str) -> ServerTls {
    let folder = std::env::temp_dir().join(format!("writeback-door-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&folder).unwrap();
    let settings = chassis::config::Intake {
        certificate_file: Some(folder.join("door.pem")),
        key_file: Some(folder.join("door.key")),
        ..chassis::config::Intake::default()
    };
    std::fs::write(folder.join("door.pem"), certificate).unwrap();
    std::fs::write(folder.join("door.key"), key).unwrap();
    let files = settings.certificate_files().unwrap().unwrap();
    let (tls, _) = ServerTls::read(files, chassis::tls::HTTP_1_1).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    tls
}

async fn house(with_tls: bool) -> House {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = with_tls.then(|| served(&cert.pem(), &signing_key.serialize_pem()));
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), tls)
        .await
        .unwrap();
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (entered, go) = (Arc::clone(&entered), Arc::clone(&go));
        move || {
            let (entered, go) = (Arc::clone(&entered), Arc::clone(&go));
            async move {
                entered.notify_one();
                go.notified().await;
                "late"
            }
        }
    };
    let router = Router::new()
        .route("/", get(|| std::future::ready("home")))
        .route("/slow", get(slow));
    let (address, shutdown) = (listener.address(), CancellationToken::new());
    let stop = shutdown.clone();
    let serving = tokio::spawn(async move { listener.serve(router, &stop).await });
    House {
        address,
        certificate: cert.pem(),
        entered,
        go,
        shutdown,
        serving,
    }
}

fn client(trusted: &[&str], address: SocketAddr) -> Client {
    let _ = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider().install_default();
    let certificates = trusted
        .iter()
        .map(|pem| Certificate::from_pem(pem.as_bytes()).unwrap());
    Client::builder()
        .tls_certs_only(certificates)
        .resolve("localhost", address)
        .build()
        .unwrap()
}

fn url(scheme: &str, address: SocketAddr, path: &str) -> String {
    format!("{scheme}://localhost:{}{path}", address.port())
}

#[tokio::test]
async fn tls_is_ended_here_and_plain_callers_are_turned_away() {
    let house = house(true).await;
    let caller = client(&[&house.certificate], house.address);
    let secure = url("https", house.address, "/");
    let home = caller.get(&secure).send().await.unwrap();
    assert_eq!(home.text().await.unwrap(), "home");
    let plain = url("http", house.address, "/");
    assert!(caller.get(plain).send().await.is_err());
    let CertifiedKey { cert: other, .. } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let stranger = client(&[&other.pem()], house.address);
    assert!(stranger.get(&secure).send().await.is_err());
    house.shutdown.cancel();
    house.serving.await.unwrap();
}

#[tokio::test]
async fn who_says_nothing_holds_up_nobody() {
    let house = house(true).await;
    let mut silent = TcpStream::connect(house.address).await.unwrap();
    let caller = client(&[&house.certificate], house.address);
    let home = caller.get(url("https", house.address, "/")).send().await;
    assert_eq!(home.unwrap().status(), 200);
    house.shutdown.cancel();
    house.serving.await.unwrap();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_request_under_way_gets_its_answer_before_the_end() {
    let House {
        address,
        entered,
        go,
        shutdown,
        serving,
        ..
    } = house(false).await;
    let slow = client(&[], address).get(url("http", address, "/slow"));
    let asking = tokio::spawn(async move { slow.send().await.unwrap().text().await });
    entered.notified().await;
    shutdown.cancel();
    assert!(!serving.is_finished());
    go.notify_one();
    assert_eq!(asking.await.unwrap().unwrap(), "late");
    serving.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
