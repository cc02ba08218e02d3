//! Proofs of the whole crate: against itself, the RFCs, a foreign implementation and noise.

mod binding;
mod foreign;
mod keyring;
mod noise;
mod vectors;
mod wire;

use std::{sync::LazyLock, time::Duration};

use operation::{ForestId, Kind};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::datetime};

use crate::{
    Algorithm, Binding, Contents, KeyPair, OpenError, PrivateKeys, PublicKey, SealedPassword, seal,
};

const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);
const SKEW: Duration = Duration::from_mins(1);
/// Characters JSON escapes, and some it need not.
const NEW: &str = "Ψ-\"quoted\"\\back\nline-\u{1f511}";
const CURRENT: &str = "old and plain";

/// One key of each algorithm, made once: RSA keys are slow to make.
static PEMS: LazyLock<[(Algorithm, String); 2]> = LazyLock::new(|| {
    Algorithm::ALL.map(|algorithm| {
        let pair = KeyPair::generate(algorithm, forest("corp")).unwrap();
        (algorithm, pair.private_pem().to_string())
    })
});

fn forest(id: &str) -> ForestId {
    id.parse().unwrap()
}

fn pair(algorithm: Algorithm, forest_id: &str) -> KeyPair {
    let (_, pem) = PEMS.iter().find(|(alg, _)| *alg == algorithm).unwrap();
    KeyPair::from_pem(pem, forest(forest_id)).unwrap()
}

fn keys(algorithm: Algorithm) -> PrivateKeys {
    [pair(algorithm, "corp")].into_iter().collect()
}

fn binding(kind: Kind) -> Binding {
    Binding {
        issuer: "https://cloud.example/reset".to_owned(),
        event_id: "event-1".to_owned(),
        subject: "F39S0tSk4UuMr1cWqfUUxw==".to_owned(),
        kind,
    }
}

fn contents() -> Contents {
    Contents {
        new_password: SecretString::from(NEW),
        current_password: Some(SecretString::from(CURRENT)),
    }
}

fn sealed(kind: Kind, keys: &[&PublicKey]) -> SealedPassword {
    let expires = NOW + Duration::from_mins(5);
    seal(&binding(kind), &contents(), NOW, expires, keys).unwrap()
}

fn open(
    keys: &PrivateKeys,
    sealed: &SealedPassword,
    kind: Kind,
) -> Result<(String, Option<String>), OpenError> {
    let contents = keys.open(sealed, &binding(kind), NOW, SKEW)?;
    let text = |secret: &SecretString| secret.expose_secret().to_owned();
    Ok((
        text(&contents.new_password),
        contents.current_password.as_ref().map(text),
    ))
}

fn wire(sealed: &SealedPassword) -> Value {
    serde_json::from_str(&sealed.to_json_text()).unwrap()
}

/// What a well-meaning sender puts into a change.
fn claims() -> Value {
    json!({
        "iss": "https://cloud.example/reset", "jti": "event-1",
        "sub": "F39S0tSk4UuMr1cWqfUUxw==", "purpose": "change",
        "iat": NOW.unix_timestamp(), "exp": NOW.unix_timestamp() + 300,
        "newPassword": NEW, "currentPassword": CURRENT,
    })
}
