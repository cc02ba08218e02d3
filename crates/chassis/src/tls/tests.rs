use std::{fs, io, path::PathBuf, sync::Mutex, time::Duration};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::*;
use crate::config::{Intake, Section};

/// A folder with a pair.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("writeback-tls-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(&folder).unwrap();
        let folder = Self(folder);
        folder.renew();
        folder
    }

    fn write(&self, certificate: &str, key: &str) {
        fs::write(self.0.join("tls.crt"), certificate).unwrap();
        fs::write(self.0.join("tls.key"), key).unwrap();
    }

    fn renew(&self) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        self.write(&cert.pem(), &signing_key.serialize_pem());
    }

    fn files(&self) -> CertificateFiles {
        let settings = Intake {
            certificate_file: Some(self.0.join("tls.crt")),
            key_file: Some(self.0.join("tls.key")),
            ..Intake::default()
        };
        settings.certificate_files().unwrap().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    let patience = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), patience)
        .await
        .unwrap();
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn count(&self, text: &str) -> usize {
        let log = self.0.lock().unwrap();
        String::from_utf8_lossy(&log).matches(text).count()
    }
}

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_renewed_pair_is_taken_and_a_bad_one_leaves_the_one_before() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let folder = Folder::new();
    let (tls, following) = ServerTls::read(folder.files(), HTTP_2).unwrap();
    let certificates = Certificates::default();
    let first = tls.current();
    assert_eq!(first.alpn_protocols, [b"h2".to_vec()]);
    let following = tokio::spawn(following.run(certificates.clone()));
    folder.renew();
    until(|| !Arc::ptr_eq(&first, &tls.current())).await;
    let [(Section::Intake, told)] = certificates.now()[..] else {
        panic!("{:?}", certificates.now());
    };
    assert!(told.certificate.is_some() && told.authority.is_none());

    let second = tls.current();
    let good = |name: &str| fs::read_to_string(folder.0.join(name)).unwrap();
    let (certificate, key) = (good("tls.crt"), good("tls.key"));
    let stranger = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let bad = [
        (certificate.as_str(), stranger.as_str()),
        ("", &key),
        (&certificate, ""),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            &key,
        ),
    ];
    for (told_before, (certificate, key)) in bad.into_iter().enumerate() {
        folder.write(certificate, key);
        until(|| log.count("cannot be used") > told_before).await;
        // once, and half of what was being written is not judged
        assert_eq!(log.count("cannot be used"), told_before + 1);
        assert!(Arc::ptr_eq(&second, &tls.current()), "{certificate} {key}");
        assert_eq!(certificates.now(), [(Section::Intake, told)]);
    }
    folder.renew();
    until(|| !Arc::ptr_eq(&second, &tls.current())).await;
    following.abort();
}

#[tokio::test]
async fn a_pair_that_cannot_be_used_at_the_start_is_refused() {
    let folder = Folder::new();
    folder.write("", "");
    assert!(ServerTls::read(folder.files(), HTTP_2).is_err());
}
