//! The sealed JSON: who, what, when, and the passwords.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Number;
use zeroize::{Zeroize, Zeroizing};

/// Text that is wiped when dropped, if it had to be copied at all.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Secret<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl Drop for Secret<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.0 {
            text.zeroize();
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claims<'a> {
    #[serde(borrow)]
    pub(crate) iss: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) jti: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) sub: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) purpose: Cow<'a, str>,
    pub(crate) iat: Number,
    pub(crate) exp: Number,
    #[serde(borrow)]
    pub(crate) new_password: Secret<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) current_password: Option<Secret<'a>>,
}

impl Claims<'_> {
    /// The JSON, in a buffer made large enough beforehand: one that grows leaves copies behind.
    pub(crate) fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        // JSON writes a byte as six at most (\u00XX); names, numbers and punctuation fit in 256.
        let current = self.current_password.as_ref().map_or(0, |it| it.0.len());
        let texts = [&self.iss, &self.jti, &self.sub, &self.purpose];
        let length: usize = texts.iter().map(|text| text.len()).sum();
        let capacity = 256 + 6 * (length + self.new_password.0.len() + current);
        let mut json = Zeroizing::new(Vec::with_capacity(capacity));
        serde_json::to_writer(&mut *json, self)?;
        Ok(json)
    }
}

/// A NumericDate (RFC 7519 2) in seconds; a fraction is allowed, and cut off.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float cast saturates; the ends of i64 are as far away as any date need be"
)]
pub(crate) fn seconds(date: &Number) -> Option<i64> {
    date.as_i64().or_else(|| {
        date.as_f64()
            .filter(|seconds| seconds.is_finite())
            .map(|seconds| seconds.floor() as i64)
    })
}
