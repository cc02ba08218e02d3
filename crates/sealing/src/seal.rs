//! Seal, and open what binds.

use std::{borrow::Cow, time::Duration};

use aws_lc_rs::error::Unspecified;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use operation::Kind;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{
    Claim, OpenError, PrivateKeys, PublicKey, SealError, SealedPassword,
    claims::{Claims, Secret, seconds},
    content::{decrypt, encrypt, fresh_key},
    jwe::MAXIMUM_RECIPIENTS,
};

/// The directory's own limit on a password (MS-SAMR, SAMPR_USER_PASSWORD: 256 WCHARs).
const MAXIMUM_CODE_UNITS: usize = 256;

/// As the directory counts: in UTF-16, where a character outside the Basic Multilingual Plane is two.
fn too_long(password: &str) -> bool {
    password.encode_utf16().count() > MAXIMUM_CODE_UNITS
}

/// Whoever signs in hands the password over as text that ends at a NUL: nobody could enter it.
fn has_nul(password: &str) -> bool {
    password.contains('\0')
}

/// The operation a sealed password belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The event's `source`.
    pub issuer: String,
    /// The event's `id`.
    pub event_id: String,
    /// The person, as the event names them: source anchor, else SID, else user principal name.
    pub subject: String,
    pub kind: Kind,
}

/// What is sealed.
#[derive(Debug, Clone)]
pub struct Contents {
    pub new_password: SecretString,
    /// For a change.
    pub current_password: Option<SecretString>,
}

/// Seals to every key: one key gives a compact JWE, several a General JSON one.
pub fn seal(
    binding: &Binding,
    contents: &Contents,
    issued_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    keys: &[&PublicKey],
) -> Result<SealedPassword, SealError> {
    check_keys(keys)?;
    if issued_at >= expires_at {
        return Err(SealError::ExpiresBeforeIssued);
    }
    let mut content = claims_of(binding, contents, issued_at, expires_at)?
        .to_json()
        .map_err(|_| SealError::Cryptography)?;
    encrypt_to(keys, &mut content).map_err(|_| SealError::Cryptography)
}

fn check_keys(keys: &[&PublicKey]) -> Result<(), SealError> {
    if keys.is_empty() {
        return Err(SealError::NoKeys);
    }
    if keys.len() > MAXIMUM_RECIPIENTS {
        return Err(SealError::TooManyKeys(MAXIMUM_RECIPIENTS));
    }
    for (position, key) in keys.iter().enumerate() {
        if keys
            .iter()
            .take(position)
            .any(|k| k.forest() == key.forest())
        {
            return Err(SealError::ForestTwice(key.forest().clone()));
        }
    }
    Ok(())
}

fn claims_of<'a>(
    binding: &'a Binding,
    contents: &'a Contents,
    issued_at: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<Claims<'a>, SealError> {
    let checked = |password: &'a SecretString| {
        let password = password.expose_secret();
        if too_long(password) {
            return Err(SealError::PasswordTooLong);
        }
        if has_nul(password) {
            return Err(SealError::PasswordHasNul);
        }
        Ok(Secret(Cow::Borrowed(password)))
    };
    let new_password = checked(&contents.new_password)?;
    if new_password.0.is_empty() {
        return Err(SealError::PasswordEmpty);
    }
    let current_password = match binding.kind {
        Kind::Unlock => return Err(SealError::NothingToSeal),
        // A reset does not ask for it; what nobody needs is not sent.
        Kind::Reset => None,
        Kind::Change => contents
            .current_password
            .as_ref()
            .map(checked)
            .transpose()?
            .filter(|current| !current.0.is_empty())
            .map(Some)
            .ok_or(SealError::CurrentPasswordMissing)?,
    };
    Ok(Claims {
        iss: Cow::Borrowed(&binding.issuer),
        jti: Cow::Borrowed(&binding.event_id),
        sub: Cow::Borrowed(&binding.subject),
        purpose: Cow::Borrowed(binding.kind.as_str()),
        iat: issued_at.unix_timestamp().into(),
        exp: expires_at.unix_timestamp().into(),
        new_password,
        current_password,
    })
}

