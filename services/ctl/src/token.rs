//! Access tokens: from files only, never from an argument.

use std::path::Path;

use anyhow::{Context as _, ensure};
use secrecy::SecretString;

use crate::web;

/// # Errors
/// Naming the file, and nothing of what is in it.
pub(crate) fn read(path: &Path) -> anyhow::Result<SecretString> {
    let text = String::from_utf8(web::read_file(path)?)
        .ok()
        .with_context(|| format!("{}: no token", path.display()))?;
    let token = text.trim();
    // RFC 6750 2.1: what a bearer token is made of
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(is_token, "{}: no token", path.display());
    Ok(SecretString::from(token))
}
