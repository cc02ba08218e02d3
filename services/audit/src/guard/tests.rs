use std::fs;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::config::OperatorTokens;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use super::*;

const ADMIT: &str = "/writeback.v1.Admission/Admit";
const PRECEDENTS: &str = "/writeback.v1.Ledger/Precedents";
const VERIFY: &str = "/writeback.v1.Ledger/Verify";
const SET: &str = "/writeback.v1.Settings/SetSettings";

/// A guard that believes one issuer, and that issuer's key.
struct Post {
    guard: Guard,
    key: EncodingKey,
}

impl Post {
    async fn new(settings: Audit) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let keys = json!({ "keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k",
            "x": URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
        }] });
        let file = std::env::temp_dir().join(format!("guard-{}.json", uuid::Uuid::now_v7()));
        fs::write(&file, keys.to_string()).unwrap();
        let tokens = OperatorTokens {
            issuer: "https://issuer.example".to_owned(),
            audience: "audit".to_owned(),
            jwks_file: Some(file.clone()),
            jwks_url: None,
        };
        let guard = Guard::new(&Audit {
            tokens: Some(tokens),
            ..settings
        })
        .await
        .unwrap();
        fs::remove_file(file).unwrap();
        Self {
            guard,
            key: EncodingKey::from_ed_der(pkcs8.as_ref()),
        }
    }

    fn token(&self, audience: &str, scope: &str) -> HeaderMap {
        let header = Header {
            typ: Some("at+jwt".to_owned()),
            kid: Some("k".to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        let claims = json!({
            "iss": "https://issuer.example", "aud": audience, "sub": "ana", "client_id": "ctl",
            "exp": get_current_timestamp() + 60, "scope": scope,
        });
        let token = encode(&header, &claims, &self.key).unwrap();
        let value = format!("Bearer {token}").parse().unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    async fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
        certificate: Option<&str>,
    ) -> Result<Option<Operator>, Refused> {
        let certificate = certificate.map(|name| {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(vec![name.to_owned()])
                .unwrap()
                .self_signed(&key)
                .unwrap();
            certificate.der().clone()
        });
        let right = rights::of(path).unwrap();
        self.guard
            .0
            .admit(right, headers, certificate.as_ref())
            .await
    }
}

fn with_certificates() -> Audit {
    Audit {
        client_ca_file: Some("ca.pem".into()),
        ..Audit::default()
    }
}

#[tokio::test]
async fn an_operator_may_do_what_the_scopes_say_and_nothing_that_is_a_services() {
    let post = Post::new(with_certificates()).await;
    let reader = post.token("audit", "ledger.read");
    let ana = Some(Operator("ana".to_owned()));
    assert_eq!(post.admit(VERIFY, &reader, None).await, Ok(ana.clone()));
    assert_eq!(
        post.admit(SET, &reader, None).await,
        Err(Refused::Token(AccessError::InsufficientScope(
            "settings.write"
        )))
    );
    let writer = post.token("audit", "settings.write");
    assert_eq!(post.admit(SET, &writer, None).await, Ok(ana));
    let all = post.token("audit", "ledger.read settings.write keys.write");
    for path in [ADMIT, PRECEDENTS] {
        assert_eq!(
            post.admit(path, &all, None).await,
            Err(Refused::NotTheirs("an operator"))
        );
    }
    // a certificate does not mend a token
    let elsewhere = post.token("intake", "ledger.read");
    let refused = post.admit(VERIFY, &elsewhere, Some("intake")).await;
    assert!(matches!(
        refused,
        Err(Refused::Token(AccessError::Invalid(_)))
    ));
}

#[tokio::test]
async fn a_service_may_make_its_own_calls_and_no_others() {
    let post = Post::new(with_certificates()).await;
    let nothing = HeaderMap::new();
    assert_eq!(post.admit(ADMIT, &nothing, Some("intake")).await, Ok(None));
    assert_eq!(
        post.admit(PRECEDENTS, &nothing, Some("writer")).await,
        Ok(None)
    );
    for (path, name, who) in [
        (ADMIT, "writer", "a writer"),
        (PRECEDENTS, "intake", "an intake"),
        (ADMIT, "resolver", "a resolver"),
        (SET, "intake", "an intake"),
        (VERIFY, "writer", "a writer"),
    ] {
        assert_eq!(
            post.admit(path, &nothing, Some(name)).await,
            Err(Refused::NotTheirs(who)),
            "{path}"
        );
    }
    for stranger in [None, Some("intake.example.com"), Some("audit")] {
        let refused = post.admit(ADMIT, &nothing, stranger).await;
        assert_eq!(refused, Err(Refused::Nobody), "{stranger:?}");
    }
}

#[tokio::test]
async fn without_certificates_whoever_comes_is_a_service_but_no_operator() {
    let post = Post::new(Audit {
        services_without_certificates: true,
        ..Audit::default()
    })
    .await;
    let nothing = HeaderMap::new();
    assert_eq!(post.admit(ADMIT, &nothing, None).await, Ok(None));
    for path in [SET, VERIFY] {
        assert_eq!(post.admit(path, &nothing, None).await, Err(Refused::Nobody));
    }
}

#[tokio::test]
async fn it_must_be_said_how_services_are_known() {
    let problem = async |settings: Audit| {
        let error = Guard::new(&settings).await.err().unwrap();
        assert!(error.downcast_ref::<ConfigError>().is_some(), "{error:#}");
        format!("{error:#}")
    };
    let silent = problem(Audit::default()).await;
    assert!(silent.contains("audit.client_ca_file"), "{silent}");
    let both = problem(Audit {
        services_without_certificates: true,
        ..with_certificates()
    })
    .await;
    assert!(both.contains("services_without_certificates"), "{both}");
}

#[tokio::test]
async fn without_an_issuer_no_token_opens_anything() {
    let guard = Guard::new(&with_certificates()).await.unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, "Bearer x".parse().unwrap())]);
    let right = rights::of(VERIFY).unwrap();
    assert_eq!(
        guard.0.admit(right, &headers, None).await,
        Err(Refused::NoOperators)
    );
}
