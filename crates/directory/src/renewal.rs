//! What is renewed while the directory is in use: the forest's authority and the service account's
//! passwords. No operation notices: connections that are in use go on.

use secrecy::{ExposeSecret as _, SecretString};

use crate::{CertificateExpiry, ConfigurationError, Directory, PasswordInUse};

impl Directory {
    /// New connections trust this authority; those of before are closed once they are idle.
    pub fn renew_authority(&self, ca_pem: &[u8]) -> Result<(), ConfigurationError> {
        if self.trust.replace(ca_pem)? {
            let not_after = self.trust.not_after();
            tracing::info!(%not_after, "the forest's certificate authority changed");
            // whom the old one made us leave alone, the new one may let us trust
            for pool in self.controllers.members() {
                pool.try_anew();
            }
        }
        Ok(())
    }

    /// New connections sign in with these passwords of the same account: with the one that was right
    /// last, and with the other where that one is refused.
    pub fn renew_passwords(
        &self,
        first: SecretString,
        next: Option<SecretString>,
    ) -> Result<(), ConfigurationError> {
        // an empty one would be right: the bind is anonymous then, and succeeds (RFC 4513 5.1.2)
        let empty = |password: &SecretString| password.expose_secret().is_empty();
        if empty(&first) || next.as_ref().is_some_and(empty) {
            return Err(ConfigurationError::NoCredentials);
        }
        self.credentials.replace(first, next);
        Ok(())
    }

    /// The one that was right last; None before the first sign-in and while the account is refused.
    pub fn password_in_use(&self) -> Option<PasswordInUse> {
        self.credentials.in_use()
    }

    /// Until when each domain controller can be trusted.
    pub fn certificates(&self) -> Vec<CertificateExpiry> {
        self.controllers
            .members()
            .iter()
            .map(|pool| pool.reported.expiry())
            .collect()
    }
}