pub(crate) fn encrypt_to(
    keys: &[&PublicKey],
    content: &mut [u8],
) -> Result<SealedPassword, Unspecified> {
    let key = fresh_key()?;
    let recipients = keys
        .iter()
        .map(|recipient| recipient.encrypt_key(&key))
        .collect::<Result<Vec<_>, _>>()?;
    let mut protected = match recipients.as_slice() {
        [only] => only.header(),
        _ => Map::new(),
    };
    protected.insert("enc".to_owned(), json!("A256GCM"));
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let protected = text(Value::Object(protected).to_string().as_bytes());
    let (iv, tag) = encrypt(&key, protected.as_bytes(), content)?;
    let (iv, ciphertext, tag) = (text(&iv), text(content), text(&tag));
    let wire = match recipients.as_slice() {
        [only] => {
            let encrypted_key = text(only.encrypted());
            json!(format!(
                "{protected}.{encrypted_key}.{iv}.{ciphertext}.{tag}"
            ))
        }
        several => {
            let recipients: Vec<Value> = several
                .iter()
                .map(|it| json!({ "header": it.header(), "encrypted_key": text(it.encrypted()) }))
                .collect();
            json!({
                "protected": protected, "recipients": recipients,
                "iv": iv, "ciphertext": ciphertext, "tag": tag,
            })
        }
    };
    // Reading it back is the proof that it is one, and the only way such a value is ever made.
    SealedPassword::parse(&wire).map_err(|_| Unspecified)
}

impl PrivateKeys {
    /// Opens what was sealed to one of these keys, if it belongs to the operation and its time.
    pub fn open(
        &self,
        sealed: &SealedPassword,
        binding: &Binding,
        now: OffsetDateTime,
        skew: Duration,
    ) -> Result<Contents, OpenError> {
        let json = self.decrypt(sealed)?;
        let claims: Claims<'_> = serde_json::from_slice(&json).map_err(|_| OpenError::Malformed)?;
        check_binding(&claims, binding)?;
        check_time(&claims, now, skew)?;
        contents_of(&claims, binding.kind)
    }

    fn decrypt(&self, sealed: &SealedPassword) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let mut failure = OpenError::UnknownKey;
        for recipient in &sealed.recipients {
            let Some(private) = self.get(&recipient.kid) else {
                continue;
            };
            failure = OpenError::Tampered;
            // RFC 7516 11.5: whoever sends must not learn whether the key or the content was wrong.
            let key = private
                .decrypt_key(&recipient.key)
                .or_else(|_| fresh_key())
                .map_err(|_| OpenError::Tampered)?;
            if let Ok(json) = decrypt(
                &key,
                sealed.iv,
                &sealed.additional_data,
                &sealed.ciphertext,
                &sealed.tag,
            ) {
                return Ok(json);
            }
        }
        Err(failure)
    }
}

fn check_binding(claims: &Claims<'_>, binding: &Binding) -> Result<(), OpenError> {
    let expected = [
        (Claim::Issuer, &claims.iss, binding.issuer.as_str()),
        (Claim::EventId, &claims.jti, binding.event_id.as_str()),
        (Claim::Subject, &claims.sub, binding.subject.as_str()),
        (Claim::Purpose, &claims.purpose, binding.kind.as_str()),
    ];
    for (claim, sealed, expected) in expected {
        if sealed.as_ref() != expected {
            return Err(OpenError::NotBound(claim));
        }
    }
    // An unlock carries no password, whatever a seal says its purpose is.
    if binding.kind.sets_password() {
        Ok(())
    } else {
        Err(OpenError::NotBound(Claim::Purpose))
    }
}

fn check_time(claims: &Claims<'_>, now: OffsetDateTime, skew: Duration) -> Result<(), OpenError> {
    let now = now.unix_timestamp();
    let skew = i64::try_from(skew.as_secs()).unwrap_or(i64::MAX);
    let issued_at = seconds(&claims.iat).ok_or(OpenError::NotBound(Claim::IssuedAt))?;
    let expires = seconds(&claims.exp).ok_or(OpenError::NotBound(Claim::Expires))?;
    if issued_at > now.saturating_add(skew) {
        return Err(OpenError::NotBound(Claim::IssuedAt));
    }
    // RFC 7519 4.1.4: not accepted on or after this time.
    if now.saturating_sub(skew) >= expires {
        return Err(OpenError::NotBound(Claim::Expires));
    }
    Ok(())
}

fn contents_of(claims: &Claims<'_>, kind: Kind) -> Result<Contents, OpenError> {
    let checked = |password: &str| {
        if too_long(password) {
            return Err(OpenError::PasswordTooLong);
        }
        if has_nul(password) {
            return Err(OpenError::PasswordHasNul);
        }
        Ok(SecretString::from(password))
    };
    if claims.new_password.0.is_empty() {
        return Err(OpenError::PasswordEmpty);
    }
    let current = claims.current_password.as_ref();
    let current_password = match kind {
        Kind::Change => match current.filter(|current| !current.0.is_empty()) {
            Some(current) => Some(checked(&current.0)?),
            None => return Err(OpenError::CurrentPasswordMissing),
        },
        Kind::Reset | Kind::Unlock => None,
    };
    Ok(Contents {
        new_password: checked(&claims.new_password.0)?,
        current_password,
    })
}
