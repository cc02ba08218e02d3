//! Against a domain controller that loses connections on request.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::aws_lc_rs};

use operation::ObjectGuid;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::*;
use crate::{PasswordWrite, WriteError, WriteReceipt};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Bind,
    RootDse,
    Read,
    Modify,
}

#[derive(Default)]
struct State {
    seen: Vec<Request>,
    /// The next request of this kind is read, and the connection closed instead of an answer.
    to_lose: Option<Request>,
}

/// Answers what the tests ask, on as many connections as they open, for as long as the process lives.
#[derive(Clone, Default)]
struct Controller(Arc<Mutex<State>>);

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// A BER element of one byte's tag (X.690 8.1).
fn ber(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], content].concat()
}

fn attribute(name: &str, value: &[u8]) -> Vec<u8> {
    let values = ber(0x31, &ber(0x04, value));
    ber(0x30, &[ber(0x04, name.as_bytes()), values].concat())
}

fn entry(dn: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let attributes = ber(0x30, &attributes.concat());
    ber(0x64, &[ber(0x04, dn.as_bytes()), attributes].concat())
}

/// The content of one message; None when the client has gone.
fn receive(stream: &mut Stream) -> Option<Vec<u8>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let length = match head[1] {
        short @ 0..0x80 => usize::from(short),
        long => {
            let mut bytes = vec![0; usize::from(long & 0x7f)];
            stream.read_exact(&mut bytes).ok()?;
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
        }
    };
    let mut content = vec![0; length];
    stream.read_exact(&mut content).ok()?;
    Some(content)
}

impl Controller {
    fn start(&self) -> Arc<Directory> {
        let certificate = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.cert.der().clone()],
                certificate.signing_key.into(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("ldaps://{}", listener.local_addr().unwrap());
        let (controller, tls) = (self.clone(), Arc::new(tls));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let session = ServerConnection::new(Arc::clone(&tls)).unwrap();
                let controller = controller.clone();
                thread::spawn(move || controller.serve(StreamOwned::new(session, stream)));
            }
        });
        Directory::new(DirectoryConfig {
            endpoints: vec![endpoint],
            topology: Topology::default(),
            ca_pem: certificate.cert.pem().into_bytes(),
            account: "svc@corp.example.com".to_owned(),
            password: "secret".into(),
            connections: 2,
            operation_timeout: Duration::from_secs(20),
        })
        .unwrap()
    }

    fn serve(&self, mut stream: Stream) {
        while let Some(message) = receive(&mut stream) {
            // the message's number, then the operation
            let (number, operation) = message.split_at(2 + usize::from(message[1]));
            let (request, answer) = match operation[0] {
                0x60 => (Request::Bind, 0x61),
                // an empty base follows the search's own head
                0x63 if operation.windows(2).take(8).any(|pair| pair == [0x04, 0]) => {
                    (Request::RootDse, 0x65)
                }
                0x63 => (Request::Read, 0x65),
                0x66 => (Request::Modify, 0x67),
                _ => return,
            };
            {
                let mut state = self.0.lock().unwrap();
                state.seen.push(request);
                if state.to_lose == Some(request) {
                    state.to_lose = None;
                    return;
                }
            }
            let found = match request {
                Request::RootDse => Some(entry("", &[attribute("currentTime", &current_time())])),
                Request::Read => Some(entry(
                    "CN=Ana,DC=corp,DC=example,DC=com",
                    &[attribute("objectGUID", &[7; 16])],
                )),
                Request::Bind | Request::Modify => None,
            };
            let success = ber(answer, &[0x0a, 1, 0, 0x04, 0, 0x04, 0]);
            for part in found.into_iter().chain([success]) {
                if stream
                    .write_all(&ber(0x30, &[number, &part].concat()))
                    .is_err()
                {
                    return;
                }
            }
        }
    }

    fn lose(&self, request: Request) {
        self.0.lock().unwrap().to_lose = Some(request);
    }

    fn seen(&self) -> Vec<Request> {
        std::mem::take(&mut self.0.lock().unwrap().seen)
    }
}

fn current_time() -> Vec<u8> {
    let now = OffsetDateTime::now_utc();
    format!(
        "{}{:02}{:02}{:02}{:02}{:02}.0Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    )
    .into_bytes()
}

fn ana() -> ObjectGuid {
    ObjectGuid::from_bytes([7; 16])
}

async fn read(directory: &Directory) {
    assert_eq!(
        directory.read_account(ana()).await.unwrap().unwrap().guid,
        ana()
    );
}

async fn reset(directory: &Directory) -> Result<WriteReceipt, WriteError> {
    let change = PasswordWrite::Reset {
        new: "a new one".into(),
        unlock: true,
        must_change: false,
        policy_hints: crate::PolicyHints::WhenAvailable,
    };
    let deadline = Instant::now() + Duration::from_mins(5);
    directory.write(ana(), &change, deadline).await
}

#[tokio::test]
async fn one_look_at_the_clock_serves_many_exchanges() {
    let controller = Controller::default();
    let directory = controller.start();
    for _ in 0..40 {
        read(&directory).await;
        reset(&directory).await.unwrap();
    }
    let seen = controller.seen();
    assert_eq!(
        seen[..4],
        [
            Request::Bind,
            Request::RootDse,
            Request::Read,
            Request::Modify
        ]
    );
    let looks = seen.iter().filter(|one| **one == Request::RootDse).count();
    assert!(looks < 20, "{looks} looks at the clock for 80 exchanges");
}

#[tokio::test]
async fn a_read_lost_on_an_old_connection_is_read_on_a_new_one() {
    let controller = Controller::default();
    let directory = controller.start();
    read(&directory).await;
    controller.lose(Request::Read);
    read(&directory).await;
    let binds = controller
        .seen()
        .iter()
        .filter(|one| **one == Request::Bind)
        .count();
    assert_eq!(binds, 2);
}

#[tokio::test]
async fn a_lost_write_is_in_doubt_and_never_sent_again() {
    let controller = Controller::default();
    let directory = controller.start();
    read(&directory).await;
    controller.lose(Request::Modify);
    assert!(matches!(
        reset(&directory).await,
        Err(WriteError::Unknown { .. })
    ));
    assert_eq!(controller.seen().last(), Some(&Request::Modify));
    read(&directory).await;
    assert!(!controller.seen().contains(&Request::Modify));
}

#[tokio::test]
async fn a_connection_that_was_idle_is_proven_before_a_write() {
    let controller = Controller::default();
    let directory = controller.start();
    read(&directory).await;
    controller.seen();
    // nothing but time makes an answer old
    tokio::time::sleep(crate::facts::LATELY).await;
    controller.lose(Request::RootDse);
    reset(&directory).await.unwrap();
    let seen = controller.seen();
    assert_eq!(
        seen[..4],
        [
            Request::RootDse,
            Request::Bind,
            Request::RootDse,
            Request::Modify
        ]
    );
}
