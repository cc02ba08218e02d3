//! Whether an issuer's tokens could be checked: the same questions that intake will put to it.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::{answers::Cloud, console::Complaint, draft::Draft};
use crate::{
    failure,
    web::{self, Trust},
};

const TIME_OUT: Duration = Duration::from_secs(10);

pub(crate) fn issuer(text: &str) -> Result<String, Complaint> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" && url.query().is_none() && url.fragment().is_none() => {
            Ok(text.to_owned())
        }
        // RFC 8414 section 2
        _ => Err(Complaint::new(
            "the issuer",
            "it is no https address without query and fragment",
            "give the `iss` of its tokens, such as https://login.example.com",
        )),
    }
}

pub(crate) fn audience(text: &str) -> Result<String, Complaint> {
    if text.is_empty() {
        Err(Complaint::new(
            "the audience",
            "it is empty",
            "give the `aud` of tokens meant for Writeback, such as https://writeback.example.com",
        ))
    } else {
        Ok(text.to_owned())
    }
}

/// Where the issuer says its keys are (RFC 8414, OpenID Connect Discovery 4); None if it does not say.
pub(crate) async fn announced_key_set(issuer: &str) -> Option<String> {
    let base = issuer.trim_end_matches('/');
    for place in ["openid-configuration", "oauth-authorization-server"] {
        let address = format!("{base}/.well-known/{place}");
        let Ok(body) = fetch(&address).await else {
            continue;
        };
        let document: Value = serde_json::from_slice(&body).ok()?;
        // RFC 8414 section 3.3: another issuer's document is not to be used
        if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return None;
        }
        return document.get("jwks_uri")?.as_str().map(str::to_owned);
    }
    None
}

/// How many keys are there to check signatures with.
///
/// # Errors
/// When intake could not check a token.
pub(crate) async fn check(draft: &Draft, cloud: &Cloud) -> Result<String, Complaint> {
    let complain = |problem: String, remedy: &str| Complaint::new("the key set", problem, remedy);
    let body = if cloud.key_set.contains("://") {
        fetch(&cloud.key_set).await.map_err(|error| {
            complain(
                failure::say(&error),
                "give the address at which the issuer publishes its signing keys; it must be reachable from the intake too",
            )
        })?
    } else {
        web::read_file(&draft.place(cloud.key_set.as_ref())).map_err(|error| {
            complain(
                format!("{error:#}"),
                "give a file that can be read, or an https address",
            )
        })?
    };
    let keys = serde_json::from_slice::<Value>(&body).ok().and_then(|set| {
        Some(
            set.get("keys")?
                .as_array()?
                .iter()
                .filter(|key| is_for_signatures(key))
                .count(),
        )
    });
    match keys {
        Some(0) => Err(complain(
            "it has no key for signatures".to_owned(),
            "take the issuer's key set for tokens, not one for encryption",
        )),
        Some(count) => Ok(format!("{count} signing key(s) at {}", cloud.key_set)),
        None => Err(complain(
            "it is no JSON Web Key Set (RFC 7517)".to_owned(),
            "give the address of the keys themselves, often called jwks_uri",
        )),
    }
}

/// RFC 7517 section 4: an asymmetric key that is not for encryption.
fn is_for_signatures(key: &Value) -> bool {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    matches!(text("kty"), Some("RSA" | "EC" | "OKP")) && text("use") != Some("enc")
}

async fn fetch(address: &str) -> anyhow::Result<Vec<u8>> {
    let url = web::parse_url(address)?;
    let response = Trust::default().client(TIME_OUT)?.get(url).send().await?;
    web::body(response.error_for_status()?).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_issuer_is_an_https_address() {
        assert!(issuer("https://login.example.com/tenant").is_ok());
        for text in [
            "http://login.example.com",
            "login.example.com",
            "https://a?b=c",
            "",
        ] {
            assert!(issuer(text).is_err(), "{text}");
        }
        assert!(audience("").is_err());
    }

    #[test]
    fn keys_for_encryption_are_no_signing_keys() {
        assert!(is_for_signatures(&json!({"kty": "RSA", "use": "sig"})));
        assert!(is_for_signatures(&json!({"kty": "EC"})));
        assert!(!is_for_signatures(&json!({"kty": "RSA", "use": "enc"})));
        assert!(!is_for_signatures(&json!({"kty": "oct"})));
    }
}
