//! Whatever a service prints of what it holds: no secret is in it.

use std::{fmt::Debug, time::Duration};

use bus::BrokerConfig;
use directory::{DirectoryConfig, PasswordWrite};
use operation::Kind;
use proptest::prelude::*;
use sealing::{Algorithm, Binding, Contents, KeyPair, SealedPassword};
use secrecy::SecretString;
use time::OffsetDateTime;

fn secret() -> impl Strategy<Value = String> {
    "[A-Za-z0-9 \"\\\\äß€%{}]{12,60}"
}

/// The secret as it is, as Debug escapes it, and as numbers.
fn shown_in<'a>(secret: &'a str, holder: &'a impl Debug) -> Option<String> {
    let escaped = format!("{secret:?}");
    let numbers = format!("{:?}", secret.as_bytes());
    let inner = |text: &str| {
        let mut characters = text.chars();
        characters.next();
        characters.next_back();
        characters.as_str().to_owned()
    };
    let forms = [secret.to_owned(), inner(&escaped), inner(&numbers)];
    [format!("{holder:?}"), format!("{holder:#?}")]
        .into_iter()
        .find(|shown| forms.iter().any(|form| shown.contains(form)))
}

fn reset(new: &str) -> PasswordWrite {
    PasswordWrite::Reset {
        new: new.into(),
        unlock: true,
        must_change: false,
        policy_hints: directory::PolicyHints::Never,
    }
}

proptest! {
    #[test]
    fn what_holds_a_secret_does_not_show_it(new in secret(), current in secret()) {
        let hold = |secret: &str| SecretString::from(secret);
        let contents = Contents { new_password: hold(&new), current_password: Some(hold(&current)) };
        let change = PasswordWrite::Change { current: hold(&current), new: hold(&new), unlock: true };
        let directory = DirectoryConfig {
            endpoints: Vec::new(), topology: directory::Topology::default(), ca_pem: Vec::new(), account: "svc".to_owned(), password: hold(&new),
            topology: directory::Topology::default(),
            connections: 1, operation_timeout: Duration::from_secs(1),
        };
        let broker = BrokerConfig {
            url: "amqp://127.0.0.1/writeback".to_owned(), username: "writer".to_owned(),
            password: hold(&new), ca_pem: None,
        };
        for secret in [&new, &current] {
            prop_assert_eq!(shown_in(secret, &contents), None);
            prop_assert_eq!(shown_in(secret, &change), None);
            prop_assert_eq!(shown_in(secret, &reset(secret)), None);
            prop_assert_eq!(shown_in(secret, &directory), None);
            prop_assert_eq!(shown_in(secret, &broker), None);
        }
        // the check itself: a holder that shows it is found
        prop_assert!(shown_in(&new, &vec![new.clone()]).is_some());
        prop_assert!(shown_in(&new, &new.as_bytes().to_vec()).is_some());
    }
}

#[test]
fn neither_keys_nor_seals_show_what_they_are_made_of() {
    let pair = KeyPair::generate(Algorithm::EcdhEsA256Kw, "corp".parse().unwrap()).unwrap();
    let private = pair.private_pem();
    let body = private.lines().nth(1).unwrap();
    assert_eq!(shown_in(body, &pair), None);

    let binding = Binding {
        issuer: "cloud".to_owned(),
        event_id: "1".to_owned(),
        subject: "ana@corp.example.com".to_owned(),
        kind: Kind::Reset,
    };
    let contents = Contents {
        new_password: "Neu-in-the-seal-7q".into(),
        current_password: None,
    };
    let now = OffsetDateTime::now_utc();
    let sealed: SealedPassword = sealing::seal(
        &binding,
        &contents,
        now,
        now + Duration::from_mins(1),
        &[&pair.public()],
    )
    .unwrap();
    let text = sealed.to_json_text();
    let ciphertext = text.trim_matches('"').split('.').nth(3).unwrap();
    assert_eq!(shown_in(ciphertext, &sealed), None);
    assert_eq!(shown_in("Neu-in-the-seal-7q", &sealed), None);
}
