//! Whom we talk to: only a domain controller of this forest, only over TLS 1.2 or newer.

use directory::{Directory, DirectoryConfig, DirectoryError};
use operation::Reason;
use scripted_directory::{Act, Answer, Authority, Certificate, On, Received, ResultCode, Script};
use time::{Duration, OffsetDateTime};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{Forest, NEW, SHORT_TIME_OUT, TIME_OUT, refused, reset};

/// An ExtendedResponse to message 1 (RFC 4511 4.12).
const START_TLS_SUCCEEDS: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";

/// Everything that is to be refused, by what is wrong with it.
fn impostors(forest: &Forest) -> [(&'static str, Certificate); 5] {
    let today = OffsetDateTime::now_utc();
    let authority = &forest.authority;
    let address = &["127.0.0.1"];
    let until = |end| authority.certificate_until(address, end).unwrap();
    [
        (
            "another authority's",
            Authority::new().unwrap().certificate(address).unwrap(),
        ),
        (
            "for another name",
            authority.certificate(&["dc1.corp.example.com"]).unwrap(),
        ),
        (
            "for another address",
            authority.certificate(&["127.0.0.2"]).unwrap(),
        ),
        ("expired", until(today - Duration::days(1))),
        ("not yet valid", until(today + Duration::days(400))),
    ]
}

/// With LDAPS, and with StartTLS.
fn both_ways(forest: &Forest) -> [Script; 2] {
    [forest.script(), forest.script().start_tls()]
}

#[tokio::test]
async fn a_certificate_that_is_not_this_forest_s_is_refused() {
    let forest = Forest::new();
    for way in 0..2 {
        for (name, certificate) in impostors(&forest) {
            let [ldaps, start_tls] = both_ways(&forest);
            let script = if way == 0 { ldaps } else { start_tls };
            let impostor = script.start(certificate).await.unwrap();
            let directory = forest.directory(&[&impostor]);
            let read = directory.read_account(forest.ana.guid).await;
            let Err(DirectoryError::Misconfigured { cause, .. }) = read else {
                panic!("{name}: {read:?}");
            };
            assert!(cause.contains("certificate"), "{name}: {cause}");
            refused(forest.write(&directory, &reset(NEW)).await);
            let opens = directory.opens("ana", &NEW.into()).await;
            assert!(opens.is_err(), "{name}: {opens:?}");
            // not one word, and no credentials, before trust
            let spoken = impostor.count(|received| {
                !matches!(
                    received,
                    Received::Connection | Received::StartTls | Received::NoTls(_)
                )
            });
            assert_eq!(spoken, 0, "{name}: {:?}", impostor.received());
            assert_eq!(directory.certificates()[0].certificate, None, "{name}");
        }
    }
}

#[tokio::test]
async fn start_tls_comes_before_anything_else() {
    let forest = Forest::new();
    let controller = forest.start(forest.script().start_tls()).await;
    assert!(controller.url().starts_with("ldap://"));
    let directory = forest.directory(&[&controller]);
    let receipt = forest.write(&directory, &reset(NEW)).await.unwrap();
    assert_eq!(receipt.domain_controller, controller.url());
    assert_eq!(forest.password_at(&controller), NEW);
    let name = forest.ana.user_principal_name();
    let opens = directory.opens(&name, &NEW.into()).await;
    assert_eq!(opens, Ok(directory::Opens::Yes));
    let received = controller.received();
    assert_eq!(received[0], Received::Connection);
    assert_eq!(received[1], Received::StartTls);
    assert!(matches!(received[2], Received::Bind { .. }), "{received:?}");
    let started = controller.count(|received| *received == Received::StartTls);
    assert_eq!(started, controller.connections(), "on every connection");
}

#[tokio::test]
async fn without_start_tls_nothing_is_said() {
    let forest = Forest::new();
    let cases = [
        (ResultCode::ProtocolError, "refuses StartTLS", false),
        (ResultCode::UnwillingToPerform, "refuses StartTLS", false),
        (ResultCode::Unavailable, "cannot start TLS", true),
    ];
    for (result, words, transient) in cases {
        let answer = Act::Answer(Answer::new(result, "password please"));
        let script = forest.script().start_tls().always(On::StartTls, answer);
        let controller = forest.start(script).await;
        let directory = forest.directory(&[&controller]);
        let explained = refused(forest.write(&directory, &reset(NEW)).await);
        assert!(explained.detail.contains(words), "{explained}");
        assert!(!explained.detail.contains("password please"), "{explained}");
        let reason = if transient {
            Reason::ForestUnavailable
        } else {
            Reason::DirectoryMisconfigured
        };
        assert_eq!(explained.reason, reason);
        let opens = directory.opens("ana", &NEW.into()).await;
        assert!(opens.is_err(), "{opens:?}");
        let said = controller
            .count(|received| !matches!(received, Received::Connection | Received::StartTls));
        assert_eq!(said, 0, "{:?}", controller.received());
    }

    // what somebody on the way put behind the answer never counts as an answer
    let bound = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
    let injected = Act::Bytes([START_TLS_SUCCEEDS, bound].concat());
    let script = forest.script().start_tls().always(On::StartTls, injected);
    let controller = forest.start(script).await;
    let directory = forest.directory_within(&[&controller], SHORT_TIME_OUT);
    refused(forest.write(&directory, &reset(NEW)).await);
    assert_eq!(controller.binds(), 0);
}

#[tokio::test]
async fn the_end_of_certificates_is_known_once_connected() {
    let forest = Forest::new();
    let end = OffsetDateTime::now_utc() + Duration::days(20) + Duration::hours(1);
    let certificate = forest
        .authority
        .certificate_until(&["127.0.0.1"], end)
        .unwrap();
    let controller = forest.script().start(certificate).await.unwrap();
    let directory = forest.directory(&[&controller]);
    let [before] = &directory.certificates()[..] else {
        panic!("one for each domain controller");
    };
    assert_eq!(before.domain_controller, controller.url());
    assert_eq!(before.certificate, None);
    let now = OffsetDateTime::now_utc();
    assert!(directory::days_left(before.authority, now) > 365);
    directory.probe().await.unwrap();
    let after = directory.certificates()[0].certificate.unwrap();
    assert_eq!(directory::days_left(after, now), 20);
}

#[tokio::test]
async fn another_authority_is_trusted_from_the_moment_it_is_there() {
    let forest = Forest::new();
    let controller = forest.start(forest.script()).await;
    let directory = forest.directory(&[&controller]);
    forest.write(&directory, &reset(NEW)).await.unwrap();

    let other = Authority::new().unwrap();
    directory.renew_authority(&other.pem()).unwrap();
    let explained = refused(forest.write(&directory, &reset("Other-Passw0rd")).await);
    assert!(explained.detail.contains("certificate"), "{explained}");
    assert_eq!(
        forest.password_at(&controller),
        NEW,
        "no connection of before was used"
    );

    directory.renew_authority(b"nothing").unwrap_err();
    let both = [other.pem(), forest.authority.pem()].concat();
    directory.renew_authority(&both).unwrap();
    forest
        .write(&directory, &reset("Other-Passw0rd"))
        .await
        .unwrap();
    let connections = controller.connections();
    // the same again is no news
    directory.renew_authority(&both).unwrap();
    directory.probe().await.unwrap();
    assert_eq!(controller.connections(), connections);
}

/// ServerHello of TLS 1.1 (RFC 4346 7.4.1.3), with a cipher suite that all of its time had.
fn server_hello_1_1() -> Vec<u8> {
    let mut hello = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0x00, 0x2f, 0]);
    hello
}

