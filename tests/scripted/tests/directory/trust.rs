//! Whom we talk to: only a domain controller of this forest, only over TLS 1.2 or newer.

use directory::{Directory, DirectoryConfig, DirectoryError};
use scripted_directory::{Authority, Certificate, Received};
use time::{Duration, OffsetDateTime};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{Forest, NEW, SHORT_TIME_OUT, TIME_OUT, refused, reset};

#[tokio::test]
async fn a_certificate_that_is_not_this_forest_s_is_refused() {
    let forest = Forest::new();
    let today = OffsetDateTime::now_utc();
    let authority = &forest.authority;
    let cases: [(&str, Certificate); 5] = [
        (
            "another authority's",
            Authority::new()
                .unwrap()
                .certificate(&["127.0.0.1"])
                .unwrap(),
        ),
        (
            "for another name",
            authority.certificate(&["dc1.corp.example.com"]).unwrap(),
        ),
        (
            "for another address",
            authority.certificate(&["127.0.0.2"]).unwrap(),
        ),
        (
            "expired",
            authority
                .certificate_until(&["127.0.0.1"], today - Duration::days(1))
                .unwrap(),
        ),
        (
            "not yet valid",
            authority
                .certificate_until(&["127.0.0.1"], today + Duration::days(400))
                .unwrap(),
        ),
    ];
    for (name, certificate) in cases {
        let impostor = forest.script().start(certificate).await.unwrap();
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
        let spoken = impostor
            .count(|received| !matches!(received, Received::Connection | Received::NoTls(_)));
        assert_eq!(spoken, 0, "{name}");
    }
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
    let forest = Forest::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("ldaps://{}", listener.local_addr().unwrap());
    let old = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
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
    for endpoint in [
        "ldap://127.0.0.1:389",
        "ldapi:///run/samba/ldapi",
        "127.0.0.1:389",
    ] {
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
