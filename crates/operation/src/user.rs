//! Whom an operation concerns.

use crate::{DomainName, SecurityIdentifier, SourceAnchor, UserPrincipalName};

/// A reference to a person: at least one identifier, and all that are given must agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserReference {
    source_anchor: Option<SourceAnchor>,
    security_identifier: Option<SecurityIdentifier>,
    user_principal_name: Option<UserPrincipalName>,
    domain: Option<DomainName>,
}

/// Why identifiers do not make a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserReferenceError {
    #[error("user: give at least one of sourceAnchor, securityIdentifier and userPrincipalName")]
    NoIdentifier,
}

impl UserReference {
    pub fn new(
        source_anchor: Option<SourceAnchor>,
        security_identifier: Option<SecurityIdentifier>,
        user_principal_name: Option<UserPrincipalName>,
        domain: Option<DomainName>,
    ) -> Result<Self, UserReferenceError> {
        if source_anchor.is_none() && security_identifier.is_none() && user_principal_name.is_none()
        {
            return Err(UserReferenceError::NoIdentifier);
        }
        Ok(Self {
            source_anchor,
            security_identifier,
            user_principal_name,
            domain,
        })
    }

    pub const fn source_anchor(&self) -> Option<SourceAnchor> {
        self.source_anchor
    }
    pub const fn security_identifier(&self) -> Option<&SecurityIdentifier> {
        self.security_identifier.as_ref()
    }
    pub const fn user_principal_name(&self) -> Option<&UserPrincipalName> {
        self.user_principal_name.as_ref()
    }
    pub const fn domain(&self) -> Option<&DomainName> {
        self.domain.as_ref()
    }

    /// What a sealed password's `sub` must be: the source anchor, else the security identifier,
    /// else the user principal name, as sent.
    pub fn subject(&self) -> String {
        self.source_anchor
            .map(|anchor| anchor.to_string())
            .or_else(|| self.security_identifier.as_ref().map(ToString::to_string))
            .or_else(|| self.user_principal_name.as_ref().map(ToString::to_string))
            .unwrap_or_default()
    }

    /// Every identifier in a form to compare by: two references that share one name the same person.
    pub fn keys(&self) -> Vec<String> {
        let anchor = self.source_anchor.map(|anchor| format!("anchor:{anchor}"));
        let sid = self
            .security_identifier
            .as_ref()
            .map(|sid| format!("sid:{sid}"));
        let upn = self
            .user_principal_name
            .as_ref()
            .map(|upn| format!("upn:{}", upn.folded()));
        anchor.into_iter().chain(sid).chain(upn).collect()
    }
}