#[tokio::test]
async fn tls_1_1_is_refused() {
    for scheme in ["ldaps", "ldap"] {
        refuses_tls_1_1(scheme).await;
    }
}

async fn refuses_tls_1_1(scheme: &str) {
    let forest = Forest::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap());
    let starts_tls = scheme == "ldap";
    let old = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        if starts_tls {
            let mut request = [0; 31];
            socket.read_exact(&mut request).await.unwrap();
            socket.write_all(START_TLS_SUCCEEDS).await.unwrap();
        }
        let mut header = [0; 5];
        socket.read_exact(&mut header).await.unwrap();
        let length = u16::from_be_bytes([header[3], header[4]]);
        let mut hello = vec![0; usize::from(length)];
        socket.read_exact(&mut hello).await.unwrap();
        socket.write_all(&server_hello_1_1()).await.unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        (header[0], answer)
    });
    let directory = forest.directory_at(vec![endpoint], TIME_OUT);
    let read = directory.read_account(forest.ana.guid).await;
    assert!(
        matches!(read, Err(DirectoryError::Unavailable { .. })),
        "{read:?}"
    );
    let (began, answer) = old.await.unwrap();
    assert_eq!(began, 0x16, "the client begins with a handshake");
    // RFC 8446 6: a fatal alert, protocol_version
    assert_eq!(answer.get(5..), Some(&[2, 70][..]), "{answer:?}");
}

#[tokio::test]
async fn nothing_is_said_in_the_clear() {
    let forest = Forest::new();
    for endpoint in ["ldapi:///run/samba/ldapi", "127.0.0.1:389"] {
        let refused = Directory::new(DirectoryConfig {
            endpoints: vec![endpoint.to_owned()],
            topology: directory::Topology::default(),
            ca_pem: forest.authority.pem(),
            account: "svc".to_owned(),
            password: "secret".into(),
            connections: 1,
            operation_timeout: TIME_OUT,
        });
        assert!(refused.is_err(), "{endpoint}");
    }

    // a server that speaks LDAP in the clear hears a TLS handshake, and no more
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("ldaps://{}", listener.local_addr().unwrap());
    let clear = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 5];
        socket.read_exact(&mut heard).await.unwrap();
        // a bind's success, as if one had been asked for
        let success = [0x30, 12, 2, 1, 1, 0x61, 7, 10, 1, 0, 4, 0, 4, 0];
        socket.write_all(&success).await.unwrap();
        let _ = socket.read_to_end(&mut heard).await;
        heard
    });
    let directory = forest.directory_at(vec![endpoint], SHORT_TIME_OUT);
    let read = directory.read_account(forest.ana.guid).await;
    assert!(
        matches!(read, Err(DirectoryError::Unavailable { .. })),
        "{read:?}"
    );
    let heard = clear.await.unwrap();
    assert_eq!(heard[0], 0x16);
    let account = scripted_directory::SERVICE_ACCOUNT.as_bytes();
    assert!(!heard.windows(account.len()).any(|window| window == account));
}
